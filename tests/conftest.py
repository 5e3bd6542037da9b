"""What the tests share: sounds made on the spot, and the real ones where they are."""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# One clip at a time on small inputs, with a process of tests on each core: more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest
import soundfile

# A shell starts commands in the background with Ctrl-C ignored, and the processes of tests inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The processes of tests inherit a width of 80, which the command line would take for the reader's own.
os.environ.pop("COLUMNS", None)

SHARED = Path(os.environ.get("AUDIOZOO_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep features in a folder of the tests', in this process and in those that it starts, and never in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("AUDIOZOO_CACHE_LIMIT", raising=False)
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def esc50_root():
    root = SHARED / "data" / "ESC-50"
    if not root.is_dir():
        pytest.skip(f"the real ESC-50 is not at {root}; set AUDIOZOO_SHARED to the folder that has data/ESC-50")
    return root


def wait_for(happened, seconds=60, *, every=0.02):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(every)


def tone(hertz, seconds, rate, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def write_sound(tmp_path):
    """Write a wave as a file and return its path."""

    def write(wave, rate=8_000, name="sound.wav", **how):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave, rate, **how)
        return path

    return write


def write_sound_folder(root, rng):
    """Write three classes, six half-second clips of each: low tones, high tones, noise."""
    makers = {
        "low": lambda: tone(rng.uniform(150, 400), 0.5, 8_000),
        "high": lambda: tone(rng.uniform(1_500, 3_000), 0.5, 8_000),
        "noise": lambda: rng.uniform(-0.5, 0.5, 4_000).astype(np.float32),
    }
    for label, make in makers.items():
        (root / label).mkdir(parents=True)
        for number in range(6):
            soundfile.write(root / label / f"{number}.wav", make(), 8_000)
    return root


@pytest.fixture
def sound_folder(tmp_path, rng):
    return write_sound_folder(tmp_path / "sounds", rng)


def documented(kind):
    """Return the names in the Args section of a class's own docstring."""
    sections = re.split(r"^(\w+):", inspect.cleandoc(kind.__dict__["__doc__"]), flags=re.MULTILINE)
    if "Args" not in sections:
        return set()
    return set(re.findall(r"^ {4}(\w+): \S", sections[sections.index("Args") + 1], flags=re.MULTILINE))


def write_mixtures(root, rng, clips=24):
    """Write half-second mixtures of one or two of the classes low, high and noise, and return the table of their labels."""
    makers = {
        "low": lambda: tone(rng.uniform(150, 400), 0.5, 8_000, level=0.3),
        "high": lambda: tone(rng.uniform(1_500, 3_000), 0.5, 8_000, level=0.3),
        "noise": lambda: rng.uniform(-0.2, 0.2, 4_000).astype(np.float32),
    }
    sets = [("low",), ("high",), ("noise",), ("low", "high"), ("high", "noise"), ("low", "noise")]
    root.mkdir(parents=True)
    lines = ["file,label"]
    for number in range(clips):
        labels = sets[number % len(sets)]
        soundfile.write(root / f"{number}.wav", sum(makers[label]() for label in labels), 8_000)
        lines.append(f"{number}.wav,{';'.join(labels)}")
    table = root / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


@pytest.fixture
def mixtures(tmp_path, rng):
    return write_mixtures(tmp_path / "mixtures", rng)


def python_blocks(page):
    """Return the blocks of Python in a page of Markdown."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def audiozoo(capsys, monkeypatch):
    """Run the command line in this process: (exit status, what it printed, what it said on standard error)."""
    from audiozoo import cli

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["audiozoo", *map(str, words)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid
