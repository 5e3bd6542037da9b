"""Published datasets are downloaded archive by archive, verified and unpacked, and an interruption loses nothing."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from test_download_splitzip import SOUNDS, written
from test_download_transfer import Handler, serving

from audiozoo.datasets import SOURCES, Archive, accepted_licences, fetch_dataset, fetching, list_datasets, sources
from audiozoo.download import cache_folder


def zipped(prefix="data/", **files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{prefix}{name}", text)
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
    made = replace(SOURCES["esc50"], archives=archives, most_bytes=100_000, most_files=10)
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
    complete = [one for one in seen if one[1] == one[2]]
    one, two = len(ONE), len(TWO)
    assert complete[:2] == [("download one.zip", one, one), ("unpack one.zip", 10, 10)]
    assert complete[2:] == [("download two.zip", two, two), ("unpack two.zip", 12, 12)]
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
@pytest.mark.parametrize("name", [".archives", ".Archives"])
def test_an_archive_cannot_replace_the_notes(server, tmp_path, name):
    server.archives["/two.zip"] = zipped(prefix=f"{name}/", **{"one.zip.json": "{}", "c": "x"})
    with pytest.raises(ValueError, match=r"has files for \.archives"):
        fetch_dataset("esc50", tmp_path)
    assert json.loads((tmp_path / ".archives" / "one.zip.json").read_text())["unpacked"] is True


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


KILLED = """
import os, sys
from audiozoo.datasets import Archive, Source, fetch_dataset, sources
from audiozoo.download.unpack import _Writer

copied = _Writer._copied
def killed(writer, member, path):
    if member.name.endswith("b"):
        os.kill(os.getpid(), 9)
    return copied(writer, member, path)

