"""The HTTP service: answers, batches over requests, limits, and uploads that are no sounds."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import numpy as np
import pytest
import soundfile
from conftest import wait_for

from audiozoo import Classifier, Ensemble, audio
from audiozoo.classifier import KerasScorer
from audiozoo.features import LogMel

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")
testclient = pytest.importorskip("starlette.testclient")

from audiozoo.serving import Batches, Limits, create_app  # noqa: E402
from audiozoo.serving.batching import Batcher  # noqa: E402
from audiozoo.serving.workers import keep_to_share, reserved_port  # noqa: E402

RATE = 8_000
FRONTEND = LogMel(sample_rate=RATE, duration=0.5, n_fft=256, hop_length=128, n_mels=16)


def classifier_with(seed, **options):
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Input(FRONTEND.shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential([*layers, keras.layers.Activation("softmax")])
    return Classifier.from_keras(model, FRONTEND, ["a", "b", "c"], **options)


@pytest.fixture(scope="module")
def classifier():
    return classifier_with(0)


def sound(seconds=1.3, seed=0, rate=16_000):
    wave = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format="FLAC")
    return file.getvalue()


@pytest.fixture
def client(classifier):
    with testclient.TestClient(create_app(classifier, limits=Limits(megabytes=0.2, seconds=5.0, waiting=3))) as client:
        yield client


def upload(client, content, name="door.flac", **options):
    return client.post("/predict", files={"file": (name, content)}, **options)


@pytest.mark.parametrize("form", [True, False])
def test_an_upload_is_answered_like_a_file(classifier, client, form):
    answer = upload(client, sound()) if form else client.post("/predict", content=sound())
    expected = classifier.predict(sound())
    assert answer.status_code == 200
    assert answer.json()["file"] == ("door.flac" if form else "upload")
    assert answer.json()["label"] == expected.label
    assert list(answer.json()["scores"]) == ["a", "b", "c"]
    assert np.allclose(list(answer.json()["scores"].values()), expected.scores, atol=1e-6)


def test_top_and_hop(classifier, client):
    answer = upload(client, sound(), params={"top": 2, "hop": 0.1}).json()
    assert answer["scores"] == pytest.approx(dict(classifier.predict(sound(), hop=0.1).top(2)), abs=1e-6)


@pytest.mark.parametrize(
    ("content", "options", "status", "message"),
    [
        (b"no sound at all", {}, 422, "not a sound file"),
        (b"", {}, 422, "empty"),
        (sound()[:-900], {}, 422, "passwd.wav"),
        (sound(5.2, rate=4_000), {}, 422, "lasts 5 s, at most 5 s are allowed"),
        (sound(9, rate=44_100), {}, 413, "larger than 0.2 MB"),
        (sound(), {"top": 0}, 422, "top must be at least 1, got 0"),
        (sound(), {"hop": 0.7}, 422, "hop must be positive"),
        (sound(), {"hop": "often"}, 422, "valid number"),
    ],
)
def test_bad_uploads_are_refused_with_the_last_part_of_their_name(client, content, options, status, message):
    answer = upload(client, content, name="../../etc/\x1b[2Jpasswd.wav", params=options)
    assert answer.status_code == status
    assert message in str(answer.json()["detail"])
    assert ".." not in answer.text
    assert "\\u001b" not in answer.text
    assert "0x" not in answer.text
    assert upload(client, sound()).status_code == 200


@pytest.mark.parametrize(("seconds", "measured", "batches", "status"), [(1.3, 0, 1, 200), (12, 1, 2, 200), (70, 1, 1, 422)])
def test_only_the_header_of_a_sound_of_several_batches_is_read(classifier, monkeypatch, seconds, measured, batches, status):
    calls, measure = [], audio.measure
    monkeypatch.setattr(audio, "measure", lambda source: calls.append(source) or measure(source))
    with testclient.TestClient(create_app(classifier, limits=Limits(seconds=60))) as client:
        assert client.post("/predict", content=sound(seconds, rate=4_000)).status_code == status
        assert len(calls) == measured
        assert f"audiozoo_batch_windows_count {batches}.0" in client.get("/metrics").text


def test_a_form_without_a_file(client):
    answer = client.post("/predict", files={"sound": ("door.flac", sound())})
    assert (answer.status_code, answer.json()["detail"]) == (400, "the form has no file: send the sound as its field 'file'")


def test_the_bytes_count_and_not_what_the_header_states(client):
    answer = client.post("/predict", content=iter([b"\0" * 100_000] * 3), headers={"Content-Length": "10"})
    assert answer.status_code == 413


def test_a_busy_server_refuses_further_requests(classifier, monkeypatch):
    app = create_app(classifier, limits=Limits(waiting=2))
    go, inside = threading.Event(), threading.Semaphore(0)

    def slow(self, windows, outputs=KerasScorer.scores):
        inside.release()
        assert go.wait(20)
        return outputs(self, windows)

    monkeypatch.setattr(KerasScorer, "scores", slow)
    with testclient.TestClient(app) as client, ThreadPoolExecutor(2) as pool:
        first = [pool.submit(upload, client, sound(seed=seed)) for seed in range(2)]
        assert inside.acquire(timeout=20)
        while "waiting_requests 2" not in client.get("/metrics").text:
            pass
        refused = upload(client, sound())
        go.set()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert [one.result().status_code for one in first] == [200, 200]


def test_facts_health_metrics_and_openapi(classifier, client):
    upload(client, sound())
    upload(client, b"no sound")
    facts = client.get("/model").json()
    assert (facts["labels"], facts["sample_rate"], facts["window_s"], facts["hop_s"]) == (["a", "b", "c"], RATE, 0.5, 0.25)
    assert client.get("/health").json() == {"status": "ok"}
    metrics = client.get("/metrics").text
    assert 'audiozoo_requests_total{status="200"} 1.0' in metrics
    assert 'audiozoo_requests_total{status="422"} 1.0' in metrics
    assert "audiozoo_batch_windows_sum 5.0" in metrics
    assert "audiozoo_waiting_requests 0.0" in metrics
    body = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    assert set(body["content"]) == {"multipart/form-data", "application/octet-stream"}
    assert client.get("/docs").status_code == 200


def batcher_with(function, most, *, expects=lambda: False, sizes=None):
    executor = ThreadPoolExecutor(1)
    return Batcher(function, most, expects=expects, executor=executor, watch=[].append if sizes is None else sizes.append)


def test_arrays_share_batches_and_get_their_own_results():
    async def ask():
        sizes, go = [], threading.Event()

        def doubled(array):
            assert go.wait(20)  # the others arrive while the first batch runs
            return array * 2

        batcher = batcher_with(doubled, 5, sizes=sizes)
        arrays = [np.full((2 if value == 3 else 1, 4), value) for value in range(9)]
        asked = [asyncio.ensure_future(batcher(array)) for array in arrays]
        await asyncio.sleep(0)
        go.set()
        return sizes, arrays, await asyncio.gather(*asked)

    sizes, arrays, results = asyncio.run(ask())
    assert all((result == 2 * array).all() for result, array in zip(results, arrays, strict=True))
    assert [len(result) for result in results] == [1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert sizes == [1, 5, 4]


def test_a_batch_waits_for_expected_arrays_but_not_for_ever(monkeypatch):
    monkeypatch.setattr("audiozoo.serving.batching.LINGER", 0.3)

    async def ask(expects):
        sizes = []
        batcher = batcher_with(lambda array: array, 8, expects=expects, sizes=sizes)
        asked = [asyncio.ensure_future(batcher(np.ones((1, 1)))) for _ in range(3)]
        await (asyncio.sleep(0.01) if expects() else asyncio.gather(*asked))
        asked.append(asyncio.ensure_future(batcher(np.ones((1, 1)))))
        await asyncio.gather(*asked)
        return sizes

    assert asyncio.run(ask(lambda: True)) == [4]
    assert asyncio.run(ask(lambda: False)) == [1, 2, 1]


def test_a_full_batch_does_not_wait(monkeypatch):
    monkeypatch.setattr("audiozoo.serving.batching.LINGER", 1e6)

    async def ask():
        batcher = batcher_with(lambda array: array + 1, 4, expects=lambda: True)
        return await asyncio.wait_for(asyncio.gather(*[batcher(np.zeros((2, 1))) for _ in range(2)]), 20)

    assert [result.tolist() for result in asyncio.run(ask())] == [[[1], [1]], [[1], [1]]]


def test_an_error_reaches_each_array_of_the_batch_and_the_next_one_works():
    def refuse(array):
        if (array < 0).any():
            raise ValueError("negative")
        return array

    async def ask():
        batcher = batcher_with(refuse, 8)
        wrong = await asyncio.gather(*[batcher(np.full(2, -1.0)) for _ in range(3)], return_exceptions=True)
        return wrong, await batcher(np.ones(3))

    wrong, right = asyncio.run(ask())
    assert [str(error) for error in wrong] == ["negative"] * 3
    assert right.tolist() == [1, 1, 1]


def test_a_request_that_is_given_up_does_not_disturb_the_others():
    async def ask():
        batcher = batcher_with(lambda array: array * 2, 8, expects=lambda: True)
        given_up, kept = (asyncio.ensure_future(batcher(np.full((1, 1), value))) for value in (1, 2))
        await asyncio.sleep(0)
        given_up.cancel()
        return await kept

    assert asyncio.run(ask()).tolist() == [[4]]


def test_an_application_can_start_again(classifier):
    app = create_app(classifier)
    for _ in range(2):
        with testclient.TestClient(app) as client:
            assert upload(client, sound()).status_code == 200


def test_many_requests_get_the_answers_of_one(classifier, monkeypatch):
    monkeypatch.setattr("audiozoo.serving.batching.LINGER", 60)
    ensemble = Ensemble((classifier, classifier_with(1)), temperature=1.5)
    sounds = [sound(0.3 + seed / 7, seed=seed) for seed in range(12)]

    async def ask(answering, sizes):
        batches = Batches(sizes.append)
        return await asyncio.gather(*[batches.answer(answering.answer_steps(one)) for one in sounds])

    for answering in (classifier, ensemble):
        sizes = []
        answers = asyncio.run(ask(answering, sizes))
        expected = [answering.answer(one) for one in sounds]
        assert np.allclose([one.scores for one in answers], [one.scores for one in expected], atol=1e-6)
        assert max(sizes) > max(len(answering.timeline(one).scores) for one in sounds)


@pytest.mark.parametrize("field", ["megabytes", "seconds", "waiting"])
def test_wrong_limits(field):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


def test_a_missing_extra_names_the_command(classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "audiozoo.serving.routes", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[serve\]'"):
        create_app(classifier)


def test_a_worker_keeps_to_its_share_of_the_cores(monkeypatch):
    shares = []
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {7, 2, 4, 5}, raising=False)
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: shares.append(cores), raising=False)
    for place in range(3):
        keep_to_share(place, 3)
    assert shares == [[2, 7], [4], [5]]
    keep_to_share(0, 5)  # fewer cores than workers
    assert len(shares) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux divides connections between processes")
def test_a_port_is_held_for_workers_alone():
    with reserved_port("127.0.0.1", 0) as port, socket.socket() as other:
        with pytest.raises(OSError, match=f"port {port} .*in use"), reserved_port("127.0.0.1", port):
            pass
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(("127.0.0.1", port))
            listening.listen()
            with (
                pytest.raises(OSError, match=f"port {port} of 127.0.0.1 .*choose another --host or --port"),
                reserved_port("127.0.0.1", port),
            ):
                pass


def test_several_workers_need_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(OSError, match="this is darwin: use --workers 1"), reserved_port("127.0.0.1", 0):
        pass


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def served(path, *options, **how):
    """Run the command; give the process and a client that waits for it."""
    httpx = pytest.importorskip("httpx")
    port = free_port()
    command = [sys.executable, "-m", "audiozoo", "serve", str(path), "--port", str(port), *options]
    transport = httpx.HTTPTransport(retries=60)  # waits longer after each refused connection
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **how) as process:
        try:
            with httpx.Client(transport=transport, timeout=60, base_url=f"http://127.0.0.1:{port}") as client:
                yield process, client
        finally:
            process.terminate()
            process.shown = process.communicate(timeout=60)[1]


def workers_of(process):
    psutil = pytest.importorskip("psutil")
    found = {}
    for one in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            if "spawn_main" in " ".join(one.cmdline()):
                found[one.pid] = one
    return found


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped(classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    with served(tmp_path / "my.audiozoo") as (process, client):
        assert upload(client, sound()).json()["label"] == classifier.predict(sound()).label
    assert "serving" in process.shown


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux divides connections between processes")
def test_workers_count_together_and_are_replaced(classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    with served(tmp_path / "my.audiozoo", "--workers", "2") as (process, client):
        workers = partial(workers_of, process)
        label = classifier.predict(sound()).label
        for asked in range(1, 4):
            assert upload(client, sound()).json()["label"] == label
            assert f'requests_total{{status="200"}} {asked}.0' in client.get("/metrics").text
        wait_for(lambda: all(len(one.net_connections()) for one in workers().values()))
        before = workers()
        next(iter(before.values())).kill()
        wait_for(lambda: len(workers()) == 2 and workers().keys() != before.keys())
        assert client.get("/health").status_code == 200
    assert "with 2 workers" in process.shown
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux divides connections between processes")
@pytest.mark.parametrize("loading", [0.0, 0.5, 3.0])  # seconds
def test_an_interrupt_while_workers_load_ends_them_quietly(classifier, tmp_path, loading):
    classifier.save(tmp_path / "my.audiozoo")
    with served(tmp_path / "my.audiozoo", "--workers", "2", start_new_session=True) as (process, _):
        wait_for(lambda: len(workers_of(process)) == 2, every=0.01)
        time.sleep(loading)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.wait(timeout=60)
    assert "Traceback" not in process.shown
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux divides connections between processes")
def test_workers_that_cannot_load_the_classifier_end_the_command(tmp_path):
    with served(tmp_path / "gone.audiozoo", "--workers", "2") as (process, _):
        process.wait(timeout=60)
    assert "gone.audiozoo: no such file" in process.shown
    assert process.returncode == 2
