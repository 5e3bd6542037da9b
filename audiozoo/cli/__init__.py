"""The command line: ``audiozoo VERB``. A verb's module loads what is slow inside the verb, so that help comes at once."""

from __future__ import annotations

import io
import sys

import typer

from audiozoo.cli import augment, benchmark, cache, evaluate, extract, info, list_, plot, predict, train
from audiozoo.cli.console import EXAMPLE_STYLE, reported

app = typer.Typer(
    name="audiozoo",
    help="A model zoo of audio classifiers: train one on a folder of sounds, use it, or compare many on a benchmark.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

for verb, module in (
    ("list", list_),
    ("info", info),
    ("train", train),
    ("predict", predict),
    ("evaluate", evaluate),
    ("benchmark", benchmark),
    ("extract", extract),
    ("plot", plot),
):
    app.command(verb, epilog=f"[{EXAMPLE_STYLE}]Example:[/] {module.EXAMPLE}")(module.run)
app.add_typer(augment.app, name="augment", epilog=f"[{EXAMPLE_STYLE}]Example:[/] {augment.EXAMPLE}")
app.add_typer(cache.app, name="cache", epilog=f"[{EXAMPLE_STYLE}]Example:[/] {cache.EXAMPLE}")


def main() -> None:
    """Run the command line; an error of the user's becomes one message and an exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    with reported():
        app()
