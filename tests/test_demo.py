"""The page in the browser: what it shows, what it refuses, and that it loads nothing from elsewhere."""

import io
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import soundfile

from audiozoo import load_classifier
from audiozoo.demo import Showing, demo_app
from audiozoo.demo.showing import transforms
from audiozoo.explain import METHODS, explain
from audiozoo.serving import Limits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MODEL = "house_cnn/esc10"


@pytest.fixture(scope="module")
def showing():
    return Showing({MODEL: MODEL, "again": MODEL}, Limits(megabytes=2, seconds=20))


@pytest.fixture
def sound(tmp_path):
    def write(seconds, name="rain.flac", rate=8_000):
        wave = np.random.default_rng(0).uniform(-0.6, 0.6, round(seconds * rate))
        soundfile.write(tmp_path / name, wave, rate)
        return str(tmp_path / name)

    return write


def test_the_scores_are_those_of_predict(showing, sound):
    path = sound(2)
    assert showing.scores(path, MODEL) == dict(load_classifier(MODEL).predict(path).top(5))
    assert showing.classifier(MODEL) is showing.classifier(MODEL)


def test_pictures_of_a_short_and_a_long_sound(showing, sound):
    short, long = sound(0.05), sound(12, name="long.flac")
    for path in (short, long):
        picture = showing.picture(path)
        assert picture.ndim == 3
        assert picture[..., :3].std() > 0.05, "the picture is not of one colour"
    assert showing.timeline(short, MODEL) is None
    assert showing.timeline(long, MODEL).ndim == 3


@pytest.mark.parametrize("method", METHODS)
def test_the_explanation_is_that_of_explain(showing, sound, method):
    path = sound(7)
    picture, (rate, wave) = showing.why(path, MODEL, "rain", method)
    start, end, _ = explain(load_classifier(MODEL), path, label="rain", method=method).stretch()
    assert (rate, len(wave)) == (8_000, pytest.approx(8_000 * (end - start), abs=1))
    assert picture[..., :3].std() > 0.05
    with pytest.raises(ValueError, match="class"):
        showing.why(path, MODEL, "trombone", method)


@pytest.mark.parametrize("name", transforms())
def test_every_transform_of_the_page_changes_a_sound(showing, sound, name):
    path = sound(1)
    rate, wave = showing.augmented(path, name, 3)
    again = showing.augmented(path, name, 3)[1]
    original = soundfile.read(path)[0]
    assert rate == 8_000
    assert np.abs(wave).max() <= 1
    assert np.array_equal(wave, again)
    assert wave.shape != original.shape or not np.allclose(wave, original, atol=1e-4)


def test_bad_sounds_and_names_are_refused(showing, sound, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    (tmp_path / "large.wav").write_bytes(b"\0" * 2_000_001)
    for path, message in [
        (str(tmp_path / "bad.wav"), "not a sound file"),
        (str(tmp_path / "large.wav"), r"has 2\.0 MB, at most 2 MB"),
        (sound(21, rate=4_000), "lasts 21 s, at most 20 s"),
    ]:
        with pytest.raises(ValueError, match=message):
            showing.scores(path, MODEL)
        with pytest.raises(ValueError, match=message):
            showing.augmented(path, "Gain", 0)
    with pytest.raises(ValueError, match="model"):
        showing.scores(sound(1), "../secret.audiozoo")
    with pytest.raises(ValueError, match="transform"):
        showing.augmented(sound(1), "Transform", 0)


def test_a_page_needs_a_classifier_and_gradio(monkeypatch):
    with pytest.raises(ValueError, match="at least one classifier"):
        demo_app([])
    monkeypatch.setitem(sys.modules, "audiozoo.demo.page", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[demo\]'"):
        demo_app([MODEL])


@pytest.fixture
def address():
    pytest.importorskip("gradio")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "audiozoo", "demo", MODEL, "yamnet", "--port", str(port), "--max-seconds", "20"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.25)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def sounds_for_upload():
    rain = io.BytesIO()
    soundfile.write(rain, np.random.default_rng(0).uniform(-0.6, 0.6, 96_000), 8_000, format="WAV")
    return {"rain.wav": rain.getvalue(), "bad.wav": b"no sound at all"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_browser_uploads_a_sound_and_sees_the_answer(address):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 900})
        page.set_default_timeout(60_000)
        hosts, refused = set(), []
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
        page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
        page.goto(address)
        files = {name: {"name": name, "mimeType": "audio/wav", "buffer": data} for name, data in sounds_for_upload().items()}
        page.get_by_role("button", name="Classify").wait_for()
        page.get_by_role("button", name="Classify").click()
        page.get_by_text("Drop a sound or record one first.").wait_for()
        page.set_input_files("input[type=file]", files["rain.wav"])
        page.locator("audio, .waveform-container, [aria-label='Play']").first.wait_for(state="attached")
        page.get_by_role("button", name="Classify").click()
        page.get_by_text("%").first.wait_for()
        images = page.locator("img[src*='file=']")
        images.nth(1).wait_for()  # the spectrogram, and the scores over time of the twelve seconds
        assert images.count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_text("Why this answer?").click()
        page.get_by_role("button", name="Explain").click()
        page.get_by_text("The stretch that decided").wait_for()
        page.wait_for_function("document.querySelectorAll('img[src*=\"file=\"]').length == 3")
        page.get_by_text("Augmentation by ear").click()
        page.get_by_role("button", name="Change the sound").click()
        page.get_by_text("Scores of the changed sound").wait_for()
        page.reload()
        page.set_input_files("input[type=file]", files["bad.wav"])
        page.wait_for_timeout(1_500)
        page.get_by_role("button", name="Classify").click()
        page.get_by_text("bad.wav: not a sound file").wait_for()
        browser.close()
    assert hosts == {address.split("/")[2]}
    assert refused == []
