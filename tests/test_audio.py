import io
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone
from hypothesis import given
from hypothesis import strategies as st

from audiozoo import audio
from audiozoo.features import LogMel, Waveform

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

FORMATS = [
    ("wav", "PCM_U8", 1e-2),
    ("wav", "PCM_16", 1e-4),
    ("wav", "PCM_24", 1e-6),
    ("wav", "PCM_32", 1e-6),
    ("wav", "FLOAT", 0),
    ("wav", "DOUBLE", 1e-7),
    ("flac", "PCM_16", 1e-4),
    ("aiff", "PCM_16", 1e-4),
    ("ogg", "VORBIS", 0.05),
    ("mp3", "MPEG_LAYER_III", 0.05),
]


@pytest.mark.parametrize(("suffix", "subtype", "tolerance"), FORMATS)
def test_reads_every_format(write_sound, suffix, subtype, tolerance):
    wave = tone(440, 1.0, 16_000)
    path = write_sound(wave, 16_000, f"a.{suffix}", subtype=subtype)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        read, rate = audio.read(source)
        assert (read.dtype, rate, read.ndim) == (np.float32, 16_000, 1)
        assert np.abs(read[2_000:12_000] - wave[2_000:12_000]).max() <= tolerance


@pytest.mark.parametrize(("suffix", "subtype", "tolerance"), FORMATS)
@pytest.mark.parametrize("start", [0.5, 1.5, 3.1])
def test_a_span_of_any_format_is_that_part_of_the_whole(write_sound, suffix, subtype, tolerance, start):
    seconds = np.arange(4 * 16_000) / 16_000
    chirp = (0.5 * np.sin(2 * np.pi * (200 + 150 * seconds) * seconds)).astype(np.float32)
    path = write_sound(chirp, 16_000, f"chirp.{suffix}", subtype=subtype)
    whole, part = audio.read(path)[0], audio.read(path, start=start, end=start + 0.4)[0]
    first = round(start * 16_000)
    assert np.abs(part - whole[first : first + 6_400]).max() < 1e-4


def test_a_file_that_claims_an_unknown_length_is_named(write_sound):
    path = write_sound(tone(440, 1, 8_000), name="stream.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the lower half of byte 21 and the next four are FLAC's number of samples; 0 means unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"stream\.flac: .*Convert it"):
        audio.read(path)


def test_a_name_that_is_no_text_is_read(write_sound, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9ll.wav")
    shutil.copy(write_sound(tone(440, 1, 8_000)), path)
    assert len(audio.read(path)[0]) == 8_000


def test_reads_a_span(write_sound):
    wave = np.linspace(-0.5, 0.5, 8_000, dtype=np.float32)
    path = write_sound(wave, subtype="FLOAT")
    read, _ = audio.read(path, start=0.25, end=0.5)
    assert np.array_equal(read, wave[2_000:4_000])
    assert len(audio.read(path, start=0.5, end=99)[0]) == 4_000
    assert audio.measure(path) == (1.0, 8_000, 1)


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0.5, 0.5), (0.6, 0.5), (float("nan"), 1)])
def test_refuses_an_impossible_span(write_sound, start, end):
    with pytest.raises(ValueError, match="0 <= start < end"):
        audio.read(write_sound(tone(440, 1, 8_000)), start=start, end=end)


def test_span_beyond_the_end_says_how_long_the_file_is(write_sound):
    with pytest.raises(ValueError, match=r"sound\.wav.*lasts 1\.000 s"):
        audio.read(write_sound(tone(440, 1, 8_000)), start=2)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
        audio.read(tmp_path / "nowhere.wav")
    with pytest.raises(ValueError, match="got a folder"):
        audio.read(tmp_path)


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"no sound at all" * 9, "not a sound file")])
def test_refuses_what_is_no_sound(tmp_path, content, reason):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.wav.*{reason}"):
        audio.read(path)
    with pytest.raises(ValueError, match=reason):
        audio.read(content)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_refuses_a_file_cut_short(write_sound, suffix):
    path = write_sound(tone(440, 1, 8_000), name=f"whole.{suffix}")
    cut = path.with_name(f"cut.{suffix}")
    cut.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(ValueError, match=r"cut\.\w+: (cut short|not a sound file that libsndfile reads, or damaged)"):
        audio.read(cut)


