"""The HTTP service: answers, batches over requests, limits, and uploads that are no sounds."""

import io
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from audiozoo import Classifier, Ensemble
from audiozoo.classifier import KerasScorer
from audiozoo.features import LogMel

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")
testclient = pytest.importorskip("starlette.testclient")

from audiozoo.serving import Batcher, Limits, batched_scorers, create_app  # noqa: E402

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


def test_threads_share_batches_and_get_their_own_results():
    sizes, together = [], threading.Barrier(9)

    def doubled(array):
        sizes.append(len(array))
        if len(sizes) == 1:
            together.wait(20)  # the others arrive while the first batch runs
            while len(batcher._waiting) < 8:
                pass
        return array * 2

    batcher = Batcher(doubled, 5)

    def ask(value):
        if value:
            together.wait(20)
        return batcher(np.full((2 if value == 3 else 1, 4), value))

    with ThreadPoolExecutor(9) as pool:
        results = list(pool.map(ask, range(9)))
    assert all((result == 2 * value).all() for value, result in enumerate(results))
    assert [len(result) for result in results] == [1, 1, 1, 2, 1, 1, 1, 1, 1]
    assert sum(sizes) == 10
    assert max(sizes) <= 5
    assert len(sizes) <= 4


def test_an_error_reaches_every_thread_of_the_batch_and_the_next_one_works():
    def refuse(array):
        if (array < 0).any():
            raise ValueError("negative")
        return array

    batcher = Batcher(refuse, 8)
    with pytest.raises(ValueError, match="negative"):
        batcher(np.full(2, -1.0))
    assert batcher(np.ones(3)).tolist() == [1, 1, 1]


def test_many_threads_get_the_answers_of_one(classifier):
    ensemble = Ensemble((classifier, classifier_with(1)), temperature=1.5)
    sounds = [sound(0.3 + seed / 7, seed=seed) for seed in range(12)]
    for answering in (classifier, ensemble):
        served = batched_scorers(answering)
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(served.predict, sounds))
        expected = [answering.predict(one) for one in sounds]
        assert [one.label for one in answers] == [one.label for one in expected]
        assert np.allclose([one.scores for one in answers], [one.scores for one in expected], atol=1e-6)


@pytest.mark.parametrize("field", ["megabytes", "seconds", "waiting"])
def test_wrong_limits(field):
    with pytest.raises(ValueError, match=field):
        Limits(**{field: 0})


def test_a_missing_extra_names_the_command(classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "audiozoo.serving.routes", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[serve\]'"):
        create_app(classifier)


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped(classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "audiozoo", "serve", str(tmp_path / "my.audiozoo"), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            httpx = pytest.importorskip("httpx")
            transport = httpx.HTTPTransport(retries=60)  # waits longer after each refused connection
            with httpx.Client(transport=transport, timeout=60) as client:
                answer = client.post(f"http://127.0.0.1:{port}/predict", files={"file": ("door.flac", sound())})
            assert answer.json()["label"] == classifier.predict(sound()).label
        finally:
            process.terminate()
        assert "serving" in process.communicate(timeout=30)[1]
