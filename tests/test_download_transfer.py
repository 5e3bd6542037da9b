import hashlib
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audiozoo.download import transfer

CONTENT = bytes(range(256)) * 400
OTHER = CONTENT[::-1]
HALF = len(CONTENT) // 2
KEPT = HALF // 2**14 * 2**14  # all complete blocks


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """Serve `server.content`; `server.faults` are the faults of the next requests, one for each."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        fault = server.faults.pop(0) if server.faults else ""
        if fault.startswith(("http", "file")):
            self.send_response(302)
            self.send_header("Location", fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        tag = f'"{hashlib.md5(server.content).hexdigest()}"'
        same = self.headers.get("If-Range") in (None, tag) or "always a range" in fault
        start = int(asked[6:-1]) if asked and same and fault != "no ranges" else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("ETag", tag)
        body = server.content[start:]
        if fault.startswith("states "):
            self.send_header("Content-Length", fault.removeprefix("states "))
        elif fault.startswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            cut = fault.endswith("cut")
            body = body[: HALF if cut else None]
            body = b"%x\r\n%s\r\n" % (len(body), body) + (b"" if cut else b"0\r\n\r\n")
        elif fault not in ("no size", "endless"):
            self.send_header("Content-Length", str(len(body) + 99 * (fault == "lies")))
        self.end_headers()
        while fault == "endless":
            try:
                self.wfile.write(body)
            except OSError:
                return
        self.wfile.write(body[:HALF] if fault in ("breaks off", "no size") else body)

    def log_message(self, *words):
        pass


@contextmanager
def serving(handler):
    """Run a server in a thread."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.asked, running.faults = [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def server():
    with serving(Handler) as running:
        running.content = CONTENT
        running.url = f"http://127.0.0.1:{running.server_port}/a.zip"
        yield running


@pytest.fixture
def half(server, tmp_path):
    """Break off the first transfer in the middle."""
    server.faults = ["breaks off"]
    with pytest.raises(OSError, match=r"run the command again to continue, or .* put it at .*a\.zip; its checksum is md5:"):
        transfer(server.url, tmp_path / "a.zip", checksum=md5(CONTENT))
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:KEPT]
    assert not (tmp_path / "a.zip").exists()
    return tmp_path / "a.zip"


def test_an_interrupted_transfer_continues(server, half):
    seen = []
    transfer(server.url, half, checksum=md5(CONTENT), progress=lambda *step: seen.append(step))
    assert half.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={KEPT}-"]
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT), {})
    assert list(half.parent.iterdir()) == [half]
    transfer(server.url, half, checksum=md5(CONTENT))
    assert len(server.asked) == 2


def test_a_server_without_ranges_starts_again(server, half):
    server.faults = ["no ranges"]
    assert transfer(server.url, half, checksum=md5(CONTENT)).read_bytes() == CONTENT


def test_a_changed_file_is_not_joined_to_the_old_part(server, half):
    server.content = OTHER
    assert transfer(server.url, half, checksum=md5(OTHER)).read_bytes() == OTHER


def test_a_range_of_a_changed_file_is_refused(server, half):
    server.content, server.faults = OTHER, ["always a range"]
    with pytest.raises(OSError, match="another file now"):
        transfer(server.url, half, checksum=md5(OTHER))
    assert list(half.parent.iterdir()) == []
    assert transfer(server.url, half, checksum=md5(OTHER)).read_bytes() == OTHER


def test_a_complete_part_of_a_killed_process_is_checked(server, tmp_path):
    path = tmp_path / "a.zip"
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": server.url, "size": len(CONTENT)}))
    server.shutdown()
    server.server_close()
    assert transfer(server.url, path, checksum=md5(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": 7}', '{"url": "URL", "tag": 7}'])
def test_a_part_without_a_description_is_downloaded_again(server, half, note):
    half.with_name("a.zip.part.json").write_text(note.replace("URL", server.url))
    assert transfer(server.url, half, checksum=md5(CONTENT)).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(ValueError, match="does not have the checksum md5:0"):
        transfer(server.url, tmp_path / "a.zip", checksum="md5:0")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_nobody_serves_and_a_wrong_file_in_its_place_are_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OSError, match=r"downloaded \(127.0.0.1 cannot be reached, or broke .*\); .*its checksum is md5:0$"):
        transfer(f"http://{host}/a.zip", tmp_path / "a.zip", checksum="md5:0")
    (tmp_path / "a.zip").write_bytes(b"something else")
    with pytest.raises(OSError, match=r"md5:0, and the file there has another$"):
        transfer(f"http://{host}/a.zip", tmp_path / "a.zip", checksum="md5:0")


def test_a_false_length_is_an_error(server, tmp_path):
    server.faults = ["lies"]
    with pytest.raises(OSError, match="could not be downloaded"):
        transfer(server.url, tmp_path / "a.zip", checksum=md5(CONTENT))
    assert not (tmp_path / "a.zip").exists()


def test_redirects_lead_to_http_only(server, tmp_path):
    path, other = tmp_path / "a.zip", server.url.replace("127.0.0.1", "localhost")
    server.faults = ["file:///etc/passwd"]
    with pytest.raises(OSError, match="could not be downloaded"):
        transfer(server.url, path, checksum=md5(CONTENT))
    server.faults = [other]
    assert transfer(server.url, path, checksum=md5(CONTENT)).read_bytes() == CONTENT


def test_a_full_disk_is_noticed_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 10}))
    with pytest.raises(OSError, match=r"102,400 bytes are missing, and the disk of .* has 10 free"):
        transfer(server.url, tmp_path / "a.zip", checksum=md5(CONTENT))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no size", "does not state the size, so a file that is cut would look complete"),
        ("chunked, cut", "could not be downloaded"),
        ("states abc", "states 'abc' as the size"),
        ("states -5", "states '-5' as the size"),
    ],
)
def test_without_a_checksum_a_cut_transfer_is_not_complete(server, tmp_path, fault, reason):
    server.faults = [fault]
    with pytest.raises(OSError, match=reason):
        transfer(server.url, tmp_path / "a.zip", checksum=None)
    assert not (tmp_path / "a.zip").exists()


def test_the_last_chunk_or_a_checksum_tells_that_a_file_is_complete(server, tmp_path):
    server.faults = ["chunked", "no size"]
    assert transfer(server.url, tmp_path / "a.zip", checksum=None).read_bytes() == CONTENT
    server.content = CONTENT[:HALF]
    assert transfer(server.url, tmp_path / "b.zip", checksum=md5(CONTENT[:HALF])).read_bytes() == CONTENT[:HALF]


def test_a_chunked_transfer_continues(server, tmp_path):
    server.faults = ["chunked, cut"]
    with pytest.raises(OSError, match="could not be downloaded"):
        transfer(server.url, tmp_path / "a.zip", checksum=None)
    assert transfer(server.url, tmp_path / "a.zip", checksum=None).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("fault", ["endless", ""])
def test_a_file_without_end_or_beyond_the_bound_is_refused(server, tmp_path, fault):
    server.faults = [fault]
    with pytest.raises(OSError, match=r"the server has at least \d\d\d,\d\d\d bytes and the file at most 100,000"):
        transfer(server.url, tmp_path / "a.zip", checksum=md5(CONTENT), most_bytes=100_000)
    assert list(tmp_path.iterdir()) == []
    assert transfer(server.url, tmp_path / "a.zip", checksum=md5(CONTENT), most_bytes=len(CONTENT)).is_file()