def test_a_harmless_trailing_byte_is_no_cut(write_sound):
    path = write_sound(tone(440, 1, 8_000))
    path.write_bytes(path.read_bytes() + b"\0")
    assert len(audio.read(path)[0]) == 8_000


def test_refuses_no_samples_and_nan(write_sound):
    with pytest.raises(ValueError, match="no samples"):
        audio.read(write_sound(np.zeros(0, np.float32)))
    with pytest.raises(ValueError, match="NaN"):
        audio.read(write_sound(np.full(100, np.nan, np.float32), subtype="FLOAT"))


def test_check_wave_gives_float32_without_a_copy():
    wave = np.zeros(10, np.float32)
    assert audio.check_wave(wave, 8_000)[0] is wave
    assert audio.check_wave(np.zeros(10), 8_000)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("wave", "rate", "reason"),
    [
        (np.zeros(10), None, "sample rate"),
        (np.zeros(10), 0, "from 50 to 10000000 Hz"),
        (np.zeros(10, np.int16), 8_000, "divide"),
        (np.zeros((2, 100)), 8_000, r"wave\.T"),
        (np.zeros((2, 3, 4)), 8_000, "shape"),
        (np.zeros(0), 8_000, "shape"),
        (np.array([np.inf, 0]), 8_000, "infinity"),
        (np.array([np.nan, 0]), 8_000, "NaN"),
        (np.array([1e300, 0]), 8_000, "magnitudes"),
    ],
)
def test_check_wave_refuses(wave, rate, reason):
    with pytest.raises(ValueError, match=reason):
        audio.check_wave(wave, rate)


def test_mixes_eight_channels_down_and_one_up(rng):
    eight = rng.uniform(-1, 1, (100, 8)).astype(np.float32)
    assert np.allclose(audio.set_channels(eight, 1), eight.mean(axis=1), atol=1e-6)
    mono = eight[:, 0]
    assert np.array_equal(audio.set_channels(mono, 2), np.stack([mono, mono], axis=1))
    assert audio.set_channels(eight, 8) is eight
    with pytest.raises(ValueError, match="8 channels into 2"):
        audio.set_channels(eight, 2)


def test_resamples_a_tone_to_the_same_pitch():
    wave = audio.resample(tone(1_000, 1, 44_100), 44_100, 16_000)
    assert len(wave) == 16_000
    assert np.abs(np.fft.rfft(wave)).argmax() == 1_000


def test_load_brings_a_file_to_rate_and_channels(write_sound, rng):
    path = write_sound(rng.uniform(-1, 1, (4_410, 2)), 44_100)
    assert audio.load(path, sample_rate=22_050).shape == (2_205,)
    assert audio.load(path, sample_rate=22_050, channels=2).shape == (2_205, 2)
    with pytest.raises(ValueError, match=r"sound\.wav.*2 channels into 3"):
        audio.load(path, sample_rate=22_050, channels=3)


def test_a_sample_that_vanishes_in_resampling_is_an_error():
    with pytest.raises(ValueError, match="too short"):
        audio.conform(np.float32([0.5]), 48_000, sample_rate=100)


def test_fit_pads_and_crops(rng):
    wave = np.arange(1, 6, dtype=np.float32)
    assert audio.fit(wave, 7).tolist() == [1, 2, 3, 4, 5, 0, 0]
    assert audio.fit(wave, 12, pad="repeat").tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2]
    assert audio.fit(wave, 2, crop="start").tolist() == [1, 2]
    assert {audio.fit(wave, 4, crop="random", rng=rng)[0] for _ in range(50)} == {1, 2}
    assert audio.fit(np.stack([wave, wave], axis=1), 7).shape == (7, 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"length": 0}, "positive"), ({"pad": "mirror"}, "pad"), ({"crop": "end"}, "crop"), ({"crop": "random"}, "rng")],
)
def test_fit_refuses(options, reason):
    with pytest.raises(ValueError, match=reason):
        audio.fit(np.zeros(9, np.float32), **{"length": 5, **options})