_Writer._copied = killed
archives = (Archive(url=sys.argv[1]),)
facts = {"content": "", "classes": 1, "clips": 1, "licence": "", "page": "", "download_gb": 0.0}
sources.SOURCES["esc50"] = Source(archives=archives, most_bytes=10**5, most_files=9, **facts)
fetch_dataset("esc50", sys.argv[2])
"""


def test_a_call_that_is_killed_while_it_unpacks_leaves_nothing_after_the_next(source, server, tmp_path):
    command = [sys.executable, "-c", KILLED, source.archives[0].url, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -9
    assert list((tmp_path / ".archives").glob(".one.zip.unpacked-*/data/a"))
    fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == COMPLETE
    assert sorted(path.name for path in (tmp_path / ".archives").iterdir()) == ["one.zip.json", "two.zip.json"]
    assert len(server.asked) == 2, "the archive that was there is not downloaded again"


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
    with pytest.raises(ValueError, match="bytes that the files may have"):
        fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == {}


def test_an_unknown_name_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'esc50'"):
        fetch_dataset("esc-50", tmp_path)


def test_the_catalogue_is_of_datasets_that_can_be_loaded():
    assert set(SOURCES) <= set(list_datasets())
    for source in SOURCES.values():
        assert source.licence
        assert source.page.startswith("https://")
        for archive in [part for last in source.archives for part in (*last.earlier, last)]:
            kind, _, digest = (archive.checksum or "md5:" + "0" * 32).partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]
            assert int(digest, 16) >= 0
            assert source.most_bytes > 1e9 * source.download_gb / len(source.archives)


LINES = ["filename,fold,target,category,esc10,src_file", "1.wav,1,0,dog,True,7", "2.wav,2,1,crow,False,8"]
ESC50 = {"ESC-50-master/meta/esc50.csv": "\n".join(LINES), "ESC-50-master/audio/1.wav": "", "ESC-50-master/audio/2.wav": ""}


@pytest.mark.usefixtures("source")
def test_the_command_asks_for_the_licence_once_and_counts_the_clips(audiozoo, server, tmp_path, monkeypatch):
    server.archives["/two.zip"] = zipped(prefix="", **ESC50)
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "cache"))
    status, _, text = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "e")
    assert (status, server.asked) == (2, [])
    assert "licence of esc50: CC BY-NC 3.0" in text
    assert "pass --accept" in text
    status, text, _ = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "e", "--accept")
    assert status == 0
    assert "2 clips: audiozoo benchmark --dataset esc50 --root" in " ".join(text.split())
    assert "no lasting checksum" in text
    assert set(files(tmp_path / "e")) == {"data/a", "data/b", *ESC50}
    (tmp_path / "e" / "ESC-50-master" / "audio" / "2.wav").unlink()
    status, _, text = audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "e")
    assert status == 2
    assert re.search(r"2\.wav: .* delete \S+\.archives to download all of esc50 again", " ".join(text.split()))
    assert accepted_licences() == {"esc50": SOURCES["esc50"].licence}
    assert audiozoo("datasets", "fetch", "esc50", "--to", tmp_path / "f")[0] == 0
    (cache_folder() / "licences.json").write_text("damaged")
    assert accepted_licences() == {}


def test_the_command_lists_the_datasets_and_where_they_are(audiozoo, tmp_path):
    base = tmp_path / "esc50" / "ESC-50-master"
    for name, text in ESC50.items():
        (base.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (base.parent / name).write_text(text)
    (tmp_path / "fsd50k" / ".archives").mkdir(parents=True)
    (tmp_path / "fsd50k" / ".archives" / "FSD50K.dev_audio.zip.part").touch()
    status, text, _ = audiozoo("datasets", "--json", "--root", tmp_path)
    found = json.loads(text)
    assert (status, set(found)) == (0, set(SOURCES))
    assert (found["esc50"]["classes"], found["esc10"]["clips"], found["fsd50k"]["metric"]) == (50, 400, "map")
    folders = {name: (facts["folder"], facts["complete"]) for name, facts in found.items() if facts["folder"]}
    esc = (str(tmp_path / "esc50"), True)
    assert folders == {"esc50": esc, "esc10": esc, "fsd50k": (str(tmp_path / "fsd50k"), False)}
    status, text, _ = audiozoo("datasets", "--root", base.parent)
    words = " ".join(text.split())
    assert "name classes clips metric download licence here" in words
    assert "speech_commands" in words
    assert audiozoo("datasets", "--root", base / "meta" / "esc50.csv")[0] == 2


def test_both_statements_of_the_licence_of_urbansound8k_are_shown():
    assert all(f"CC BY-NC {version}" in SOURCES["urbansound8k"].licence for version in ("3.0", "4.0"))


def test_a_split_archive_is_downloaded_in_parts_and_unpacked(server, source, tmp_path, monkeypatch):
    (tmp_path / "made").mkdir()
    parts = written(tmp_path / "made")
    server.archives = {f"/{path.name}": path.read_bytes() for path in parts}
    address = source.archives[0].url.removesuffix("one.zip")
    *earlier, last = [Archive(url=f"{address}{path.name}") for path in parts]
    split = replace(source, archives=(replace(last, earlier=tuple(earlier)),), most_bytes=10**6)
    monkeypatch.setitem(sources.SOURCES, "esc50", split)
    folder = fetch_dataset("esc50", tmp_path / "e")
    assert {f"FSD50K.dev_audio/{path.name}" for path in (folder / "FSD50K.dev_audio").iterdir()} == set(SOUNDS)
    assert [path.name for path in (folder / ".archives").iterdir()] == ["a.zip.json"]


@pytest.mark.usefixtures("source")
def test_a_server_that_breaks_off_is_named_and_the_next_call_continues(server, tmp_path):
    server.archives["/one.zip"] = zipped(a="first", b="x" * 90_000)
    server.faults.append("breaks off")
    with pytest.raises(OSError, match="run the command again to continue"):
        fetch_dataset("esc50", tmp_path)
    assert (tmp_path / ".archives" / "one.zip.part").is_file()
