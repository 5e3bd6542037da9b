"""Published datasets are downloaded archive by archive, verified and unpacked, and an interruption loses nothing."""

import hashlib
import io
import json
import os
import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from test_download_transfer import Handler, serving

from audiozoo.datasets import SOURCES, Archive, accepted_licences, fetch_dataset, fetching, list_datasets, sources
from audiozoo.download import cache_folder


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"data/{name}", text)
    return content.getvalue()


ONE, TWO = zipped(a="first", b="first"), zipped(b="second", c="second")


@pytest.fixture
def server():
    class Several(Handler):
        def do_GET(self):
            self.server.before()
            self.server.content = self.server.archives[self.path]
            super().do_GET()

    with serving(Several) as running:
        running.before = lambda: None
        running.archives = {"/one.zip": ONE, "/two.zip": TWO}
        yield running


@pytest.fixture
def source(server, monkeypatch):
    address = f"http://127.0.0.1:{server.server_port}"
    archives = (
        Archive(url=f"{address}/one.zip", checksum=f"md5:{hashlib.md5(ONE).hexdigest()}"),
        Archive(url=f"{address}/two.zip"),
    )
    made = replace(SOURCES["esc50"], archives=archives, most_bytes=1_000, most_files=10)
    monkeypatch.setitem(sources.SOURCES, "esc50", made)
    return made


def files(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and ".archives" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


COMPLETE = {"data/a": "first", "data/b": "second", "data/c": "second"}


@pytest.mark.usefixtures("source")
def test_all_archives_are_unpacked_into_one_folder(server, tmp_path):
    seen = []
    folder = fetch_dataset(
        "esc50", tmp_path / "e", progress=lambda stage, done, total, figures: seen.append((stage, done, total))
    )
    assert files(folder) == COMPLETE
    assert [one for one in seen if one[1] == one[2]] == [("one.zip", len(ONE), len(ONE)), ("two.zip", len(TWO), len(TWO))]
    assert sorted(path.name for path in (folder / ".archives").iterdir()) == ["one.zip.json", "two.zip.json"]
    note = json.loads((folder / ".archives" / "two.zip.json").read_text())
    assert note["sha256"] == hashlib.sha256(TWO).hexdigest()
    server.asked.clear()
    fetch_dataset("esc50", folder)
    assert server.asked == []


@pytest.mark.usefixtures("source")
def test_an_interrupted_download_continues_with_the_archive_that_is_missing(server, tmp_path, monkeypatch):
    def killed(*given, **further):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "unpack", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == {}
    assert len(server.asked) == 1
    fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == COMPLETE
    assert len(server.asked) == 2, "the first archive is not downloaded again"


@pytest.mark.usefixtures("source")
def test_a_wrong_checksum_is_an_error(server, tmp_path):
    server.archives["/one.zip"] = TWO
    with pytest.raises(ValueError, match="does not have the checksum"):
        fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == {}


@pytest.mark.usefixtures("source")
def test_the_first_download_of_an_archive_without_a_checksum_is_trusted_and_another_one_is_not(server, tmp_path):
    fetch_dataset("esc50", tmp_path)
    shutil.rmtree(tmp_path / "data")
    server.archives["/two.zip"] = ONE
    with pytest.raises(ValueError, match=r"does not have the checksum sha256.*delete .*two\.zip\.json to accept it"):
        fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == {"data/a": "first", "data/b": "first"}
    (tmp_path / ".archives" / "two.zip.json").unlink()
    fetch_dataset("esc50", tmp_path)


@pytest.mark.usefixtures("source")
def test_a_bad_answer_is_neither_trusted_nor_kept(server, tmp_path):
    server.archives["/two.zip"] = b"<html>come back later</html>"
    with pytest.raises(ValueError, match=r"damaged .* the archive was deleted, so the next call downloads it again"):
        fetch_dataset("esc50", tmp_path)
    assert [path.name for path in (tmp_path / ".archives").iterdir()] == ["one.zip.json"]
    server.archives["/two.zip"] = TWO
    fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == COMPLETE


@pytest.mark.usefixtures("source")
def test_a_note_of_an_earlier_version_about_a_bad_answer_is_ignored(tmp_path):
    note = tmp_path / ".archives" / "two.zip.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"sha256": hashlib.sha256(b"<html>").hexdigest(), "unpacked": False}))
    fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == COMPLETE


@pytest.mark.usefixtures("source")
def test_what_a_killed_call_left_is_removed(tmp_path):
    work = tmp_path / ".archives"
    for left in (".one.zip.unpacked-x1/data/a", "one.zip.unpacked/data/a", ".two.zip-x2.json", ".claims/fetch.1"):
        (work / left).parent.mkdir(parents=True, exist_ok=True)
        (work / left).write_text("left")
    os.utime(work / ".claims" / "fetch.1", (0, 0))
    fetch_dataset("esc50", tmp_path)
    assert sorted(path.name for path in work.iterdir()) == ["one.zip.json", "two.zip.json"]


@pytest.mark.usefixtures("source")
def test_two_calls_on_one_folder_take_turns(server, tmp_path):
    seen, waiting, go = [], threading.Event(), threading.Event()
    server.before = go.wait

    def progress(stage, done, total, figures):
        seen.append(stage)
        if stage == "waiting for another download":
            waiting.set()

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(fetch_dataset, "esc50", tmp_path, progress=progress) for _ in range(2)]
        try:
            assert waiting.wait(10)
        finally:
            go.set()
    assert [call.result() for call in calls] == [tmp_path] * 2
    assert seen.count("waiting for another download") == 1
    assert len(server.asked) == 2, "each archive is downloaded once"
    assert files(tmp_path) == COMPLETE


