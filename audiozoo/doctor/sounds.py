"""Decoders of sound files, the resampler, and the engines that stretch sounds. Each of them does its work once."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

import numpy as np

from audiozoo import audio
from audiozoo.augment.stretch import RUBBERBAND_FIX, stretch
from audiozoo.doctor.finding import Finding

_RATE = 48_000  # Opus knows few rates
_TONE = (0.5 * np.sin(2 * np.pi * 440 / _RATE * np.arange(_RATE // 2))).astype(np.float32)

_FORMATS = {
    "WAV": ("WAV", "PCM_16"),
    "FLAC": ("FLAC", "PCM_16"),
    "AIFF": ("AIFF", "PCM_16"),
    "Ogg Vorbis": ("OGG", "VORBIS"),
    "Ogg Opus": ("OGG", "OPUS"),
    "MP3": ("MP3", "MPEG_LAYER_III"),
}
"""Container and encoding in libsndfile of each format."""

_TOLERANCE = 0.1  # the root mean square of a decoded tone; lossy encodings change it by about a hundredth

_UPGRADE = "pip install --upgrade --force-reinstall soundfile (its wheels contain libsndfile with all these formats)"


def check_decoders() -> Iterator[Finding]:
    """Write and read a tone in every format."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, and its library is not
        fix = "pip install --force-reinstall soundfile; on systems without its wheels, apt install libsndfile1"
        yield Finding("decoders", "broken", f"soundfile cannot be loaded: {error}", fix)
        return
    failed = {name: reason for name, how in _FORMATS.items() if (reason := _decoding_fails(*how))}
    library = f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}"
    if works := [name for name in _FORMATS if name not in failed]:
        yield Finding("decoders", "ok", f"{library} reads {', '.join(works)}")
    for name, reason in failed.items():
        yield Finding(f"decoder {name}", "broken", f"{library}: {reason}", _UPGRADE)


def _decoding_fails(container: str, encoding: str) -> str:
    """Return the reason why a format is not written and read, or "" if it is."""
    import soundfile

    if encoding not in soundfile.available_subtypes(container):
        return "the library lacks this format"
    content = io.BytesIO()
    try:
        soundfile.write(content, _TONE, _RATE, format=container, subtype=encoding)
        wave, _ = audio.read(content.getvalue())
    except (ValueError, RuntimeError) as error:  # soundfile's own errors are RuntimeErrors
        return str(error)
    level = float(np.sqrt(np.mean(np.square(wave)))) / float(np.sqrt(np.mean(np.square(_TONE))))
    return "" if abs(level - 1) < _TOLERANCE else f"a tone comes back with {level:.2f} of its level"


def check_other_formats() -> Iterator[Finding]:
    """State how to convert the formats that libsndfile does not read."""
    found = shutil.which("ffmpeg")
    detail = "M4A, AAC and WMA are not read directly"
    if found:
        yield Finding("other formats", "ok", f"{detail}; convert them: ffmpeg -i sound.m4a sound.flac")
    else:
        fix = "apt install ffmpeg or brew install ffmpeg, then ffmpeg -i sound.m4a sound.flac"
        yield Finding("other formats", "missing", f"{detail}, and the program ffmpeg is not there to convert them", fix)


def check_resampler() -> Iterator[Finding]:
    """Resample a tone."""
    try:
        samples = len(audio.resample(_TONE, _RATE, 16_000))
    except ImportError as error:
        yield Finding("resampler", "broken", f"soxr cannot be loaded: {error}", "pip install --force-reinstall soxr")
        return
    yield Finding("resampler", "ok", f"soxr makes {samples} samples of {len(_TONE)} at a third of the rate")


def check_stretching() -> Iterator[Finding]:
    """Stretch a tone with the default engine, and with Rubber Band if its program is there."""
    yield _stretched("signalsmith", "pip install --force-reinstall python-stretch")
    program = shutil.which("rubberband")
    if program is None:
        yield Finding("rubberband", "missing", "the program is not on the PATH; the other engines need none", RUBBERBAND_FIX)
    else:
        yield _stretched("rubberband", f"pip install --force-reinstall pyrubberband; or replace {program}: {RUBBERBAND_FIX}")


def _stretched(engine: str, fix: str) -> Finding:
    try:
        stretch(_TONE, _RATE, rate=1.25, engine=engine)  # type: ignore[arg-type]
    except Exception as error:  # an outside program fails in many ways
        return Finding(engine, "broken", f"stretching fails: {type(error).__name__}: {error}", fix)
    return Finding(engine, "ok", "stretches sounds")
