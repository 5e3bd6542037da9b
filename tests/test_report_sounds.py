import numpy as np
import pytest
from conftest import tone

from audiozoo import Classifier, build
from audiozoo.cli.console import chosen_frontend
from audiozoo.features import LogMel, Scale, Spectrogram, Stack, Statistics, TrimSilence, Waveform, list_presets, preset
from audiozoo.report import reconstruction_picture, sound_picture
from audiozoo.report.sounds import _figure, _versions, panels_of


def drawn(wave, rate, frontends, clean=()):
    whole = Waveform(sample_rate=rate, channels=1 if wave.ndim == 1 else wave.shape[1])
    columns = [
        (title, [panel for frontend in (whole, *frontends) for panel in panels_of(frontend, sound, rate)])
        for title, sound in _versions("a.wav", wave, rate, clean)
    ]
    return _figure(columns, 0.0)


def test_the_axes_are_in_seconds_and_hertz():
    figure = drawn(tone(997, 1, 8_000), 8_000, [LogMel(sample_rate=8_000, n_fft=512, hop_length=128, n_mels=40)])
    wave, image = [axes for axes in figure.axes if axes.get_xlabel()]
    assert wave.get_xlabel() == image.get_xlabel() == "seconds"
    assert wave.get_xlim() == pytest.approx((0, 1), abs=1e-3)
    assert image.get_xlim() == pytest.approx((0, 1), abs=0.02)
    assert image.get_ylabel() == "frequency, Hz"
    pixels = image.get_images()[0].get_array()
    loudest = int(np.asarray(pixels).mean(axis=1).argmax())
    hertz = dict(zip(image.get_yticks(), (float(label.get_text()) for label in image.get_yticklabels()), strict=True))
    places = sorted(hertz)
    assert np.interp(loudest, places, [hertz[place] for place in places]) == pytest.approx(997, rel=0.2)


def test_before_and_after_cleaning_stand_beside_each_other():
    wave = np.concatenate([np.zeros(4_000, np.float32), tone(500, 0.5, 8_000)])
    figure = drawn(wave, 8_000, [LogMel(sample_rate=8_000, n_fft=256, n_mels=20)], clean=[TrimSilence()])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles.count("a.wav") == titles.count("after TrimSilence") == 1
    lengths = [axes.get_xlim()[1] for axes in figure.axes if axes.get_ylabel() == "amplitude"]
    assert lengths[1] < 0.8 * lengths[0]


def test_each_channel_and_each_part_of_a_stack_has_axes_of_its_own(rng):
    stereo = rng.uniform(-0.5, 0.5, (4_000, 2)).astype(np.float32)
    mel = LogMel(sample_rate=8_000, channels=2, n_fft=256, n_mels=20)
    figure = drawn(stereo, 8_000, [mel, Stack(of=(mel, mel)), Statistics(of=Spectrogram(sample_rate=8_000, n_fft=256))])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles.count("LogMel, channel 2") == 3
    assert "Statistics" in titles


def test_the_picture_is_written_whole_or_not_at_all(write_sound, tmp_path):
    path = write_sound(tone(500, 0.5, 8_000))
    picture = sound_picture(path, [LogMel(sample_rate=8_000, n_fft=256, n_mels=20)], tmp_path / "out" / "a.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="not a sound"):
        sound_picture(b"no sound at all", [LogMel()], tmp_path / "out" / "b.png")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.png"]


def test_front_ends_by_name():
    assert chosen_frontend("logmel", ["n_mels=40", "window=hamming", "top_db=null"]) == LogMel(
        n_mels=40, window="hamming", top_db=None
    )
    for name in list_presets():
        assert chosen_frontend(name) == preset(name)
    assert chosen_frontend("house_cnn", ["n_mels=40"]).n_mels == 40


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("logmell", [], "did you mean 'logmel'"),
        ("logmel", ["n_mel=3"], "did you mean 'n_mels'"),
        ("logmel", ["n_mels"], "NAME=VALUE"),
        ("yamnett", [], "did you mean 'yamnet'"),
    ],
)
def test_refuses_front_ends(name, settings, reason):
    with pytest.raises(ValueError, match=reason):
        chosen_frontend(name, settings)


def test_an_autoencoders_reconstruction_is_drawn(write_sound, tmp_path):
    frontend = Scale(of=LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=250, n_mels=16), by="minmax")
    model = build("joint_autoencoder", 2, input_shape=frontend.shape)
    classifier = Classifier.from_keras(model, frontend, ["a", "b"])
    path = write_sound(tone(500, 0.5, 8_000))
    picture = reconstruction_picture(classifier, path, tmp_path / "again.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    plain = build("joint_autoencoder", 2, input_shape=frontend.shape, reconstruction_weight=0)
    other = Classifier.from_keras(plain, frontend, ["a", "b"])
    with pytest.raises(ValueError, match="unknown layer 'reconstruction'"):
        reconstruction_picture(other, path, tmp_path / "none.png")


def test_channels_of_stereo_are_named_in_their_order(rng):
    stereo = rng.uniform(-0.5, 0.5, (4_000, 2)).astype(np.float32)
    size = {"sample_rate": 8_000, "n_fft": 256, "hop_length": 128, "channels": 2}
    frontends = [Spectrogram(**size, representation="real_imaginary"), LogMel(**size, n_mels=20, deltas=1)]
    titles = [panel.title for frontend in frontends for panel in panels_of(frontend, stereo, 8_000)]
    assert titles == [
        "Spectrogram, real part, channel 1",
        "Spectrogram, imaginary part, channel 1",
        "Spectrogram, real part, channel 2",
        "Spectrogram, imaginary part, channel 2",
        "LogMel, channel 1",
        "LogMel, channel 2",
        "LogMel, derivative 1, channel 1",
        "LogMel, derivative 1, channel 2",
    ]


def test_channels_are_named_by_what_they_are(rng):
    wave = rng.uniform(-0.5, 0.5, 4_000).astype(np.float32)
    size = {"sample_rate": 8_000, "n_fft": 256}
    frontends = [
        Spectrogram(**size, representation="magnitude_phase", compression="db"),
        LogMel(**size, hop_length=128, n_mels=20, deltas=1),
    ]
    panels = [panel for frontend in frontends for panel in panels_of(frontend, wave, 8_000)]
    assert [(panel.title, panel.unit) for panel in panels] == [
        ("Spectrogram, magnitude", "dB"),
        ("Spectrogram, phase", "radians"),
        ("LogMel", "dB"),
        ("LogMel, derivative 1", "per frame"),
    ]
