"""Options of the verbs that read many sound files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the file or folder of -o: keep its complete answers, and try files again that could not be used.",
    ),
]
Hop = Annotated[
    float | None,
    typer.Option(help="Time between window starts (seconds); by default the frontend's own, or half a window."),
]
ReadingJobs = Annotated[int, typer.Option(help="Number of threads that read files; -1 is one for each core.")]
Strict = Annotated[bool, typer.Option(help="Stop at the first file that cannot be used.")]
PartSize = Annotated[int, typer.Option("--part-size", min=1, help="Number of files in each Parquet file of a folder.")]

PART_SIZE = 5_000
