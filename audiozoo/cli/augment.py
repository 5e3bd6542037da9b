"""``audiozoo augment``: write augmented copies of sound files, or preview what each transform does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from audiozoo.cli.console import err, out, progress_bar, report_failures
from audiozoo.cli.errors import keeping
from audiozoo.cli.place import LOCAL, On, piece_executor

EXAMPLE = "audiozoo augment sounds/ -o more/ --copies 5 --seed 1"

_FILES = "files"


class _FilesByDefault(TyperGroup):
    """Group that runs the command `files` unless the first argument is the name of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [_FILES, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FilesByDefault,
    help="Write augmented copies of sounds, `audiozoo augment IN... -o DIR`, or preview what each transform does.",
    no_args_is_help=True,
)

RecipeFile = Annotated[
    Path | None,
    typer.Option(help="JSON file with a transform, or with a recipe that has augment_wave. Default: gentle changes."),
]


@app.command(_FILES)
def files(
    sounds: Annotated[list[Path], typer.Argument(metavar="IN...", help="Sound files or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the copies and their table.")],
    recipe: RecipeFile = None,
    copies: Annotated[int, typer.Option(min=1, help="Number of copies of each sound.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    jobs: Annotated[int, typer.Option(help="Number of processes; -1 starts one per core.")] = -1,
    on: On = LOCAL,
) -> None:
    """Write augmented copies of sounds. The word `files` is optional.

    The copies keep the subfolders of the sounds, so a folder of classes gives a folder of classes. `augmentation.csv` lists
    the values drawn for each copy. The same command continues an interrupted run.
    Augment training data only, never test data.
    """
    from audiozoo.augment.files import GENTLE, TABLE, augment_files, find_sources, read_table, read_transform

    transform = read_transform(recipe) if recipe else GENTLE
    sources = find_sources(sounds, output=output)
    with keeping(f"finished copies are in {output}, and the same command writes the others"), progress_bar("augment") as show:
        how: dict[str, Any] = {"copies": copies, "seed": seed, "jobs": jobs, "executor": piece_executor(on)}
        rows, failures = augment_files(sources, transform, output, progress=show, **how)
    out.print(
        f"{len(rows)} copies of {len(sources) - len(failures)} sounds in {output}, listed in {output / TABLE}", soft_wrap=True
    )
    if others := len(read_table(output)) - len(rows):
        out.print(f"the folder and its table also contain {others} copies of earlier runs with other sounds, recipes or seeds")
    report_failures(failures, used=len(sources) - len(failures))


@app.command()
def preview(
    sound: Annotated[Path, typer.Argument(help="Sound file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the picture and the WAV files.")] = Path("preview"),
    recipe: RecipeFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Draw a sound before and after each transform, and write each result as a WAV file.

    The picture shows waveforms and log-mel spectrograms. With a recipe, each of its transforms is shown alone, then all
    together; without a recipe, all transforms that can change this sound. Transforms of spectral features change the log-mel
    spectrogram and have no WAV file.
    """
    from audiozoo.augment.files import read_transform
    from audiozoo.report import augmentation_preview

    preview = augmentation_preview(sound, output, read_transform(recipe) if recipe else None, seed=seed)
    out.print(f"{preview.picture}, and {preview.sounds} sounds beside it", soft_wrap=True)
    for name, reason in preview.left_out.items():
        err.print(f"left out {name}: {reason}", soft_wrap=True)
