"""Files of weights that others publish: from a web address or the Hugging Face hub, checked at every use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from audiozoo.download.cached import cache_folder
from audiozoo.download.transfer import transfer
from audiozoo.files import checksum, write_text

# A path such as Path("hf://a/b") keeps only one of the slashes.
_HUB = re.compile(r"hf:/{1,2}(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>.+))?")
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".audiozoo")


@dataclass(frozen=True)
class HubFile:
    """A file on the Hugging Face hub.

    Args:
        repo: Name of the repository, ``"org/name"``.
        file: Path in the repository; `None` means the only file of weights there.
        revision: Commit, tag or branch; `None` means the newest version.
    """

    repo: str
    file: str | None = None
    revision: str | None = None


def hub_file(address: object) -> HubFile | None:
    """Read an address such as ``"hf://org/name@revision/model.safetensors"``; return `None` for any other value.

    Raises:
        ValueError: The address begins with "hf:" and has another form.
    """
    text = str(address)
    if not text.startswith("hf:"):
        return None
    if not (found := _HUB.fullmatch(text)):
        raise ValueError(f"an address on the hub has the form hf://org/name[@revision][/file], got {text!r}")
    return HubFile(found["repo"], found["file"], found["revision"])


def fetch_published(address: str, *, expected: str | None = None) -> Path:
    """Return the cached copy of a published file; download it if it is missing.

    Without a known checksum, the first download is trusted. Its SHA-256 is written to a file that ends with ".sha256". Later,
    any other content is an error.

    Args:
        address: HTTP or HTTPS address, or one on the Hugging Face hub, see `hub_file`.
        expected: Checksum, such as "sha256:af14..." or "md5:9aa6..."; `None` if it is not known.

    Returns:
        Path of the file.

    Raises:
        ImportError: The file is on the hub, and huggingface_hub is not installed.
        OSError: The download failed; the message says how to continue, or where to put a copy.
        ValueError: The file has another checksum than the expected one, or than that of the first download.
    """
    hub = hub_file(address)
    if hub is None:
        name = unquote(urlsplit(address).path.rpartition("/")[2])
        path = transfer(address, cache_folder() / name, checksum=expected)
    else:
        path = fetch_from_hub(hub)
        name = f"{hub.repo.replace('/', '--')}--{hub.revision or 'newest'}--{path.name}"
        _check(path, expected, address)
    if expected is None:
        _check_first(path, cache_folder() / f"{name}.sha256", address)
    return path


def _check(path: Path, expected: str | None, address: str) -> None:
    if expected is not None and (found := checksum(path)) != expected.removeprefix("sha256:"):
        raise ValueError(f"{address}: the file at {path} has the SHA-256 {found} instead of {expected}; delete it")


def _check_first(path: Path, note: Path, address: str) -> None:
    found = checksum(path)
    if not note.is_file():
        write_text(note, f"{found}  {path.name}\n")
    elif (known := note.read_text(encoding="utf-8").split()[:1]) != [found]:
        raise ValueError(
            f"{address}: the file at {path} has the SHA-256 {found}, and the first download had {' '.join(known) or 'none'}. "
            f"Delete the file to download it again; if the publisher has replaced it and you trust the new one, delete {note}"
        )


def fetch_from_hub(hub: HubFile) -> Path:
    """Download a file from the Hugging Face hub, or find it in the hub's cache below `cache_folder`.

    Args:
        hub: File to download.

    Returns:
        Path of the file; the folder ``snapshots/COMMIT`` in it tells the revision, see `revision_of`.

    Raises:
        ImportError: huggingface_hub is not installed.
        OSError: The hub cannot be reached, or has no such repository, revision or file.
        ValueError: No file is named, and the repository has no file of weights or several.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("files on the hub need huggingface_hub: pip install 'audiozoo[hub]'") from error
    with _reaching(hub):
        names = [] if hub.file else huggingface_hub.list_repo_files(hub.repo, revision=hub.revision)
    name = hub.file or _only_file(hub, names)
    with _reaching(hub):
        folder = cache_folder() / "hub"
        return Path(huggingface_hub.hf_hub_download(hub.repo, name, revision=hub.revision, cache_dir=folder))


@contextmanager
def _reaching(hub: HubFile) -> Iterator[None]:
    try:
        yield
    # The errors of the hub's HTTP client have no common class with OSError.
    except Exception as error:
        raise OSError(
            f"hf://{hub.repo}: the hub did not give the file ({type(error).__name__}: {error}); check name and network, or "
            "download the file elsewhere and pass its path"
        ) from error


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a path unchanged, and for an address on the Hugging Face hub that of the downloaded file, see `hub_file`.

    Raises:
        ImportError, OSError, ValueError: See `hub_file` and `fetch_from_hub`.
    """
    hub = hub_file(path)
    return Path(path) if hub is None else fetch_from_hub(hub)


def _only_file(hub: HubFile, names: list[str]) -> str:
    for ending in _ENDINGS:
        # A repository often has the same weights in several formats; the first ending is the safest format.
        if len(found := [name for name in names if name.endswith(ending)]) == 1:
            return found[0]
        if found:
            raise ValueError(f"hf://{hub.repo} has several files of weights: name one of {', '.join(found)} after a slash")
    raise ValueError(f"hf://{hub.repo} has no file that ends with {', '.join(_ENDINGS)}; it has {', '.join(names[:10])}")


def revision_of(path: Path) -> str | None:
    """Return the commit of a file that `fetch_from_hub` returned; `None` for any other path."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-2] else None
