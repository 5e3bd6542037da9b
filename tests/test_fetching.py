"""Published datasets are downloaded archive by archive, verified and unpacked, and an interruption loses nothing."""

import hashlib
import io
import json
import zipfile
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
            self.server.content = self.server.archives[self.path]
            super().do_GET()

    with serving(Several) as running:
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
    note = tmp_path / ".archives" / "two.zip.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "unpacked": False}))
    server.archives["/two.zip"] = ONE
    with pytest.raises(ValueError, match="does not have the checksum sha256"):
        fetch_dataset("esc50", tmp_path)
    assert files(tmp_path) == COMPLETE


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
