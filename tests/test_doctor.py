"""Checks of the installation: each problem is found, has its fix, and stops no other check."""

import json
import sys
from importlib import metadata

import pytest

from audiozoo.doctor import CHECKS, Finding, checkup
from audiozoo.doctor import backends as backends_module
from audiozoo.doctor import packages as packages_module
from audiozoo.doctor.backends import check_backend, check_other_backends
from audiozoo.doctor.packages import check_conflicts, check_extras, check_imports, check_python, check_required
from audiozoo.doctor.sounds import check_decoders, check_other_formats, check_resampler, check_stretching
from audiozoo.doctor.storage import check_cache

ANSWER = {"keras": "3.12.0", "backend": "tensorflow", "gpus": 0, "total": 6.0}


@pytest.fixture
def probe(monkeypatch):
    """Replace the program that starts the backend by another one."""

    def replace(text):
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        monkeypatch.setenv("KERAS_HOME", "/nowhere")
        monkeypatch.setattr(backends_module, "_PROBE", text)

    return replace


@pytest.fixture
def installed(monkeypatch):
    """Replace the installed packages: versions and requirements by name."""

    def replace(packages):
        def find(name):
            key = name.lower().replace("_", "-")
            if key not in packages:
                raise metadata.PackageNotFoundError(name)
            return packages[key]

        monkeypatch.setattr(metadata, "version", lambda name: find(name)[0])
        monkeypatch.setattr(metadata, "requires", lambda name: list(find(name)[1]))

    return replace


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program with a given text on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def write(name, text):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return write


def only(check):
    (finding,) = check()
    return finding


def test_this_installation_works(probe, monkeypatch):
    monkeypatch.setattr(packages_module, "_MODULES", {"json": "json"})  # the others take seconds to load
    probe(f"print('noise'); print({json.dumps(ANSWER)!r})")
    found = list(checkup())
    assert not [finding for finding in found if finding.status == "broken"]
    assert {"python", "decoders", "resampler", "signalsmith", "cache", "backends", "backend", "gpu"} <= {
        one.part for one in found
    }
    assert all(finding.fix for finding in found if finding.status == "missing")
    (decoders,) = [finding for finding in found if finding.part == "decoders"]
    assert decoders.detail.endswith("reads WAV, FLAC, AIFF, Ogg Vorbis, Ogg Opus, MP3")


@pytest.mark.slow
def test_the_real_backend_starts():
    assert next(iter(check_backend())).status == "ok"


def test_a_check_that_fails_does_not_stop_the_others(monkeypatch):
    def check_moon():
        yield Finding("moon", "ok", "there")
        raise RuntimeError("no moon")

    monkeypatch.setattr("audiozoo.doctor.all_checks.CHECKS", (check_moon, check_python))
    found = list(checkup())
    assert [(finding.part, finding.status) for finding in found] == [("moon", "ok"), ("moon", "broken"), ("python", "ok")]
    assert "RuntimeError: no moon" in found[1].detail
    assert CHECKS[-1] is check_backend


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    finding = only(check_python)
    assert (finding.status, finding.fix) == ("broken", "make an environment with Python 3.11 or newer")


def test_packages_that_are_missing_or_too_old(installed):
    needs = ["numpy>=2.0", "soxr>=0.4", "keras>=3.12", "jax>=0.5; extra == 'jax'", "winonly; sys_platform == 'never'"]
    installed({"audiozoo": ("1", needs), "numpy": ("1.26.4", []), "keras": ("3.15.1", [])})
    old, absent = check_required()
    assert (old.status, old.detail) == ("broken", "audiozoo needs numpy>=2.0, and numpy 1.26.4 is installed")
    assert old.fix == "pip install 'numpy>=2.0'"
    assert (absent.status, absent.detail) == ("broken", "audiozoo needs soxr>=0.4, which is not installed")
    assert absent.fix == "pip install 'soxr>=0.4'"


def test_packages_that_fit(installed):
    installed({"audiozoo": ("1", ["numpy>=2.0"]), "numpy": ("2.1", [])})
    assert only(check_required).status == only(check_conflicts).status == "ok"