@given(samples=st.integers(1, 500), length=st.integers(1, 100), data=st.data())
def test_windows_cover_every_sample_once_or_more(samples, length, data):
    hop = data.draw(st.integers(1, length))
    starts = [start for start, _ in audio.cut([np.zeros(samples, np.float32)], length, hop)]
    covered = {i for start in starts for i in range(start, min(start + length, samples))}
    assert covered == set(range(samples))
    assert starts == sorted(set(starts))
    assert starts[-1] + length == samples or starts == [0]
    if samples == length:
        assert starts == [0]


def test_reads_real_clips(esc50_root):
    for path in sorted((esc50_root / "audio").iterdir())[:20]:
        wave = audio.load(path, sample_rate=22_050, end=5.0)
        assert wave.ndim == 1
        assert 0 < len(wave) <= 110_250


def test_soundfile_agrees_with_the_copy_of_a_file(write_sound, tmp_path):
    path = write_sound(tone(440, 1, 8_000))
    shutil.copy(path, tmp_path / "LOUD.WAV")
    assert np.array_equal(audio.read(tmp_path / "LOUD.WAV")[0], soundfile.read(path, dtype="float32")[0])


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("audiozoo.audio.files._BLOCK", 3_001)


@pytest.mark.parametrize(("extension", "channels"), [("wav", 2), ("flac", 1), ("ogg", 2), ("mp3", 1)])
@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_pieces_are_the_whole(write_sound, rng, monkeypatch, extension, channels, rate):
    shape = (20_000, channels) if channels > 1 else (20_000,)
    path = write_sound(0.3 * rng.standard_normal(shape), rate=16_000, name=f"a.{extension}")
    for span in ({}, {"start": 0.2, "end": 0.9}):
        monkeypatch.setattr("audiozoo.audio.files._BLOCK", 2**20)
        whole = audio.load(path, sample_rate=rate, channels=channels, **span)
        monkeypatch.setattr("audiozoo.audio.files._BLOCK", 3_001)
        pieces = list(audio.stream(path, sample_rate=rate, channels=channels, **span))
        assert len(pieces) > 3
        assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
def test_a_late_span_is_that_of_the_whole(write_sound, rng, extension):
    path = write_sound(0.3 * rng.standard_normal((80_000, 2)), rate=16_000, name=f"a.{extension}")
    whole, _ = audio.read(path)
    for start in (0.3, 1.0, 1.7003, 4.25):
        span, _ = audio.read(path, start=start, end=start + 0.5)
        first = round(start * 16_000)
        assert np.allclose(span, whole[first : first + len(span)], atol=1e-6)


def test_a_bad_sample_late_in_a_file_is_found(write_sound, small_blocks):
    wave = np.zeros(20_000, np.float32)
    wave[15_000] = np.nan
    path = write_sound(wave, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"sound\.wav: contains NaN"):
        list(audio.stream(path, sample_rate=8_000))


def test_pieces_that_cannot_be_mixed_are_told_with_the_file(write_sound, small_blocks):
    path = write_sound(np.zeros((20_000, 3)))
    with pytest.raises(ValueError, match=r"sound\.wav: cannot turn 3 channels into 2"):
        list(audio.stream(path, sample_rate=8_000, channels=2))


def test_cut_holds_no_more_than_a_window_and_a_piece(rng):
    wave = rng.uniform(-1, 1, 50_000).astype(np.float32)
    held = []

    def pieces():
        for start in range(0, len(wave), 500):
            yield wave[start : start + 500]

    for start, window in audio.cut(pieces(), 1_000, 300):
        assert np.array_equal(window, wave[start : start + 1_000])
        held.append(len(window.base) if window.base is not None else len(window))
    assert max(held) <= 2_000


@pytest.mark.parametrize(("hop", "last", "reason"), [(0, "align", "hop"), (11, "align", "hop"), (5, "cut", "last")])
def test_cut_refuses(hop, last, reason):
    with pytest.raises(ValueError, match=reason):
        list(audio.cut([np.zeros(20)], 10, hop, last=last))


