"""``audiozoo augment``: changed copies of sound files, and pictures of what each change does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from audiozoo.cli.console import out, progress_bar, report_failures

EXAMPLE = "audiozoo augment sounds/ -o more/ --copies 5 --seed 1"

_FILES = "files"


class _FilesByDefault(TyperGroup):
    """Takes what is no command's name for the sounds to augment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [_FILES, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FilesByDefault,
    help="Write changed copies of sounds: `audiozoo augment IN... -o DIR`, or preview what each change does.",
    no_args_is_help=True,
)

RecipeFile = Annotated[
    Path | None,
    typer.Option(help="A JSON file: a transform, or a recipe with augment_wave. Without one, gentle changes are made."),
]


@app.command(_FILES)
def files(
    sounds: Annotated[list[Path], typer.Argument(metavar="IN...", help="Sound files, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the copies and their table.")],
    recipe: RecipeFile = None,
    copies: Annotated[int, typer.Option(min=1, help="Copies of each sound.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes; -1 is one for each core.")] = -1,
) -> None:
    """Write changed copies of sounds (the word `files` may be left out); a run that was stopped goes on where it was.

    Copies keep the folders of their sounds, so a folder of classes becomes another, and so do several folders, one for each
    class. `augmentation.csv` says what was drawn for each copy. Augment what you train with, never what you test with.
    """
    from audiozoo.augment.files import GENTLE, TABLE, augment_files, find_sources, read_table, read_transform

    transform = read_transform(recipe) if recipe else GENTLE
    sources = find_sources(sounds, output=output)
    with progress_bar("augment") as show:
        progress = lambda done, total: show("", done, total, {})  # noqa: E731
        rows, failures = augment_files(sources, transform, output, copies=copies, seed=seed, jobs=jobs, progress=progress)
    out.print(
        f"{len(rows)} copies of {len(sources) - len(failures)} sounds in {output}, listed in {output / TABLE}", soft_wrap=True
    )
    if others := len(read_table(output)) - len(rows):
        out.print(f"{others} copies of earlier runs, with other sounds, recipes or seeds, are there and listed too")
    report_failures(failures, used=len(sources) - len(failures))


@app.command()
def preview(
    sound: Annotated[Path, typer.Argument(help="A sound file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the picture and the sounds.")] = Path("preview"),
    recipe: RecipeFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
) -> None:
    """Draw a sound before and after each change, waveform and log-mel, and write what each makes of it as a WAV file.

    The changes are those in the recipe, each alone and all together; without one, all that need no other file. Those of
    spectral features are drawn on the log-mel spectrogram, and no WAV file is written for them.
    """
    from audiozoo.augment.files import read_transform
    from audiozoo.report import augmentation_preview

    picture, written = augmentation_preview(sound, output, read_transform(recipe) if recipe else None, seed=seed)
    out.print(f"{picture}, and {written} sounds beside it", soft_wrap=True)
