"""Work on a Ray cluster of two nodes on this machine: the same answers and rows as here, also when a node is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone, wait_for

import audiozoo
from audiozoo import load_dataset
from audiozoo.augment import Gain
from audiozoo.augment.files import augment_files, find_sources
from audiozoo.classifier import Classifier, Failure
from audiozoo.cli.planning import Settings, planned
from audiozoo.crossval import benchmark
from audiozoo.datasets import Clip
from audiozoo.datasets.synthetic import synthetic
from audiozoo.features import LogMel, Scaler, extract
from audiozoo.shards import read_predictions

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from ray.cluster_utils import Cluster  # noqa: E402

from audiozoo.scale import RayFiles, RayJobs, RayPieces, cluster, connect  # noqa: E402

# Ray leaves sockets and processes open, and changes its own interfaces.
pytestmark = [
    pytest.mark.scale,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::ray.util.annotations.RayDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)


@pytest.fixture(scope="module")
def nodes():
    """Start a cluster of two nodes with a core each, and let `connect` find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": port}
        started = Cluster(initialize_head=True, head_node_args=head)
        started.client_address = f"ray://127.0.0.1:{port}"
        started.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", started.address)
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the nodes cannot import this file
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture
def passing(nodes):
    """Add a node that a test may kill."""
    return nodes.add_node(num_cpus=1)


def made_classifier(seed=0):
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=seed, filters=(4, 8))
    scaler = Scaler(np.full((16, 1, 1), -40, np.float32), np.full((16, 1, 1), 9, np.float32))
    return Classifier.from_keras(model, FRONTEND, ["a", "b", "c"], scaler=scaler, temperature=1.5)


@pytest.fixture(scope="module")
def classifier():
    return made_classifier()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Write files of 1 to 60 windows, one that is no sound, and the name of one that is not there."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(3)
    paths = []
    for number, seconds in enumerate((0.2, 0.5, 15.3, 0.7, 2.0, 0.4, 1.1, 9.0, *[0.5] * 40)):
        paths.append(str(folder / f"{number:02}.wav"))
        wave = tone(rng.uniform(200, 3_000), seconds, 8_000) + rng.normal(0, 0.05, round(seconds * 8_000))
        soundfile.write(paths[-1], wave, 8_000)
    (folder / "text.wav").write_text("no sound")
    return [*paths[:5], str(folder / "text.wav"), *paths[5:], str(folder / "gone.wav")]


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, Failure):
            assert one == other
        else:
            assert one.source == other.source
            assert np.allclose(one.scores, other.scores, atol=1e-5)
    return True


@pytest.mark.parametrize("hop", [None, 0.1])
def test_predictions_equal_the_local_ones_in_order(nodes, classifier, sounds, hop):
    found = list(classifier.predict_many(sounds, hop=hop, executor=RayFiles()))
    assert same(found, list(classifier.predict_many(sounds, hop=hop)))
    assert sum(isinstance(one, Failure) for one in found) == 2


def test_an_ensemble_and_embeddings(nodes, classifier, sounds):
    short = replace(made_classifier(1), frontend=replace(FRONTEND, duration=0.25).adapt(duration=0.5))
    both = audiozoo.Ensemble((classifier, short))
    assert same(list(both.predict_many(sounds, executor=RayFiles())), list(both.predict_many(sounds)))
    usable = [sound for sound in sounds if "text" not in sound and "gone" not in sound]
    found = list(both.embed_many(usable, statistic="all", executor=RayFiles()))
    assert np.allclose(found, list(both.embed_many(usable, statistic="all")), atol=1e-4)


def test_features_and_copies_equal_the_local_ones(nodes, sounds, tmp_path, monkeypatch):
    clips = [Clip(path, ("",)) for path in sounds]
    here, there = extract(clips, FRONTEND), extract(clips, FRONTEND, executor=RayPieces())
    assert np.allclose(here.values, there.values, atol=1e-3)
    assert np.array_equal(here.readable, there.readable)
    assert here.failures == there.failures
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    written = {}
    for place, executor in (("here", None), ("there", RayPieces())):
        sources = find_sources([path for path in sounds if "gone" not in path], output=place)
        copies, failures = augment_files(sources, Gain(gain_db=(-6, 6)), place, copies=2, seed=5, executor=executor)
        assert len(copies) == 2 * (len(sources) - 1)
        assert len(failures) == 1
        written[place] = {copy.file: (tmp_path / place / copy.file).read_bytes() for copy in copies}
    assert written["here"] == written["there"]


def test_synthetic_sounds_equal_the_local_ones(nodes, tmp_path):
    how = {"clips_per_class": 3, "folds": 2, "duration": 0.3}
    here, there = synthetic(**how), synthetic(tmp_path, executor=RayPieces(), **how)
    assert [Path(clip.path).read_bytes() for clip in there.clips] == [clip.path for clip in here.clips]
    assert [clip.labels for clip in there.clips] == [clip.labels for clip in here.clips]


def refuse(item):
    if item == 40:
        raise OSError("no space for 40")
    return item


def test_pieces_come_in_order_and_an_error_is_the_functions_own(nodes):
    results = RayPieces().mapped(refuse, range(100))
    found = []
    with pytest.raises(OSError, match=r"^no space for 40$"):
        found.extend(results)
    assert found == list(range(32))


def slow(item):
    time.sleep(0.2)
    return item


def test_the_pieces_of_a_lost_node_are_done_again(nodes, passing):
    results = RayPieces().mapped(slow, range(160))
    found = [next(results)]
    nodes.remove_node(passing, allow_graceful=False)
    assert found + list(results) == list(range(160))


