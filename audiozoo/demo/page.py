"""The page itself. Only this module needs Gradio when it is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

# Gradio would tell its authors of each start, and look for a newer version.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI

from audiozoo.demo.showing import TOP, Showing, transforms
from audiozoo.explain import METHODS, Method

_NONE = "(none)"
_HIGHEST = "(the highest score)"
_BUTTONS = ["download"]  # Gradio's others share what they show on another host

_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
"""Content security policy: the browser loads from this server alone, and sends to it alone."""


def application(showing: Showing) -> FastAPI:
    """Return the application with the page, see `demo_app`."""
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def policy(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    plain = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # other fonts come from another host
    mounted: FastAPI = gr.mount_gradio_app(
        app, _blocks(showing), path="/", theme=plain, max_file_size=showing.limits.most_bytes, footer_links=[]
    )
    return mounted


def _blocks(showing: Showing) -> gr.Blocks:
    with gr.Blocks(title="audiozoo", analytics_enabled=False, delete_cache=(600, 3_600)) as blocks:
        gr.Markdown("# audiozoo\nDrop a sound or record one. It stays on this computer.")
        with gr.Row():
            sound = gr.Audio(sources=["upload", "microphone"], type="filepath", label="Sound", buttons=_BUTTONS)
            with gr.Column():
                first = gr.Dropdown(list(showing.names), value=showing.names[0], label="Model")
                second = gr.Dropdown([_NONE, *showing.names], value=_NONE, label="Second model, to compare")
                start = gr.Button("Classify", variant="primary")
        with gr.Row():
            answers = [
                gr.Label(label="Scores", num_top_classes=TOP),
                gr.Label(label="Scores", num_top_classes=TOP, visible=False),
            ]
        picture = gr.Image(show_label=False, visible=False, buttons=_BUTTONS)
        timelines = [gr.Image(show_label=False, visible=False, buttons=_BUTTONS) for _ in range(2)]
        _why(showing, sound, first)
        _augmentation(showing, sound, first)
        start.click(_classify(showing), [sound, first, second], [*answers, picture, *timelines], api_visibility="private")
    return blocks


def _classify(showing: Showing) -> Callable[..., list[Any]]:
    def classify(path: str | None, first: str, second: str) -> list[Any]:
        sound, models = _given(path), [first] if second == _NONE else [first, second]
        with _told(sound):
            picture = showing.picture(sound)
            shown = [
                (gr.Label(showing.scores(sound, one), label=one, visible=True), showing.timeline(sound, one)) for one in models
            ]
        shown += [(gr.Label(visible=False), None)] * (2 - len(models))
        images = [gr.Image(image, visible=image is not None) for image in (picture, *(timeline for _, timeline in shown))]
        return [*(label for label, _ in shown), *images]

    return classify


def _why(showing: Showing, sound: gr.Audio, model: gr.Dropdown) -> None:
    """Add the part of the page that explains the answer of the first model."""

    def labels(name: str) -> gr.Dropdown:
        return gr.Dropdown([_HIGHEST, *showing.classifier(name).labels], value=_HIGHEST)

    def explain(path: str | None, name: str, label: str, method: Method) -> tuple[Any, Any]:
        sound = _given(path)
        with _told(sound):
            picture, deciding = showing.why(sound, name, None if label == _HIGHEST else label, method)
        played = None if deciding is None else (deciding[0], _samples(deciding[1]))
        return gr.Image(picture, visible=True), gr.Audio(played, visible=played is not None)

    with gr.Accordion("Why this answer?", open=False) as part:
        with gr.Row():
            label = gr.Dropdown([_HIGHEST], value=_HIGHEST, label="Class")
            method = gr.Radio(list(METHODS), value=METHODS[0], label="Method")
            start = gr.Button("Explain")
        picture = gr.Image(show_label=False, visible=False, buttons=_BUTTONS)
        deciding = gr.Audio(label="The stretch that decided", interactive=False, visible=False, buttons=_BUTTONS)
        for event in (part.expand, model.change):
            event(labels, model, label, api_visibility="private")
        start.click(explain, [sound, model, label, method], [picture, deciding], api_visibility="private")


def _augmentation(showing: Showing, sound: gr.Audio, model: gr.Dropdown) -> None:
    """Add the part of the page that changes the sound, plays it and classifies it again."""

    def change(path: str | None, transform: str, seed: float, name: str) -> tuple[Any, Any]:
        sound = _given(path)
        with _told(sound):
            rate, wave = showing.augmented(sound, transform, int(seed or 0))
            prediction = showing.classifier(name).predict(wave, sample_rate=rate)
        return (rate, _samples(wave)), dict(prediction.ranked(TOP))

    with gr.Accordion("Augmentation by ear", open=False):
        with gr.Row():
            transform = gr.Dropdown(list(transforms()), value="AddNoise", label="Transform")
            seed = gr.Number(0, label="Seed", precision=0)
            start = gr.Button("Change the sound")
        with gr.Row():
            changed = gr.Audio(label="Changed sound", interactive=False, buttons=_BUTTONS)
            scores = gr.Label(label="Scores of the changed sound", num_top_classes=TOP)
        start.click(change, [sound, transform, seed, model], [changed, scores], api_visibility="private")


def _samples(wave: np.ndarray) -> np.ndarray:
    """Return samples as integers: Gradio scales floating point samples to their peak, so that a gain could not be heard."""
    return np.round(32_767 * np.clip(wave, -1, 1)).astype(np.int16)


def _given(path: str | None) -> str:
    if path is None:
        raise gr.Error("Drop a sound or record one first.", duration=None)
    return path


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Context manager that shows errors about a sound on the page."""
    try:
        yield
    except (OSError, ValueError) as error:
        # The file lies in a temporary folder, whose path tells the user nothing.
        raise gr.Error(str(error).replace(os.path.dirname(path) + os.sep, ""), duration=None) from None
