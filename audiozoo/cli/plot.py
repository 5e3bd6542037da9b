"""``audiozoo plot``: draw waveforms and features."""

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
        typer.Option(help="Frontend: logmel (default), mfcc, ..., a preset, a model's name, or a JSON file; may be repeated."),
    ] = None,
    settings: FrontendSettings = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(help="Cleaning step to show before and after: trim_silence, reduce_noise, ...; may be repeated."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(help="Draw the first window and its reconstruction by this trained joint_autoencoder instead."),
    ] = None,
    start: Annotated[float, typer.Option(help="Start of the section to draw (seconds).")] = 0.0,
    seconds: Annotated[float, typer.Option(help="Maximum duration of the section (seconds).")] = 30.0,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pictures, or the picture of a single file.")
    ] = Path("."),
) -> None:
    """Draw waveforms and features, with seconds and hertz on the axes."""
    if classifier:
        draw = _reconstructing(classifier)
    else:
        draw = _drawing(frontend or ("logmel",), settings or (), clean or (), start, start + seconds)
    failures: list[str] = []
    for file, picture in zip(files, pictures_of(files, output), strict=True):
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
    from audiozoo.classifier import Classifier, load_classifier
    from audiozoo.report import reconstruction_picture

    loaded = load_classifier(classifier)
    if not isinstance(loaded, Classifier):
        raise ValueError(f"{classifier}: is an ensemble, which has no reconstruction of its own; name one of its members")
    return lambda file, picture: reconstruction_picture(loaded, file, picture)


def pictures_of(files: Sequence[Path], output: Path) -> list[Path]:
    """Return the path of the picture of each file: in a folder, or the picture that the user named for a single file.

    Raises:
        ValueError: A single picture or something else is named for several files, or two files have the same picture.
    """
    # A folder may have a dot in its name, so an existing folder is recognised before the suffix counts.
    if output.suffix.lower() in (".png", ".pdf", ".svg") and not output.is_dir():
        if len(files) > 1:
            raise ValueError(f"-o must be a folder when several files are drawn, got {output} for {len(files)} files")
        return [output]
    if output.suffix and not output.is_dir():
        raise ValueError(f"-o must be a folder, or a picture that ends in .png, .pdf or .svg; got {output}")
    pictures = [output / f"{file.stem}.png" for file in files]
    if doubled := {str(picture) for picture in pictures if pictures.count(picture) > 1}:
        raise ValueError(
            f"several files have the same picture, {', '.join(sorted(doubled))}: draw them in separate runs with different -o"
        )
    return pictures
