"""The command line, ``audiozoo VERB``. Verbs import Keras and other slow libraries when they run, so that help is fast."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from audiozoo.cli import (
    augment,
    benchmark,
    cache,
    compare,
    datasets,
    demo,
    doctor,
    embed,
    ensemble,
    evaluate,
    events,
    explain,
    export,
    extract,
    info,
    inspect_,
    list_,
    map_,
    plot,
    predict,
    report,
    serve,
    similar,
    stream,
    train,
)
from audiozoo.cli.console import EXAMPLE_STYLE
from audiozoo.cli.errors import INTERRUPTED, TRACEBACK, Verbs, reported

app = typer.Typer(
    name="audiozoo",
    cls=Verbs,
    help="A model zoo of audio classifiers: train a model on a folder of sounds, use it, or compare models on a benchmark.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    traceback: Annotated[
        bool,
        typer.Option(
            TRACEBACK, envvar="AUDIOZOO_TRACEBACK", help="Show the traceback of an error; also allowed after the command."
        ),
    ] = False,
) -> None:
    """Declare the options of all verbs; `Verbs` evaluates them."""


for verb, module in (
    ("list", list_),
    ("info", info),
    ("inspect", inspect_),
    ("train", train),
    ("predict", predict),
    ("events", events),
    ("stream", stream),
    ("serve", serve),
    ("demo", demo),
    ("explain", explain),
    ("embed", embed),
    ("similar", similar),
    ("map", map_),
    ("evaluate", evaluate),
    ("ensemble", ensemble),
    ("export", export),
    ("benchmark", benchmark),
    ("compare", compare),
    ("report", report),
    ("extract", extract),
    ("plot", plot),
    ("doctor", doctor),
):
    app.command(verb, epilog=f"[{EXAMPLE_STYLE}]Example:[/] {module.EXAMPLE}")(module.run)
app.add_typer(augment.app, name="augment", epilog=f"[{EXAMPLE_STYLE}]Example:[/] {augment.EXAMPLE}")
app.add_typer(datasets.app, name="datasets", epilog=f"[{EXAMPLE_STYLE}]Example:[/] {datasets.EXAMPLE}")
app.add_typer(cache.app, name="cache", epilog=f"[{EXAMPLE_STYLE}]Example:[/] {cache.EXAMPLE}")


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may contain bytes that are not valid text
    with reported(show_traceback=False):  # Ctrl-C before the verb runs
        app()


def script() -> None:
    """Run the command line as a process of its own, and end the process."""
    try:
        main()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            # Threads of the backend are still computing, and Python's shutdown sometimes crashes under them.
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, AttributeError):
                    stream.flush()
            os._exit(INTERRUPTED)
        raise
