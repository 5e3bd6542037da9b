import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiozoo.download import cache_folder, fetch
from audiozoo.features.cache import FeatureCache
from audiozoo.files import checksum

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server():
    """Serve `CONTENT` at /file.bin, and at /broken.bin only the first half of what is announced."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            known = self.path in ("/file.bin", "/broken.bin")
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(CONTENT) if known else 0))
            self.end_headers()
            if known:
                self.wfile.write(CONTENT if self.path == "/file.bin" else CONTENT[: len(CONTENT) // 2])

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server, cache):
    path = fetch(f"{server.url}/file.bin", sha256=SHA256)
    assert path == cache / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(f"{server.url}/file.bin", sha256=SHA256) == path
    assert server.requests == ["/file.bin"]


def test_a_download_with_another_checksum_is_an_error_and_deleted(server, cache):
    with pytest.raises(ValueError, match=rf"file\.bin: the download is not .*expected sha256:{'0' * 64} but got {SHA256}"):
        fetch(f"{server.url}/file.bin", sha256="0" * 64)
    assert list(cache.iterdir()) == []


def test_a_file_with_another_checksum_is_downloaded_again(server, cache):
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"another file")
    assert fetch(f"{server.url}/file.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests == ["/file.bin"]


def test_a_file_with_another_checksum_is_named_without_a_network(server, cache):
    server.server_close()
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"another file")
    found = checksum(cache / "file.bin")
    with pytest.raises(OSError, match=rf"put it at .*file\.bin; the file that is there now has the SHA-256 {found} instead"):
        fetch(f"{server.url}/file.bin", sha256=SHA256)


def test_a_download_is_readable_like_any_other_new_file(server, cache, tmp_path):
    (tmp_path / "other.txt").write_text("x")
    assert fetch(f"{server.url}/file.bin", sha256=SHA256).stat().st_mode == (tmp_path / "other.txt").stat().st_mode


def test_a_download_says_nothing(server, capfd):
    fetch(f"{server.url}/file.bin", sha256=SHA256)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["broken.bin", "missing.bin"])
def test_a_failed_transfer_leaves_nothing(server, cache, name):
    with pytest.raises(OSError, match=rf"{name} could not be downloaded .* put it at .*{name}"):
        fetch(f"{server.url}/{name}", sha256=SHA256)
    assert list(cache.iterdir()) == []


def test_no_server_and_a_copy_by_hand(server, cache):
    server.server_close()
    with pytest.raises(OSError, match=r"download it elsewhere and put it at .*cache.file\.bin"):
        fetch(f"{server.url}/file.bin", sha256=SHA256)
    (cache / "file.bin").write_bytes(CONTENT)
    assert fetch(f"{server.url}/file.bin", sha256=SHA256).read_bytes() == CONTENT


def test_the_cache_folder_is_the_users_unless_named(monkeypatch):
    monkeypatch.delenv("AUDIOZOO_CACHE")
    assert cache_folder().name == "audiozoo"


def test_weights_and_features_share_one_folder(monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", "~/zoo")
    assert cache_folder() == Path.home() / "zoo"
    assert FeatureCache().folder == cache_folder() / "features"
