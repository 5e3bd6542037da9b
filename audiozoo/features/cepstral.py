"""Frontends on the cosine transform of bands: mel and gammatone cepstra."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from audiozoo import spectrum
from audiozoo.checks import require_whole
from audiozoo.features.frontends import Axis
from audiozoo.features.spectral import Bands, MelBands


@lru_cache(maxsize=32)
def dct_matrix(coefficients: int, bands: int) -> np.ndarray:
    """Return the first rows of the orthonormal cosine transform of type 2, float32 ``(bands, coefficients)``."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    matrix = np.sqrt(2 / bands) * np.cos(angles)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _cepstrum(bands: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    # (frames, bands, channels) to (frames, coefficients, channels)
    return np.swapaxes(np.swapaxes(bands, 1, 2) @ cosines, 1, 2)


@dataclass(frozen=True, kw_only=True)
class MFCC(MelBands):
    """Mel-frequency cepstral coefficients, equal to ``librosa.feature.mfcc``.

    The orthonormal cosine transform of the mel bands in decibels.

    Args:
        n_mfcc: Coefficients, at most `n_mels`.
        top_db: Floor of the decibels below the window's largest value; `None` for none.
        lifter: Sinusoidal liftering; 0 is none.
        n_mels, mel_scale, norm, triangles: See `MelBands`.
        fmin, fmax, deltas, delta_width: See `Bands`.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.

    Source: Davis and Mermelstein, IEEE TASSP 28, 1980; librosa 0.11.
    """

    n_mfcc: int = 20
    top_db: float | None = 80.0
    lifter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(n_mfcc=self.n_mfcc)
        floor = self.top_db is None or self.top_db > 0
        if not (1 <= self.n_mfcc <= self.n_mels and self.lifter >= 0 and floor):
            raise ValueError(
                "MFCC needs 1 <= n_mfcc <= n_mels, lifter of at least 0 and a positive top_db, got "
                f"n_mfcc={self.n_mfcc}, n_mels={self.n_mels}, lifter={self.lifter}, top_db={self.top_db}"
            )

    @property
    def _rows(self) -> int:
        return self.n_mfcc

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_mfcc))

    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        return _cepstrum(spectrum.to_decibels(bands, power=self.power, top_db=self.top_db), self._cosines)

    @property
    def _cosines(self) -> np.ndarray:
        """The transform and the lifter, float32 ``(n_mels, n_mfcc)``."""
        cosines = dct_matrix(self.n_mfcc, self.n_mels)
        if not self.lifter:
            return cosines
        weights = 1 + self.lifter / 2 * np.sin(np.pi * np.arange(1, 1 + self.n_mfcc) / self.lifter)
        return cosines * weights.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GFCC(Bands):
    """Gammatone-frequency cepstral coefficients: cosine transform of the cubic root of gammatone bands.

    Args:
        n_gfcc: Coefficients, at most `n_bands`.
        n_bands: Gammatone filters, evenly spaced on the ERB scale.
        pre_emphasis: Share of the sample before that is first taken away from each; 0 is none.
        fmin, fmax, deltas, delta_width: See `Bands`.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.

    Source: Shao, Srinivasan and Wang, "Incorporating auditory feature uncertainties in robust speaker identification",
    ICASSP 2007. With ``framing="window"`` and ``window="hamming"`` it is what spafe computes, but for its symmetric window.
    """

    n_gfcc: int = 13
    n_bands: int = 64
    pre_emphasis: float = 0.97

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(n_gfcc=self.n_gfcc, n_bands=self.n_bands)
        if not 1 <= self.n_gfcc <= self.n_bands or not 0 <= self.pre_emphasis <= 1:
            raise ValueError(
                "GFCC needs 1 <= n_gfcc <= n_bands and pre_emphasis from 0 to 1, got "
                f"n_gfcc={self.n_gfcc}, n_bands={self.n_bands}, pre_emphasis={self.pre_emphasis}"
            )

    @property
    def _bank(self) -> spectrum.Filterbank:
        return spectrum.gammatone_bank(self.sample_rate, self.n_fft, self.n_bands, self.fmin, self.fmax)

    @property
    def _rows(self) -> int:
        return self.n_gfcc

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_gfcc))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return super()._compute([self._emphasised(column) for column in columns])

    def _emphasised(self, wave: np.ndarray) -> np.ndarray:
        out = wave.copy()
        out[1:] -= np.float32(self.pre_emphasis) * wave[:-1]
        return out

    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        bands *= np.float32(1 / self.n_fft)
        return _cepstrum(np.cbrt(bands, out=bands), dct_matrix(self.n_gfcc, self.n_bands))
