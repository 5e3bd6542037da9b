"""Energy of trainings and predictions, estimated by codecarbon."""

import importlib.util
import json
import logging
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest

from audiozoo import load_dataset
from audiozoo.crossval import Energy, benchmark, fold_jobs, read_row
from audiozoo.crossval.energy import Reading, metered, require_codecarbon
from audiozoo.training import Recipe

INSTALLED = pytest.mark.skipif(importlib.util.find_spec("codecarbon") is None, reason="needs the extra codecarbon")


class Tracker:
    """Tracker that finds 0.5 kWh, or nothing if it is broken."""

    made = ()
    broken = False

    def __init__(self, **settings):
        self.settings, self.state = settings, "made"
        Tracker.made = (*Tracker.made, self)

    def start(self):
        self.state = "running"

    def stop(self):
        self.state = "stopped"
        if not self.broken:
            self.final_emissions_data = types.SimpleNamespace(energy_consumed=0.5)


@pytest.fixture
def tracker(monkeypatch):
    module = types.ModuleType("codecarbon")
    module.OfflineEmissionsTracker = Tracker
    module.__spec__ = importlib.util.spec_from_loader("codecarbon", loader=None)
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    monkeypatch.setattr("audiozoo.crossval.energy._version", lambda: "9.8")
    monkeypatch.setattr("audiozoo.crossval.energy._SECONDS", 0.0)
    monkeypatch.setattr(Tracker, "made", ())
    return Tracker


def synthetic_jobs():
    data = load_dataset("synthetic", clips_per_class=2, folds=2)
    return fold_jobs(data, "feature_mlp", folds=[1], recipe=Recipe(epochs=1, batch_size=4, validation=0.0))


@pytest.mark.slow
def test_a_row_has_the_energy_if_asked(tmp_path, tracker):
    jobs = synthetic_jobs()
    [without] = benchmark(jobs, tmp_path / "without")
    assert (without.energy, tracker.made) == (None, ())
    [row] = benchmark(jobs, tmp_path / "with", energy=True)
    assert row.energy == Energy(kwh_training=0.5, kwh_per_thousand=500, estimated=True, tool="codecarbon 9.8")
    path = tmp_path / "with" / jobs[0].file_name
    assert json.loads(path.read_text())["energy"]["estimated"] is True
    assert read_row(path) == row
    assert row.key == without.key, "the energy is not part of the request"
    assert [each.state for each in tracker.made] == ["stopped", "stopped"]


def test_a_training_without_an_estimate_still_has_a_row(tmp_path, tracker, monkeypatch):
    monkeypatch.setattr(tracker, "broken", True)
    with pytest.warns(UserWarning, match="has not estimated the energy"):
        [row] = benchmark(synthetic_jobs(), tmp_path, energy=True)
    assert row.energy is None
    assert list(tmp_path.glob("*.json"))


def test_the_tracker_stops_after_an_error(tracker):
    with pytest.raises(ZeroDivisionError), metered() as reading:
        _ = 1 / 0
    assert ([each.state for each in tracker.made], reading.kwh) == (["stopped"], None)


def test_the_energy_of_predictions_is_that_of_a_thousand(tracker, monkeypatch):
    clock = types.SimpleNamespace(perf_counter=iter(range(100)).__next__)
    monkeypatch.setattr("audiozoo.crossval.energy.time", clock)
    monkeypatch.setattr("audiozoo.crossval.energy._SECONDS", 5.0)
    called = []
    energy = Energy.of(Reading(0.123456), [lambda: called.append("a"), lambda: called.append("b")])
    assert called == ["a", "b", "a", "b", "a"]
    assert (energy.kwh_training, energy.kwh_per_thousand) == (0.1235, 100)


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_an_energy_is_not_negative(wrong):
    with pytest.raises(ValueError, match="kwh_training"):
        Energy(kwh_training=wrong, kwh_per_thousand=0)


def test_without_codecarbon_the_error_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for start in (require_codecarbon, lambda: list(benchmark([], tmp_path, energy=True)), lambda: metered().__enter__()):
        with pytest.raises(ImportError, match=r'pip install "audiozoo\[codecarbon\]"'):
            start()


@INSTALLED
def test_codecarbon_uses_no_network_and_leaves_no_file(tmp_path, monkeypatch, capfd):
    def refuse(*_, **__):
        pytest.fail("a connection to the network")

    # The user's own settings must not make the offline tracker connect, or write a file.
    for name, value in {"ELECTRICITYMAPS_API_TOKEN": "token", "CO2_SIGNAL_API_TOKEN": "token"}.items():
        monkeypatch.setenv(f"CODECARBON_{name}", value)
    for name, value in {"EMISSIONS_ENDPOINT": "http://192.0.2.1", "SAVE_TO_FILE": "true", "LOG_LEVEL": "debug"}.items():
        monkeypatch.setenv(f"CODECARBON_{name}", value)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with metered() as reading:
        sum(range(3_000_000))
    assert 0 < reading.kwh < 0.01
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("codecarbon").isEnabledFor(logging.ERROR)


def test_the_command_fails_at_once_without_codecarbon(tmp_path):
    if importlib.util.find_spec("codecarbon"):
        pytest.skip("codecarbon is installed")
    command = [sys.executable, "-m", "audiozoo", "benchmark", "--energy", "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 2
    assert 'pip install "audiozoo[codecarbon]"' in done.stderr
    assert not (tmp_path / "out").exists()