def with_rate(path, rate):
    """State another sample rate in the header of a WAV file."""
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("rate", [1, 7, 49, 10_000_001, 2**31 - 1])
def test_a_rate_that_no_recorder_has_is_refused(write_sound, rate):
    path = with_rate(write_sound(np.zeros(100_000, np.float32)), rate)
    for reading in (audio.measure, audio.read, lambda source: audio.load(source, sample_rate=22_050)):
        with pytest.raises(ValueError, match=rf"sound\.wav: the sample rate must be from 50 to 10000000 Hz, got {rate};"):
            reading(path)


@pytest.mark.parametrize("rate", [50, 10_000_000])
def test_rates_at_the_bounds_are_read(write_sound, rate):
    path = with_rate(write_sound(np.full(100_000, 0.25, np.float32)), rate)
    assert audio.read(path)[1] == rate
    wave = audio.load(path, sample_rate=1_000)
    assert len(wave) == 100_000 * 1_000 // rate
    assert np.abs(wave - 0.25).max() < 0.3


def test_a_resampling_to_many_times_the_length_is_refused(write_sound):
    path = with_rate(write_sound(np.zeros(100_000, np.float32)), 1_000)
    assert audio.load(path, sample_rate=24_000, end=1).shape == (24_000,)
    with pytest.raises(ValueError, match=r"sound\.wav: cannot resample from 1000 Hz to 24001 Hz: .* at most 24 times"):
        audio.load(path, sample_rate=24_001)
    with pytest.raises(ValueError, match="at most 24 times"):
        audio.resample(np.zeros(9, np.float32), 1, 22_050)


@pytest.mark.parametrize("target", [0, -1, float("nan")])
def test_resampling_needs_positive_rates(target):
    with pytest.raises(ValueError, match="rates must be positive"):
        audio.resample(np.zeros(9, np.float32), 8_000, target)


def test_absurd_channels_are_refused(write_sound):
    path = write_sound(np.zeros((50, 2)))
    content = bytearray(path.read_bytes())
    content[22:24], content[32:34] = (1_000).to_bytes(2, "little"), (2_000).to_bytes(2, "little")
    path.write_bytes(content + bytes(2_000))
    with pytest.raises(ValueError, match=r"sound\.wav: the number of channels must be positive and at most 256, got 1000"):
        audio.read(path)


def peak_memory(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_that_promises_samples_costs_no_memory(write_sound):
    flac, wav = (write_sound(tone(440, 1, 8_000), name=f"sound.{suffix}") for suffix in ("flac", "wav"))
    content = bytearray(flac.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0 | 15]) + b"\xff" * 4  # FLAC's number of samples: 2^36 - 1
    flac.write_bytes(content)
    assert audio.measure(flac)[0] > 8e6

    def reading():
        with pytest.raises(ValueError, match=r"sound\.flac"):
            audio.load(flac, sample_rate=8_000)

    assert peak_memory(reading) < 2**25
    content = bytearray(wav.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    wav.write_bytes(content)
    assert peak_memory(lambda: audio.load(wav, sample_rate=16_000)) < 2**25


@pytest.mark.parametrize(("shape", "rate"), [((100_000,), 2_000), ((30_000, 40), 48_000), ((300_000, 2), 24_000)])
def test_pieces_are_bounded_before_and_after_resampling(write_sound, rng, monkeypatch, shape, rate):
    path = write_sound(rng.uniform(-0.1, 0.1, shape), rate)
    channels = 1 if len(shape) == 1 else shape[1]
    whole = audio.load(path, sample_rate=48_000, channels=channels)
    monkeypatch.setattr("audiozoo.audio.files._BLOCK", 400_000)
    read = []
    reading = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *a, **k: read.append(reading(*a, **k)) or read[-1])
    pieces = list(audio.stream(path, sample_rate=48_000, channels=channels))
    assert max(piece.size for piece in pieces) <= 440_000
    assert max(block.size for block in read) <= 400_000
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize(
    ("rate", "target"), [(22_050, 44_100), (44_100, 22_050), (48_000, 44_100), (44_101, 22_050), (96_001, 8_000)]
)
def test_rates_without_a_simple_ratio_give_the_whole_in_pieces_too(write_sound, rng, monkeypatch, rate, target):
    path = write_sound(rng.uniform(-0.5, 0.5, 50_000), rate)
    whole = audio.load(path, sample_rate=target)
    monkeypatch.setattr("audiozoo.audio.files._BLOCK", 1_777)
    assert np.array_equal(audio.load(path, sample_rate=target), whole)


