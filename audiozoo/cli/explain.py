"""``audiozoo explain``: show which part of a sound made a classifier choose a class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from audiozoo.cli.console import out, quiet_backend
from audiozoo.cli.options import Hop
from audiozoo.files import check_target, replacing

if TYPE_CHECKING:
    from audiozoo.explain import Deletion, Explanation, Stretch

EXAMPLE = "audiozoo explain house_cnn/esc10 dog.wav -o why.png --wav deciding.wav"


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    file: Annotated[Path, typer.Argument(help="Sound file.")],
    method: Annotated[
        Literal["gradient", "gradcam"], typer.Option(help="Gradient times input, or Grad-CAM on a layer of the network.")
    ] = "gradient",
    label: Annotated[str | None, typer.Option(help="Class to explain; by default the one with the highest score.")] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer for Grad-CAM; by default the last one with bands and frames.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Picture to write: .png, .pdf or .svg.")] = None,
    wav: Annotated[Path | None, typer.Option(help="Sound file (.wav) to write: the stretch of time that decided.")] = None,
    stretch: Annotated[
        float | None, typer.Option(help="Length of this stretch (seconds); by default a fifth of the window.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Delete the marked fifth of the window, and print how far the score falls.")
    ] = False,
    hop: Hop = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain an answer: the parts of the spectrogram that speak for a class and against it, and the time that decided.

    In a file of several windows, the window with the highest score of the class is explained.
    """
    for target in filter(None, (output, wav)):
        check_target(target)  # before the network is loaded
    if wav and wav.suffix.lower() != ".wav":
        raise ValueError(f"--wav writes a WAV file, choose a name that ends in .wav; got {wav}")
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.explain import deletion_gain, explain

    loaded = load_classifier(classifier)
    explanation = explain(loaded, file, label=label, method=method, layer=layer, hop=hop)
    # Features without the times of the sound have no stretch, which is an error only for those who ask for one.
    wanted = explanation.timed or wav or stretch is not None
    found = explanation.stretch(stretch) if wanted else None
    deletion = deletion_gain(loaded, explanation) if check else None  # type: ignore[arg-type]  # no ensemble is explained
    if as_json:
        print(json.dumps(_object(explanation, found, deletion), indent=1))
    else:
        _print(explanation, found, deletion)
    written = [path for path in (_draw(explanation, found, output), _cut(file, found, wav)) if path]
    if written and not as_json:
        out.print(f"saved {', '.join(map(str, written))}", soft_wrap=True)


def _object(explanation: Explanation, stretch: Stretch | None, deletion: Deletion | None) -> dict[str, Any]:
    parts: dict[str, Any] = explanation.to_dict()
    if stretch:
        parts["stretch"] = {"start_s": stretch.start, "end_s": stretch.end, "share": stretch.share}
    if deletion:
        parts["deletion"] = {"marked": deletion.marked, "elsewhere": float(deletion.elsewhere.mean())}
    return parts


def _print(explanation: Explanation, stretch: Stretch | None, deletion: Deletion | None) -> None:
    where = f"{explanation.start:.2f} to {explanation.end:.2f} s"
    one = explanation.windows == 1
    window = f"the only window, {where}" if one else f"window {explanation.window} of {explanation.windows}, {where}"
    out.print(f"{explanation.source}: {explanation.label} {100 * explanation.score:.1f} % in {window}", soft_wrap=True)
    if explanation.empty:
        out.print(f"no part of the window speaks for {explanation.label}", soft_wrap=True)
    elif stretch:
        out.print(
            f"deciding: {stretch.start:.2f} to {stretch.end:.2f} s, {100 * stretch.share:.0f} % of what speaks for it",
            soft_wrap=True,
        )
    for band in explanation.sub_bands:
        best = f"best {band.best} {100 * band.best_score:.1f} %"
        out.print(f"sub-band {band.name}: {explanation.label} {100 * band.score:.1f} %, {best}", soft_wrap=True)
    if deletion:
        out.print(
            f"without the marked fifth: {100 * (deletion.score - deletion.marked):.1f} %; without another fifth: "
            f"{100 * (deletion.score - float(deletion.elsewhere.mean())):.1f} % on average",
            soft_wrap=True,
        )


def _draw(explanation: Explanation, stretch: Stretch | None, output: Path | None) -> Path | None:
    from audiozoo.report import explanation_picture

    return output and explanation_picture(explanation, output, stretch=None if explanation.empty else stretch)


def _cut(file: Path, stretch: Stretch | None, wav: Path | None) -> Path | None:
    """Write the stretch at the rate and with the channels of the file."""
    from audiozoo import audio

    if wav and stretch:
        content = audio.encode(*audio.read(file, start=stretch.start, end=stretch.end))
        with replacing(wav) as temporary:
            temporary.write_bytes(content)
    return wav
