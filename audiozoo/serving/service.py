"""The service behind the routes: it classifies uploads within limits."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from audiozoo._version import __version__
from audiozoo.classifier import Answer, Answering, AnswerSteps, Prediction
from audiozoo.classifier.steps import advance
from audiozoo.features.reading import warm_up
from audiozoo.serving.batching import Batches
from audiozoo.serving.limits import Limits
from audiozoo.serving.monitoring import Monitor

if TYPE_CHECKING:
    from fastapi import FastAPI


class Service:
    """Answers requests with one classifier.

    Args:
        classifier: Classifier or ensemble.
        limits: Bounds on requests.
    """

    def __init__(self, classifier: Answering, limits: Limits) -> None:
        self.monitor, self.limits = Monitor(), limits
        self.waiting = 0
        self._classifier, self._batches = classifier, Batches(self.monitor.batch)
        frontends = [lane.frontend for lane in classifier.lanes()[0]]
        self._longest = max(frontend.duration for frontend in frontends)
        for frontend in frontends:
            warm_up(frontend)

    async def predict(self, content: bytes, name: str, hop: float | None) -> Prediction:
        """Classify the content of a file.

        Args:
            content: Content of the file.
            name: Name of the file for messages; nothing is opened or written under it.
            hop: Time between window starts (seconds); `None` uses the frontend's own.

        Returns:
            The prediction.

        Raises:
            ValueError: The content is not a sound, or it is too long.
        """
        answer = await self._batches.answer(self._steps(content, name, hop))
        return self._classifier.prediction(answer.scores, name, familiarity=answer.familiarity)

    def _steps(self, content: bytes, name: str, hop: float | None) -> AnswerSteps:
        if not content:
            raise ValueError(f"{name}: the file is empty (0 bytes)")
        steps = self._classifier.answer_steps(_file(content, name), hop=hop)
        outputs, checked = None, False
        while not isinstance(step := advance(steps, outputs), Answer):
            # Reading the header takes 5 % of the time of a request, and mostly the first batch shows that a sound is short.
            if not checked and (outputs is not None or len(step[1]) * self._longest > self.limits.seconds):
                self.limits.check_sound(_file(content, name))
                checked = True
            outputs = yield step
        return step

    def facts(self) -> dict[str, Any]:
        """Return what a client should know about the classifier, as JSON data."""
        frontend, about = self._classifier.window_frontend, self._classifier.about
        return {
            "model": about.model,
            "labels": list(self._classifier.labels),
            "several_labels": self._classifier.thresholds is not None,
            "sample_rate": frontend.sample_rate,
            "window_s": frontend.duration,
            "hop_s": frontend.hop_samples() / frontend.sample_rate,
            "most_megabytes": self.limits.megabytes,
            "most_seconds": self.limits.seconds,
            "audiozoo": __version__,
        }


def _file(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


def create_app(classifier: Answering, *, limits: Limits | None = None) -> FastAPI:
    """Create the application that ``audiozoo serve`` runs, for a server such as uvicorn.

    The routes are ``POST /predict``, ``GET /model``, ``GET /health``, ``GET /metrics`` (Prometheus), ``GET /openapi.json`` and
    ``GET /docs``.

    Args:
        classifier: Classifier or ensemble.
        limits: Bounds on requests; `None` uses the defaults of `Limits`.

    Returns:
        The FastAPI application.

    Raises:
        ImportError: FastAPI, python-multipart or prometheus-client is not installed.
    """
    try:
        from audiozoo.serving.routes import application
    except ImportError as error:
        raise ImportError(f"a server needs the extra `serve` ({error}): pip install 'audiozoo[serve]'") from None
    return application(Service(classifier, limits or Limits()))
