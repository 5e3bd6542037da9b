"""Published files: checked at each use, trusted on the first where no checksum is known, from the web or the hub."""

import hashlib
import sys
import types

import pytest
from test_download_transfer import CONTENT, OTHER, Handler, md5, serving

import audiozoo
from audiozoo.download import fetch_published, hub_file, local_path, revision_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server():
    with serving(Handler) as running:
        running.content = CONTENT
        running.url = f"http://127.0.0.1:{running.server_port}/files/Cnn_mAP%3D0.4.pth?download=1"
        yield running


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("expected", [md5(CONTENT), f"sha256:{sha256(CONTENT)}"])
def test_a_file_with_a_checksum_is_fetched_once(server, cache, expected):
    path = fetch_published(server.url, expected=expected)
    assert path == cache / "Cnn_mAP=0.4.pth"
    assert path.read_bytes() == CONTENT
    assert fetch_published(server.url, expected=expected) == path
    assert server.asked == [None]
    assert list(cache.iterdir()) == [path]


def test_another_checksum_is_an_error(server, cache):
    for expected in (md5(OTHER), f"sha256:{sha256(OTHER)}"):
        with pytest.raises(ValueError, match=f"does not have the checksum {expected}"):
            fetch_published(server.url, expected=expected)
    assert list(cache.iterdir()) == []


def test_the_first_download_is_trusted_and_no_later_one_of_another_content(server, cache):
    path = fetch_published(server.url)
    note = cache / "Cnn_mAP=0.4.pth.sha256"
    assert note.read_text() == f"{sha256(CONTENT)}  Cnn_mAP=0.4.pth\n"
    assert fetch_published(server.url) == path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=rf"{sha256(CONTENT[:-1])}, and the first download had {sha256(CONTENT)}.* delete /"):
        fetch_published(server.url)
    path.unlink()
    server.content = OTHER
    with pytest.raises(ValueError, match="the first download had"):
        fetch_published(server.url)
    note.unlink()
    assert fetch_published(server.url).read_bytes() == OTHER


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("hf://org/name", ("org/name", None, None)),
        ("hf:/org/name", ("org/name", None, None)),
        ("hf://org/name-1.0/a/b.pth", ("org/name-1.0", "a/b.pth", None)),
        ("hf://org/name@0a1b/model.safetensors", ("org/name", "model.safetensors", "0a1b")),
    ],
)
def test_addresses_on_the_hub(address, parts):
    found = hub_file(address)
    assert (found.repo, found.file, found.revision) == parts


def test_other_addresses():
    assert hub_file("https://host/a.pth") is None
    assert hub_file("model.safetensors") is None
    for wrong in ("hf://name", "hf://org/name@/a", "hf:"):
        with pytest.raises(ValueError, match=r"hf://org/name\[@revision\]\[/file\], got"):
            hub_file(wrong)


class Hub(types.ModuleType):
    """A stand-in for huggingface_hub, which the tests do not install: the two functions that are used, on a folder."""

    def __init__(self, files):
        super().__init__("huggingface_hub")
        self.files, self.commit, self.asked = files, "c0ffee", []

    def list_repo_files(self, repo, *, revision=None):
        return list(self.files)

    def hf_hub_download(self, repo, name, *, revision=None, cache_dir):
        self.asked.append((repo, name, revision))
        path = cache_dir / f"models--{repo.replace('/', '--')}" / "snapshots" / (revision or self.commit) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[name])
        return str(path)


@pytest.fixture
def hub(monkeypatch):
    def put(files):
        made = Hub(files)
        monkeypatch.setitem(sys.modules, "huggingface_hub", made)
        return made

    return put


def test_a_file_on_the_hub(hub):
    made = hub({"README.md": b"", "pytorch_model.bin": b"old", "model.safetensors": b"new"})
    path = local_path("hf://org/name")
    assert (path.read_bytes(), revision_of(path)) == (b"new", "c0ffee")
    pinned = local_path("hf://org/name@v1/pytorch_model.bin")
    assert (pinned.read_bytes(), revision_of(pinned)) == (b"old", "v1")
    assert made.asked == [("org/name", "model.safetensors", None), ("org/name", "pytorch_model.bin", "v1")]
    assert revision_of(local_path("a/model.safetensors")) is None


def test_a_repository_must_have_one_file_of_weights(hub):
    hub({"a.pth": b"", "b.pth": b"", "README.md": b""})
    with pytest.raises(ValueError, match=r"hf://org/name has several files of weights: name one of a\.pth, b\.pth"):
        local_path("hf://org/name")
    hub({"README.md": b""})
    with pytest.raises(ValueError, match=r"has no file that ends with \.safetensors.*it has README\.md"):
        local_path("hf://org/name")


@pytest.mark.parametrize("address", ["hf://org/name", "hf://org/name/gone.pth"])
def test_a_hub_out_of_reach_is_an_error_of_the_machine(hub, address, monkeypatch):
    made = hub({"a.pth": b""})
    for function in ("list_repo_files", "hf_hub_download"):
        monkeypatch.setattr(made, function, lambda *_, **__: {}["no network"])
    with pytest.raises(OSError, match=r"hf://org/name: the hub did not give .*no network.* pass its path"):
        local_path(address)


def test_files_on_the_hub_are_checked_too(hub, cache):
    made = hub({"model.safetensors": CONTENT})
    address = "hf://org/name@main/model.safetensors"
    assert fetch_published(address, expected=f"sha256:{sha256(CONTENT)}").read_bytes() == CONTENT
    with pytest.raises(ValueError, match="instead of sha256:0000"):
        fetch_published(address, expected=f"sha256:{'0' * 64}")
    fetch_published(address)
    assert (cache / "org--name--main--model.safetensors.sha256").is_file()
    made.files["model.safetensors"] = OTHER
    with pytest.raises(ValueError, match="the first download had"):
        fetch_published(address)


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[hub\]'"):
        local_path("hf://org/name")
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[hub\]'"):
        audiozoo.build("cnn6", 527, weights_file="hf://org/name")