def test_no_piece_is_empty(write_sound, rng, small_blocks):
    path = write_sound(rng.uniform(-0.5, 0.5, 200_000), 1_000_000)
    pieces = list(audio.stream(path, sample_rate=100))
    assert all(map(len, pieces))
    assert sum(map(len, pieces)) == 20
    assert len(list(Waveform(sample_rate=100, duration=0.1).windows(audio.stream(path, sample_rate=100)))) == 3
    short = write_sound(rng.uniform(-0.5, 0.5, 4_000), 10_000_000, name="short.wav")
    with pytest.raises(ValueError, match=r"short\.wav: too short"):
        list(audio.stream(short, sample_rate=100))


def test_a_sound_that_exceeds_the_bound_between_its_samples_is_named(write_sound, small_blocks):
    square = 0.99e6 * np.sign(np.sin(np.arange(20_000) * 0.71))
    path = write_sound(square, subtype="FLOAT")
    assert np.abs(audio.read(path)[0]).max() < audio.LOUDEST
    with pytest.raises(ValueError, match=r"sound\.wav: .*magnitude 1e\+06"):
        list(audio.stream(path, sample_rate=32_000))


def test_cut_joins_short_pieces_once(monkeypatch, rng):
    wave = rng.uniform(-1, 1, 5_000).astype(np.float32)
    joined = []
    join = np.concatenate
    monkeypatch.setattr(np, "concatenate", lambda arrays: joined.append(len(arrays)) or join(arrays))
    windows = list(audio.cut((wave[i : i + 1] for i in range(5_000)), 2_000, 1_000))
    assert [start for start, _ in windows] == [0, 1_000, 2_000, 3_000]
    assert all(np.array_equal(window, wave[start : start + 2_000]) for start, window in windows)
    assert len(joined) <= 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sample_rate": 1}, "sample rate must be from 50"),
        ({"sample_rate": 10**9}, "to 10000000 Hz"),
        ({"duration": 1e6}, "at most 3600 s"),
        ({"duration": float("inf")}, "at most 3600 s"),
        ({"duration": float("nan")}, "duration must be positive"),
        ({"duration": 1e-9}, "must have from 1"),
        ({"channels": 257}, "at most 256"),
        ({"channels": 0}, "at most 256"),
        ({"sample_rate": 48_000, "duration": 3_600}, "16777216 samples"),
        ({"sample_rate": 48_000, "duration": 300, "channels": 2}, "16777216 samples"),
    ],
)
def test_a_front_end_cannot_ask_for_a_huge_window(options, reason):
    with pytest.raises(ValueError, match=reason):
        LogMel(**options)


def test_what_soundfile_would_take_for_raw_samples_is_refused(write_sound, tmp_path):
    path = tmp_path / "sound.raw"
    shutil.copy(write_sound(tone(440, 1, 8_000)), path)
    with open(path, "rb") as file:
        for source in (path, file):
            with pytest.raises(ValueError, match=r"sound\.raw: a RAW file states neither"):
                audio.read(source)


def test_a_sound_file_prints_nothing(write_sound):
    path = write_sound(tone(440, 1, 8_000), name="sound.sds", format="SDS", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    code = "import sys; from audiozoo import audio; audio.read(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout == ""
    assert "sound.sds: a MIDI sample dump" in done.stderr


@pytest.mark.parametrize(("old", "new"), [("Crop", "CropMode"), ("Pad", "PadMode")])
def test_old_names_still_work(old, new):
    with pytest.warns(DeprecationWarning, match=new):
        assert getattr(audio, old) is getattr(audio, new)


def test_damaged_files_neither_crash_nor_hang_nor_fill_memory(tmp_path):
    out = tmp_path / "fuzz.md"
    command = [sys.executable, BENCHMARKS / "fuzz.py", "--files", "150", "--seed", "1", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [total] = {line for line in out.read_text().splitlines() if line.startswith("| all")}
    cells = [cell.strip() for cell in total.strip("|").split("|")]
    assert (cells[1], cells[4:9]) == ("150", ["0"] * 5)
    assert int(cells[2]) > 20
    assert int(cells[3]) > 20