def test_strict_and_wrong_arguments(nodes, classifier, sounds):
    executor = RayFiles()
    with pytest.raises(ValueError, match=r"text\.wav: not a sound file"):
        list(classifier.predict_many(sounds, strict=True, executor=executor))
    with pytest.raises(OSError, match=r"gone\.wav: no such file"):
        list(classifier.predict_many(sounds[-1:], strict=True, executor=executor))
    with pytest.raises(ValueError, match="hop must be positive"):
        list(classifier.predict_many(sounds, hop=9, executor=executor))
    assert list(classifier.predict_many([], executor=executor)) == []


def test_a_lost_node_changes_no_answer(nodes, passing, classifier, sounds):
    many = sounds[6:] * 60
    answers = classifier.predict_many(many, executor=RayFiles())
    # Now all nodes work, and the others have no core to spare for what the lost one did.
    found = [next(answers) for _ in range(400)]
    nodes.remove_node(passing, allow_graceful=False)
    found += answers
    expected = list(classifier.predict_many(sounds[6:])) * 60
    assert same(found, expected)


@pytest.fixture
def jobs():
    data = load_dataset("synthetic", clips_per_class=5)
    return planned([data], ["feature_mlp"], [1, 2, 3], [0], Settings(epochs=3)).jobs


def scores(rows):
    return {row.key: (row.score, np.asarray(row.measures.confusion).tolist()) for row in rows}


def test_rows_equal_the_local_ones(nodes, jobs, tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "1")
    local = list(benchmark(jobs, tmp_path / "local", executor="processes"))
    monkeypatch.chdir(tmp_path)
    found = list(benchmark(jobs, "elsewhere", executor=RayJobs(workers=2)))
    assert scores(found) == scores(local)
    assert len(list((tmp_path / "elsewhere").glob("*.json"))) == 3


def stay(folder, doomed):
    """Tell that a job has begun on a node; on the doomed one, stay until the node is lost."""
    node = ray.get_runtime_context().get_node_id()
    (folder / node).touch()
    if node == doomed:
        time.sleep(600)


def test_the_job_of_a_lost_node_runs_again(nodes, passing, jobs, tmp_path):
    begun, failures = tmp_path / "begun", []
    begun.mkdir()

    def lose():
        wait_for((begun / passing.node_id).exists, 120)
        nodes.remove_node(passing, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    how = {"retries": 1, "failed": failures.append, "prepare": partial(stay, begun, passing.node_id)}
    rows = list(benchmark(jobs, tmp_path / "rows", executor=RayJobs(workers=3), **how))
    losing.join()
    assert {row.fold for row in rows} == {1, 2, 3}
    assert [failure.final for failure in failures] == [False]
    assert "the cluster lost it" in str(failures[0])


def test_a_job_that_raises_is_a_failure_with_its_reason(nodes, jobs, tmp_path):
    broken = [replace(jobs[0], test=tuple(replace(clip, path="nowhere.wav") for clip in jobs[0].test))]
    failures = []
    assert list(benchmark(broken, tmp_path, executor=RayJobs(), failed=failures.append)) == []
    assert "nowhere.wav" in str(failures[0])


@pytest.mark.parametrize("address", ["rays", "ray://", "ray://host", "ray://host:x", "http://host:1", "10.0.0.1:6379"])
def test_a_wrong_address(address):
    with pytest.raises(ValueError, match="address is 'ray' or 'ray://HOST:PORT'"):
        connect(address)


def test_no_cluster_at_the_address():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    code = f"from audiozoo.scale import connect; connect('ray://127.0.0.1:{port}')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"ConnectionError: ray://127.0.0.1:{port}: no cluster that this process can use" in done.stderr


def test_a_node_with_another_version_or_without_the_package(nodes, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(ConnectionError, match=r"has .*, and here is audiozoo 0\.0\.1: install this version there"):
        connect()
    monkeypatch.setattr(cluster, "NAME", "no_such_package:__version__")
    with pytest.raises(ConnectionError, match="has no audiozoo, and here"):
        connect()


def test_a_client_of_a_cluster(nodes, classifier, sounds, tmp_path):
    classifier.save(tmp_path / "model.audiozoo")
    command = [sys.executable, "-m", "audiozoo", "predict", str(tmp_path / "model.audiozoo"), *sounds[:5], "--jsonl"]
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = [
        subprocess.run([*command, "--on", on], capture_output=True, text=True, env=variables)
        for on in ("local", nodes.client_address)
    ]
    assert [one.returncode for one in done] == [0, 0], done[1].stderr
    here, there = ([json.loads(line) for line in one.stdout.splitlines()] for one in done)
    assert [one["file"] for one in there] == sounds[:5]
    for one, other in zip(here, there, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-5)


def test_a_killed_run_continues_on_the_command_line(nodes, classifier, sounds, tmp_path):
    model, output = tmp_path / "model.audiozoo", tmp_path / "answers"
    classifier.save(model)
    links = [tmp_path / f"{number:04}.wav" for number in range(1_500)]
    for number, link in enumerate(links):
        link.symlink_to(sounds[6 + number % 40])
    names = tmp_path / "names.txt"
    names.write_text("\n".join(map(str, [*links, sounds[5]])))
    command = [sys.executable, "-m", "audiozoo", "predict", str(model), "--files-from", str(names), "-o", f"{output}/"]
    with subprocess.Popen([*command, "--on", "ray", "--part-size", "100"], env=dict(os.environ)) as process:
        deadline = time.monotonic() + 120
        while len(list(output.glob("part-*.parquet"))) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run([*command, "--on", "ray", "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "text.wav: not a sound file" in done.stderr
    found = read_predictions(output)
    assert sorted(found.files) == sorted(map(str, links))
    expected = {one.source: one.label for one in classifier.predict_many(list(map(str, links)))}
    assert dict(zip(found.files, found.answers, strict=True)) == expected
