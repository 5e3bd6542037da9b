"""Names of sounds: folders, patterns, lists and URLs; and sounds at URLs, some of which break off."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone

import audiozoo
from audiozoo import sources
from audiozoo.classifier import Classifier, Failure
from audiozoo.features import LogMel
from audiozoo.sources import expanded, is_url, opened

fsspec = pytest.importorskip("fsspec")

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)


@pytest.fixture(scope="module")
def classifier():
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8))
    return Classifier.from_keras(model, FRONTEND, ["a", "b", "c"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.wav", "b.flac", "deep/c.wav", "deep/er/d.wav", "[e].wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(440, 0.6, 8_000), 8_000)
    (tmp_path / "notes.txt").write_text("no sound")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.wav", "no.wav", "a.wav"], ["a.wav", "no.wav"]),
        (["deep"], ["deep/c.wav", "deep/er/d.wav"]),
        (["*.wav"], ["[e].wav", "a.wav"]),
        (["*"], ["[e].wav", "a.wav", "b.flac"]),
        (["**/*.wav"], ["[e].wav", "a.wav", "deep/c.wav", "deep/er/d.wav"]),
        (["**"], ["[e].wav", "a.wav", "b.flac", "deep/c.wav", "deep/er/d.wav"]),
        (["[ab].*"], ["a.wav", "b.flac"]),
        (["[e].wav"], ["[e].wav"]),
        (["[gone].wav"], ["[gone].wav"]),
        (["*.txt"], ["notes.txt"]),
        (["s3://bucket/door.wav"], ["s3://bucket/door.wav"]),
    ],
)
def test_names(folder, names, expected):
    assert expanded(names) == expected


def test_absolute_patterns(folder):
    assert expanded([f"{folder}/deep/**/*.wav"]) == [f"{folder}/deep/c.wav", f"{folder}/deep/er/d.wav"]


@pytest.mark.parametrize("names", [["*.mp3"], ["nothing/**"], ["memory://nowhere/*.wav"]])
def test_a_pattern_without_sounds(folder, names):
    with pytest.raises(ValueError, match="no sounds in"):
        expanded(names)


def test_no_names_at_all():
    with pytest.raises(ValueError, match="no sounds were named: name files, folders, patterns or a list"):
        expanded([])


def test_lists(folder, monkeypatch):
    (folder / "list.txt").write_bytes("a.wav\r\n\n  \ndeep/ü.wav\nb*.wav\n".encode())
    assert expanded(["deep"], [Path("list.txt")]) == ["deep/c.wav", "deep/er/d.wav", "a.wav", "deep/ü.wav", "b*.wav"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x.wav\ny.wav")))
    assert expanded([], [Path("-")]) == ["x.wav", "y.wav"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.wav\n\xff.wav", "list.txt, line 2: the list must be text in UTF-8"),
        (b"a\0.wav", "list.txt, line 1: a line is the name of a sound file of at most 4,096 bytes without NUL"),
        (b"a.wav\n\n" + b"b" * 5_000, "list.txt, line 3: a line is the name"),
        (b"\n" * 50, "no sounds in list.txt"),
        (b"a.wav\n" * 40, "a list of names may have 0.0 GB, it has more"),
    ],
)
def test_bad_lists(folder, monkeypatch, content, message):
    monkeypatch.setattr(sources, "MOST_LIST_BYTES", 200 if b"bb" not in content else 10_000)
    (folder / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        expanded([], [Path("list.txt")])


def test_a_list_of_a_million_names_takes_no_look_at_the_files(folder, monkeypatch):
    (folder / "list.txt").write_text("\n".join(f"{number}.wav" for number in range(100_000)))
    monkeypatch.setattr(os, "stat", None)
    assert len(expanded([], [Path("list.txt")])) == 100_000


def test_urls():
    assert is_url("s3://bucket/a.wav")
    assert is_url("HF://a/b")
    assert not is_url(r"C:\sounds\a.wav")
    assert not is_url("sounds/a://b")


@pytest.fixture
def remote(folder):
    """Put the sounds into a file system in memory."""
    system = fsspec.filesystem("memory")
    for path in folder.rglob("*.*"):
        if path.is_file():
            system.pipe(f"/sounds/{path.relative_to(folder)}", path.read_bytes())
    yield system
    system.rm("/sounds", recursive=True)


def test_folders_and_patterns_at_urls(remote):
    assert expanded(["memory://sounds/deep"]) == ["memory:///sounds/deep/c.wav", "memory:///sounds/deep/er/d.wav"]
    assert expanded(["memory://sounds/*.flac"]) == ["memory:///sounds/b.flac"]
    assert expanded(["memory://sounds/notes.txt"]) == ["memory://sounds/notes.txt"]


def test_predictions_of_urls_equal_those_of_files(classifier, folder, remote):
    local = list(classifier.predict_many(["a.wav", "b.flac"]))
    found = list(classifier.predict_many(["memory://sounds/a.wav", "memory://sounds/b.flac"]))
    assert [one.source for one in found] == ["memory://sounds/a.wav", "memory://sounds/b.flac"]
    for one, other in zip(found, local, strict=True):
        assert np.allclose(one.scores, other.scores, atol=1e-6)


def test_a_file_that_vanishes_after_it_was_listed(classifier, remote):
    names = expanded(["memory://sounds/*.wav"])
    remote.rm("/sounds/a.wav")
    failed = [one for one in classifier.predict_many(names) if isinstance(one, Failure)]
    assert [one.error for one in failed] == ["memory:///sounds/a.wav: no such file"]


def test_text_at_a_url(classifier, remote):
    [failed] = classifier.predict_many(["memory://sounds/notes.txt"])
    assert failed.error.startswith("memory://sounds/notes.txt: not a sound file")


class Breaking(fsspec.AbstractFileSystem):
    """File system without rights, with errors of its own, or whose files break off."""

    protocol = "breaking"

    def _open(self, path, mode="rb", **options):
        if "rights" in path:
            raise PermissionError(13, "Permission denied")
        if "strange" in path:
            raise RuntimeError("503 slow down")
        return BreakingFile()


class BreakingFile(io.RawIOBase):
    def __init__(self):
        self._blocks = iter([b"RIFF" + bytes(1_000)])

    def read(self, size=-1):
        block = next(self._blocks, None)
        if block is None:
            raise TimeoutError("the connection is gone")
        return block


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rights.wav", "cannot be read (PermissionError: [Errno 13] Permission denied)"),
        ("strange.wav", "cannot be read (RuntimeError: 503 slow down)"),
        ("midway.wav", "cannot be read (TimeoutError: the connection is gone)"),
    ],
)
def test_a_file_system_that_refuses_or_breaks_off(classifier, name, reason):
    fsspec.register_implementation("breaking", Breaking, clobber=True)
    [failed] = classifier.predict_many([f"breaking://{name}"])
    assert failed == Failure(f"breaking://{name}", f"breaking://{name}: {reason}")
    with pytest.raises(OSError, match="cannot be read"):
        list(classifier.predict_many([f"breaking://{name}"], strict=True))


def test_a_sound_at_a_url_is_bounded(monkeypatch, remote):
    monkeypatch.setattr(sources, "MOST_URL_BYTES", 100)
    with (
        pytest.raises(ValueError, match=r"memory://sounds/a\.wav: a sound at a URL may have 0 GB"),
        opened("memory://sounds/a.wav"),
    ):
        pass


def test_packages_that_are_missing(monkeypatch):
    from fsspec import core

    monkeypatch.setattr(core, "url_to_fs", raiser(ImportError("Install s3fs to access S3")))
    with pytest.raises(ImportError, match=r"s3://bucket/a: Install s3fs"):
        expanded(["s3://bucket/a"])
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"s3://bucket/a: a URL needs fsspec: pip install 'audiozoo\[scale\]'"):
        expanded(["s3://bucket/a"])


def raiser(error):
    def raises(*args, **options):
        raise error

    return raises


def command(*words, **options):
    return subprocess.run([sys.executable, "-m", "audiozoo", *map(str, words)], capture_output=True, text=True, **options)


def test_the_command_line(classifier, folder):
    model = folder / "model.audiozoo"
    classifier.save(model)
    (folder / "list.txt").write_text("deep/c.wav\n")
    done = command("predict", model, "*.flac", "--files-from", "list.txt", "--csv", "--top", 1)
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["file", "b.flac", "deep/c.wav"]
    done = command("predict", model)
    assert (done.returncode, "no sounds were named" in done.stderr) == (2, True)
