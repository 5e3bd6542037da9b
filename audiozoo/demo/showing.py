"""Contents of the page for a sound: scores, pictures and augmented versions. Nothing here needs Gradio."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo import audio, augment
from audiozoo.augment import WaveTransform
from audiozoo.checks import refuse_unknown
from audiozoo.classifier import Answering, load_classifier
from audiozoo.explain import Method, explain
from audiozoo.features import LogMel
from audiozoo.report import explanation_picture, sound_picture, timeline_picture
from audiozoo.serving import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

Sound = tuple[int, np.ndarray]
"""Sample rate (Hz) and samples."""

TOP = 5
"""Number of classes whose scores the page shows."""

_SHOWN = 30.0  # seconds of the waveform and the spectrogram; the timeline shows the whole sound

_SETTINGS: dict[str, dict[str, Any]] = {
    "AddNoise": {},
    "Clipping": {},
    "Codec": {},
    "Filter": {"frequency": (300.0, 3_000.0)},  # also for sounds of 8 kHz
    "Gain": {},
    "PitchShift": {},
    "Reverse": {},
    "RoomReverb": {},
    "Speed": {},
    "TimeMask": {},
    "TimeShift": {},
    "TimeStretch": {},
}


def transforms() -> dict[str, WaveTransform]:
    """Return the transforms of the page by name; each changes every sound."""
    return {name: getattr(augment, name)(p=1.0, **settings) for name, settings in _SETTINGS.items()}


class Showing:
    """Computes what the page shows.

    Args:
        classifiers: Paths of saved classifiers or names of pretrained ones, by the name that the page shows.
        limits: Bounds on uploads.
    """

    def __init__(self, classifiers: Mapping[str, str], limits: Limits) -> None:
        self.names, self.limits = tuple(classifiers), limits
        self._load = cache(lambda name: load_classifier(classifiers[name]))

    def classifier(self, name: str) -> Answering:
        """Return a classifier, which is loaded once.

        Raises:
            ValueError: The page does not have this name.
        """
        refuse_unknown("model", [name], self.names)
        return self._load(name)

    def scores(self, path: str, name: str) -> dict[str, float]:
        """Return the calibrated scores of the best classes.

        Args:
            path: Path of the sound.
            name: Name of the classifier.

        Raises:
            ValueError: The file is not a sound, or too long or too large.
        """
        self.check(path)
        return dict(self.classifier(name).predict(path).ranked(TOP))

    def check(self, path: str) -> None:
        """Raise a ValueError for a file that is no sound, or is too large or too long."""
        size = Path(path).stat().st_size
        if size > self.limits.most_bytes:
            raise ValueError(f"the file has {size / 1e6:.1f} MB, at most {self.limits.megabytes:g} MB are allowed: cut it")
        self.limits.check_sound(path)

    def picture(self, path: str) -> np.ndarray:
        """Draw the waveform and the log-mel spectrogram of the first half minute.

        Args:
            path: Path of the sound.

        Returns:
            Picture ``(height, width, 4)``.
        """
        seconds, rate, channels = audio.measure(path)
        shown = min(seconds, _SHOWN)
        n_fft = 1 << max(6, round(0.046 * rate).bit_length())
        frontend = LogMel(
            sample_rate=rate, duration=shown, channels=channels, n_fft=n_fft, hop_length=n_fft // 4, n_mels=64, reference="max"
        )
        title = f"the first {shown:.0f} of {seconds:.0f} s" if seconds > shown else f"{seconds:.2f} s, {rate} Hz"
        return _drawn(lambda file: sound_picture(path, [frontend], file, title=title, end=shown))

    def timeline(self, path: str, name: str) -> np.ndarray | None:
        """Draw the scores over time of a sound with several windows.

        Args:
            path: Path of the sound.
            name: Name of the classifier.

        Returns:
            Picture ``(height, width, 4)``; `None` for a sound with one window.
        """
        classifier = self.classifier(name)
        timeline = classifier.timeline(path)
        if len(timeline.starts) < 2:
            return None
        return _drawn(lambda file: timeline_picture(path, timeline, classifier.labels, file, title=name))

    def why(self, path: str, name: str, label: str | None, method: Method) -> tuple[np.ndarray, Sound | None]:
        """Explain an answer, see `audiozoo.explain.explain`.

        Args:
            path: Path of the sound.
            name: Name of the classifier.
            label: Class to explain; `None` takes the one with the highest score.
            method: "gradient" or "gradcam".

        Returns:
            Picture ``(height, width, 4)`` of the explanation, and the stretch of time that decided, if the features have times
            and a part of the sound speaks for the class.

        Raises:
            ValueError: The file is not a sound, or the method cannot explain the classifier; the message says why.
        """
        self.check(path)
        explanation = explain(self.classifier(name), path, label=label, method=method)
        stretch = explanation.stretch() if explanation.timed and not explanation.empty else None
        picture = _drawn(lambda file: explanation_picture(explanation, file, stretch=stretch))
        if stretch is None:
            return picture, None
        wave, rate = audio.read(path, start=stretch.start, end=stretch.end)
        return picture, (rate, wave)

    def augmented(self, path: str, transform: str, seed: int) -> Sound:
        """Change a sound with a transform.

        Args:
            path: Path of the sound.
            transform: Name of the transform, a key of `transforms`.
            seed: Seed of its random values.

        Returns:
            The sample rate (Hz) and the changed sound, cut to half a minute and clipped to [-1, 1].

        Raises:
            ValueError: The file is not a sound, or the transform is unknown.
        """
        self.check(path)
        known = transforms()
        refuse_unknown("transform", [transform], known)
        wave, rate = audio.read(path, end=_SHOWN)
        return rate, np.clip(known[transform](wave, rng=int(seed), sample_rate=rate), -1, 1)


def _drawn(draw: Callable[[Path], Path]) -> np.ndarray:
    """Return the pixels of a picture that a function writes to a file."""
    from matplotlib.image import imread

    with tempfile.TemporaryDirectory() as folder:
        return np.asarray(imread(draw(Path(folder) / "picture.png")))


def demo_app(classifiers: Sequence[str], *, limits: Limits | None = None) -> FastAPI:
    """Create the application that ``audiozoo demo`` runs.

    The page loads nothing from another host, and its browser is told to refuse that.

    Args:
        classifiers: Paths of saved classifiers, or names of pretrained ones. They are loaded when they are first used.
        limits: Bounds on uploads; `None` uses the defaults of `Limits`.

    Returns:
        The application, for a server such as uvicorn.

    Raises:
        ImportError: Gradio is not installed.
        ValueError: There is no classifier.
    """
    if not classifiers:
        raise ValueError("the page needs at least one classifier, such as house_cnn/esc10")
    try:
        from audiozoo.demo.page import application
    except ImportError as error:
        raise ImportError(f"the page needs the extra `demo` ({error}): pip install 'audiozoo[demo]'") from None
    names: dict[str, Any] = {str(one): str(one) for one in classifiers}
    return application(Showing(names, limits or Limits()))
