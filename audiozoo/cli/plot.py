"""``audiozoo plot``: what a sound and its features look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from audiozoo.cli.console import FrontendSettings, chosen_frontend, out, quiet_backend, report_failures

EXAMPLE = "audiozoo plot dog.wav --frontend logmel --set n_mels=128 --frontend mfcc --clean trim_silence -o pictures/"


def run(
    files: Annotated[list[Path], typer.Argument(help="Sound files.")],
    frontend: Annotated[
        list[str] | None,
        typer.Option(help="logmel (the default), mfcc, ..., a preset, a model's, or a JSON file; may be repeated."),
    ] = None,
    settings: FrontendSettings = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(help="trim_silence, reduce_noise, ...: a cleaning step, drawn before and after; may be repeated."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(help="A trained joint_autoencoder: draws its reconstruction of the first window instead."),
    ] = None,
    start: Annotated[float, typer.Option(help="Where to begin, seconds.")] = 0.0,
    seconds: Annotated[float, typer.Option(help="How much to draw at most.")] = 30.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder, or for one file the picture.")] = Path("."),
) -> None:
    """Draw waveforms and features, with seconds and hertz on the axes."""
    if classifier:
        draw = _reconstructing(classifier)
    else:
        draw = _drawing(frontend or ("logmel",), settings or (), clean or (), start, start + seconds)
    failures: list[str] = []
    for file, picture in zip(files, _pictures(files, output), strict=True):
        try:
            draw(file, picture)
        except (OSError, ValueError) as error:
            failures.append(str(error))
        else:
            out.print(str(picture), soft_wrap=True)
    report_failures(failures, used=len(files) - len(failures))


def _drawing(
    frontends: Sequence[str], settings: Sequence[str], clean: Sequence[str], start: float, end: float
) -> Callable[[Path, Path], Path]:
    from audiozoo.features import CleaningStep
    from audiozoo.report import sound_picture

    chosen = [chosen_frontend(name, settings) for name in frontends]
    steps = tuple(CleaningStep.named(name) for name in clean)
    return lambda file, picture: sound_picture(file, chosen, picture, clean=steps, start=start, end=end)


def _reconstructing(classifier: Path) -> Callable[[Path, Path], Path]:
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.report import reconstruction_picture

    loaded = load_classifier(classifier)
    return lambda file, picture: reconstruction_picture(loaded, file, picture)


def _pictures(files: Sequence[Path], output: Path) -> list[Path]:
    if output.suffix.lower() in (".png", ".pdf", ".svg") and not output.is_dir():
        if len(files) > 1:
            raise ValueError(f"{len(files)} files make {len(files)} pictures: give a folder with -o, got {output}")
        return [output]
    if output.suffix and not output.is_dir():
        raise ValueError(f"a picture ends in .png, .pdf or .svg, and a folder has no ending: got {output}")
    pictures = [output / f"{file.stem}.png" for file in files]
    if doubled := {str(picture) for picture in pictures if pictures.count(picture) > 1}:
        raise ValueError(f"several files would be drawn as {', '.join(sorted(doubled))}: draw them one after the other")
    return pictures
