"""WAV files of synthetic sounds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from audiozoo.files import replacing


def encoded(wave: np.ndarray, sample_rate: int) -> bytes:
    """Return a waveform ``(samples,)`` as a WAV file in 16 bits, the format of most datasets.

    Their quantisation noise is far below the background of the sounds.
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, wave, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def written(path: Path, content: bytes) -> str:
    """Write a file atomically, unless it has this content already; return its path."""
    if not path.is_file() or path.read_bytes() != content:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return str(path)
