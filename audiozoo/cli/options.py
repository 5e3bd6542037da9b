"""Options of the verbs that read many sound files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiozoo.cli.console import HOP_HELP, JOBS_HELP, RESUME_HELP, STRICT_HELP

Files = Annotated[
    list[str] | None,
    typer.Argument(
        help="Sound files, folders of them, patterns such as 'sounds/**/*.wav', or URLs such as s3://bucket/sounds/.",
        show_default=False,
    ),
]
FilesFrom = Annotated[
    list[Path] | None,
    typer.Option("--files-from", help="Text file with the name of a sound file in each line; - is standard input."),
]
Resume = Annotated[bool, typer.Option("--resume", help=RESUME_HELP)]
Hop = Annotated[float | None, typer.Option(help=HOP_HELP)]
ReadingJobs = Annotated[int, typer.Option(help=JOBS_HELP)]
Strict = Annotated[bool, typer.Option(help=STRICT_HELP)]
PartSize = Annotated[int, typer.Option("--part-size", min=1, help="Number of files in each Parquet file of a folder.")]

PART_SIZE = 5_000