def test_without_an_installed_package_the_versions_are_not_checked(installed):
    installed({})
    assert only(check_required).status == "missing"
    assert list(check_extras()) == []


def test_a_conflict_deep_in_the_tree(installed):
    installed(
        {
            "audiozoo": ("1", ["keras"]),
            "keras": ("3.15", ["Tensor_Flow"]),
            "tensor-flow": ("2.21", ["protobuf<6", "keras"]),
            "protobuf": ("7.1", []),
        }
    )
    finding = only(check_conflicts)
    assert (finding.part, finding.status) == ("conflicts", "broken")
    assert finding.detail == "Tensor_Flow needs protobuf<6, and protobuf 7.1 is installed".replace("Tensor_Flow", "tensor-flow")
    assert finding.fix == "pip install 'protobuf<6'"


def test_rivals_that_install_the_same_modules(installed):
    installed({"audiozoo": ("1", []), "tensorflow": ("2.21", []), "tensorflow-cpu": ("2.20", [])})
    finding = only(check_conflicts)
    assert finding.status == "broken"
    assert finding.fix == "pip uninstall -y tensorflow tensorflow-cpu, then pip install tensorflow"


def test_libraries_that_do_not_load(monkeypatch):
    monkeypatch.setattr(packages_module, "_MODULES", {"json": "json", "nowhere.at_all": "nothing", "nowhere_else": "none"})
    first, second = check_imports()
    assert (first.part, first.status) == ("libraries", "broken")
    assert first.detail == "nowhere.at_all cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"
    assert first.fix == "pip install --upgrade --force-reinstall nothing"
    assert second.detail.startswith("nowhere_else cannot be loaded")


@pytest.mark.slow
def test_the_libraries_of_this_installation_load():
    assert only(check_imports).status == "ok"


def test_a_library_without_mp3(monkeypatch):
    import soundfile

    monkeypatch.setattr(soundfile, "available_subtypes", lambda format: {} if format == "MP3" else {"PCM_16", "VORBIS", "OPUS"})
    works, broken = check_decoders()
    assert "MP3" not in works.detail
    assert (broken.part, broken.status) == ("decoder MP3", "broken")
    assert "pip install --upgrade --force-reinstall soundfile" in broken.fix


def test_a_decoder_that_returns_noise(monkeypatch):
    read = "audiozoo.doctor.sounds.audio.read"
    from audiozoo import audio

    original = audio.read
    monkeypatch.setattr(read, lambda content: (0.1 * original(content)[0], 48_000))
    assert {finding.status for finding in check_decoders()} == {"broken"}


@pytest.mark.parametrize(
    ("module", "check", "fix"),
    [
        ("soundfile", check_decoders, "pip install --force-reinstall soundfile"),
        ("soxr", check_resampler, "pip install --force-reinstall soxr"),
    ],
)
def test_a_library_that_cannot_be_loaded(monkeypatch, module, check, fix):
    monkeypatch.setitem(sys.modules, module, None)
    finding = only(check)
    assert finding.status == "broken"
    assert fix in finding.fix


def test_rubberband_is_optional_but_must_work_if_it_is_there(program):
    own, absent = check_stretching()
    assert own.status == "ok"
    assert (absent.part, absent.status) == ("rubberband", "missing")
    assert "apt install rubberband-cli" in absent.fix
    program("rubberband", "exit 3")
    _, broken = check_stretching()
    assert (broken.part, broken.status) == ("rubberband", "broken")
    assert "apt install rubberband-cli" in broken.fix


def test_ffmpeg_is_optional(program):
    assert "apt install ffmpeg" in only(check_other_formats).fix
    program("ffmpeg", "exit 0")
    assert only(check_other_formats).status == "ok"


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "new" / "cache"))
    finding = only(check_cache)
    assert finding.status == "ok"
    assert "0.0 MB used" in finding.detail
    assert not list(tmp_path.iterdir())
    (tmp_path / "new" / "cache").mkdir(parents=True)
    (tmp_path / "new" / "cache" / "weights.h5").write_bytes(bytes(2_500_000))
    assert "2.5 MB used, features at most 10.7 GB" in only(check_cache).detail