def test_a_disk_that_is_too_small_is_noticed_before(source, server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 5}))
    with pytest.raises(OSError, match=r"about 600,000,000 bytes, and the disk has 5 free"):
        fetch_dataset("esc50", tmp_path)
    assert (source.download_gb, server.asked) == (0.6, [])


@pytest.mark.usefixtures("source")
def test_a_file_is_not_a_folder(audiozoo, server, tmp_path):
    (tmp_path / "f").write_text("mine")
    status, _, text = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "f", "--accept")
    assert (status, server.asked) == (2, [])
    assert "is a file; name the folder to fill" in text
    assert (tmp_path / "f").read_text() == "mine"


def test_an_archive_beyond_the_bounds_of_the_catalogue_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "esc50", replace(source, most_bytes=8))
    with pytest.raises(ValueError, match="exceeds the declared size"):
        fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == {}


def test_some_datasets_must_be_downloaded_by_hand(tmp_path):
    with pytest.raises(ValueError, match=r"fsd50k cannot be downloaded automatically: .*zenodo\.org/records/4060432"):
        fetch_dataset("fsd50k", tmp_path)
    with pytest.raises(ValueError, match="did you mean 'esc50'"):
        fetch_dataset("esc-50", tmp_path)


def test_the_catalogue_is_of_datasets_that_can_be_loaded():
    assert set(SOURCES) <= set(list_datasets())
    for source in SOURCES.values():
        assert source.licence
        assert source.page.startswith("https://")
        for archive in source.archives:
            kind, _, digest = (archive.checksum or "md5:" + "0" * 32).partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]
            assert int(digest, 16) >= 0
            assert source.most_bytes > 1e9 * (source.download_gb or 0) / len(source.archives)


@pytest.mark.usefixtures("source")
def test_the_command_asks_for_the_licence_once(audiozoo, server, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "cache"))
    status, _, text = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "e")
    assert (status, server.asked) == (2, [])
    assert "licence of esc50: CC BY-NC 3.0" in text
    assert "pass --accept" in text
    status, text, _ = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "e", "--accept")
    assert status == 0
    assert "audiozoo benchmark --dataset esc50 --root" in text
    assert "no lasting checksum" in text
    assert files(tmp_path / "e") == COMPLETE
    assert accepted_licences() == {"esc50": SOURCES["esc50"].licence}
    assert audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "f")[0] == 0
    (cache_folder() / "licences.json").write_text("damaged")
    assert accepted_licences() == {}


def test_the_command_lists_the_datasets(audiozoo):
    status, text, _ = audiozoo("datasets")
    assert status == 0
    assert "speech_commands" in text
    assert "by hand" in text
    assert json.loads(audiozoo("datasets", "--json")[1])["esc50"]["gb"] == 0.6


@pytest.mark.usefixtures("source")
def test_a_server_that_breaks_off_is_named_and_the_next_call_continues(server, tmp_path):
    server.archives["/one.zip"] = zipped(a="first", b="x" * 90_000)
    server.faults.append("breaks off")
    with pytest.raises(OSError, match="run the command again to continue"):
        fetch_dataset("esc50", tmp_path)
    assert (tmp_path / ".archives" / "one.zip.part").is_file()
