"""Download large files in parts: an interrupted transfer continues, and the complete file has a known checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from audiozoo.files import naming, write_json
from audiozoo.progress import Progress

if TYPE_CHECKING:
    import requests

_BLOCK = 2**14  # When the connection breaks off, requests loses the block that is not complete.
_TIMEOUT = 30.0  # Longest silence of the server (seconds).


def transfer(
    url: str,
    path: str | os.PathLike[str],
    *,
    checksum: str | None,
    most_bytes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download a file, or continue its download after an interruption.

    The bytes so far are kept in a file that ends with ".part", and the server's description of the file beside it. The
    transfer continues only if the server still describes the same file; otherwise it starts again.

    Args:
        url: HTTP or HTTPS address.
        path: Path of the complete file. If it exists with this checksum, nothing is downloaded.
        checksum: Expected checksum, such as "md5:9aa6..." or "sha256:af14..."; `None` trusts any complete file, so the server
            must then state its size or mark its end.
        most_bytes: Largest size of the file (bytes); `None` for any that the disk has room for.
        progress: Callback, see `audiozoo.progress`; it counts bytes.

    Returns:
        `path`.

    Raises:
        OSError: The transfer failed or broke off, the server does not say where the file ends, the file is too large, or the
            disk is too small; the message says how to continue.
        ValueError: The file has another checksum; the downloaded one is deleted.
    """
    path = Path(path)
    if path.is_file() and _has(path, checksum):
        return path
    part = path.with_name(f"{path.name}.part")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _receive(url, part, progress, known_content=checksum is not None, most_bytes=most_bytes)
    except OSError as error:
        raise OSError(
            f"{url} could not be downloaded ({_reason(error, url)}); run the command again to continue, or download it "
            f"elsewhere and put it at {path}; its checksum is {checksum or 'not known'}"
            + (", and the file there has another" if path.is_file() else "")
        ) from error
    if not _has(part, checksum):
        _forget(part)
        raise ValueError(f"{url}: the download does not have the checksum {checksum} and was deleted; try again later")
    part.replace(path)
    _forget(part)
    return path


def _reason(error: OSError, url: str) -> str:
    """Return the reason of a failed transfer, without the objects and attempts that the libraries below name."""
    import requests

    host = urlsplit(url).hostname
    kinds = {
        requests.exceptions.ProxyError: f"the proxy to {host} does not answer",
        requests.exceptions.SSLError: f"the certificate of {host} is not trusted",
        requests.Timeout: f"{host} does not answer",
        requests.ConnectionError: f"{host} cannot be reached, or broke the connection",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), str(error))


def _has(path: Path, checksum: str | None) -> bool:
    if checksum is None:
        return True
    kind, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == expected.lower()


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _known(part: Path) -> dict[str, Any]:
    try:
        known = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = ("url", "tag", "modified")
    return known if isinstance(known, dict) and all(isinstance(known.get(name), str | None) for name in texts) else {}


def _receive(url: str, part: Path, progress: Progress | None, *, known_content: bool, most_bytes: int | None) -> None:
    import requests

    known = _known(part)
    start = part.stat().st_size if known.get("url") == url and part.is_file() else 0
    if start and start == known.get("size"):
        return  # the process was killed between the last byte and the check
    with requests.get(url, headers=_headers(start, known), stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416:
            raise _changed(part)
        answer.raise_for_status()
        if not (known_content or _states_end(answer, url)):
            raise OSError("the server does not state the size, so a file that is cut would look complete")
        if not _continues(answer, part, start, known):
            start = 0
        _write(answer, url, part, start, progress, most_bytes=most_bytes)


def _headers(start: int, known: dict[str, Any]) -> dict[str, str]:
    from pooch import __version__

    # Zenodo refuses the user agent of requests, and a compressed answer has no ranges of the file.
    headers = {"User-Agent": f"pooch/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        # If-Range needs a strong validator; a weak one would promise equal meaning and not equal bytes.
        validator = known.get("tag") or known.get("modified")
        if validator and not validator.startswith("W/"):
            headers["If-Range"] = validator
    return headers


def _states_end(answer: requests.Response, url: str) -> bool:
    """Tell whether a transfer that breaks off can be told from a complete one without a checksum."""
    # requests reports a chunked answer that lacks its last chunk.
    return _described(answer, url)["size"] is not None or answer.headers.get("Transfer-Encoding", "").lower() == "chunked"


def _described(answer: requests.Response, url: str) -> dict[str, Any]:
    total = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    length = total[1] if total else answer.headers.get("Content-Length", "")
    if length and not re.fullmatch(r"[0-9]{1,18}", length):
        raise OSError(f"the server states {length[:40]!r} as the size, which is not a number of bytes")
    return {
        "url": url,
        "size": int(length) if length else None,
        "tag": answer.headers.get("ETag"),
        "modified": answer.headers.get("Last-Modified"),
    }


def _continues(answer: requests.Response, part: Path, start: int, known: dict[str, Any]) -> bool:
    """Tell whether the answer is the rest of the file from `start`.

    Raises:
        OSError: The answer is a rest, but of another file or from another place.
    """
    if answer.status_code != 206:
        return False
    expected = f"bytes {start}-"
    described = _described(answer, known["url"])
    if known.get("size") is None:  # a chunked answer does not state the size, and the range does
        described["size"] = None
    if described != known or not answer.headers.get("Content-Range", "").startswith(expected):
        raise _changed(part)
    return True


def _changed(part: Path) -> OSError:
    _forget(part)
    return OSError("the server has another file now, so the part was deleted")


def _write(
    answer: requests.Response, url: str, part: Path, start: int, progress: Progress | None, *, most_bytes: int | None
) -> None:
    described = _described(answer, url)
    size = described["size"]
    free = shutil.disk_usage(part.parent).free
    _check_bound(size or 0, most_bytes, part)
    if size is not None and size - start > free:
        raise OSError(f"{size - start:,} bytes are missing, and the disk of {part.parent} has {free:,} free")
    write_json(_note(part), described)
    done = start
    with part.open("ab" if start else "wb") as file:
        for block in answer.iter_content(_BLOCK):
            done += len(block)
            _check_bound(done, most_bytes, part)
            file.write(block)
            if progress is not None:
                progress("download", done, size or done, {})
    if size is not None and done != size:
        raise OSError(f"the transfer ended after {done:,} of {size:,} bytes")


def _check_bound(size: int, most_bytes: int | None, part: Path) -> None:
    # A server may state no size, and send without end.
    if most_bytes is not None and size > most_bytes:
        _forget(part)
        raise OSError(f"the server has at least {size:,} bytes and the file at most {most_bytes:,}, so the part was deleted")