def test_a_cache_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "file" / "cache"))
    finding = only(check_cache)
    assert finding.status == "broken"
    assert "AUDIOZOO_CACHE" in finding.fix


def test_a_limit_that_is_no_size_and_a_full_disk(monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE_LIMIT", "much")
    assert (only(check_cache).part, only(check_cache).status) == ("cache limit", "broken")
    monkeypatch.delenv("AUDIOZOO_CACHE_LIMIT")
    monkeypatch.setattr("audiozoo.doctor.storage._LEAST_FREE", 10**18)
    assert "audiozoo cache clear" in only(check_cache).fix


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ImportError('libcudart.so is missing')", "ImportError: libcudart.so is missing"),
        ("import os; os._exit(9)", "the process ended with status 9"),
        ("print('no answer')", "tensorflow does not start"),
        ("pass", "tensorflow does not start"),
        (f"print({json.dumps(ANSWER | {'total': 5.0})!r})", "a sum of 5.0 instead of 6"),
    ],
)
def test_a_backend_that_does_not_work(probe, text, reason):
    probe(text)
    finding = only(check_backend)
    assert (finding.part, finding.status) == ("backend", "broken")
    assert reason in finding.detail
    assert finding.fix == "pip install --upgrade --force-reinstall keras tensorflow"


def test_a_backend_that_hangs(probe, monkeypatch):
    probe("import time; time.sleep(60)")
    monkeypatch.setattr("audiozoo.doctor.probing.PATIENCE", 0.3)
    assert "it did not end within 0.3 s" in only(check_backend).detail


def test_gpus(probe, program):
    probe(f"print({json.dumps(ANSWER | {'gpus': 2})!r})")
    assert [finding.detail for finding in check_backend()][1] == "tensorflow uses 2 GPU(s)"
    probe(f"print({json.dumps(ANSWER)!r})")
    assert [finding.status for finding in check_backend()][1] == "ok"
    program("nvidia-smi", "exit 0")
    unused = list(check_backend())[1]
    assert (unused.part, unused.status) == ("gpu", "missing")
    assert "tensorflow[and-cuda]" in unused.fix


def test_a_setting_for_a_backend_that_is_not_installed(installed, monkeypatch, tmp_path):
    installed({"tensorflow": ("2.21", [])})
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    _, wrong = check_other_backends()
    assert (wrong.status, wrong.detail) == ("broken", "KERAS_BACKEND chooses 'jax', which is not installed")
    assert wrong.fix == "export KERAS_BACKEND=tensorflow, or install the other: pip install 'audiozoo[jax]'"
    assert list(check_backend()) == []
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "theano"}')
    _, wrong = check_other_backends()
    assert wrong.detail == f"{tmp_path / 'keras.json'} chooses 'theano', which is not installed"
    assert wrong.fix == "export KERAS_BACKEND=tensorflow"
    (tmp_path / "keras.json").write_text("broken")
    assert only(check_other_backends).status == "ok"
    installed({})
    assert only(check_other_backends).status == "broken"


def test_the_verb_ends_with_1_if_a_part_is_broken(audiozoo, monkeypatch):
    found = [Finding("python", "ok", "3.13"), Finding("rubberband", "missing", "absent", "apt install rubberband-cli")]
    monkeypatch.setattr("audiozoo.doctor.checkup", lambda: iter(found))
    status, out, _ = audiozoo("doctor")
    assert status == 0
    assert "everything that audiozoo needs works" in out
    assert "fix: apt install rubberband-cli" in out
    found.append(Finding("soxr", "broken", "absent", "pip install soxr"))
    status, out, _ = audiozoo("doctor")
    assert status == 1
    assert out.splitlines()[-1] == "broken: soxr"
    status, out, _ = audiozoo("doctor", "--json")
    assert status == 1
    assert json.loads(out)[2] == {"part": "soxr", "status": "broken", "detail": "absent", "fix": "pip install soxr"}
