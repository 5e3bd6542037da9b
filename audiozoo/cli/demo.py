"""``audiozoo demo``: a page in the browser that classifies sounds."""

from __future__ import annotations

from typing import Annotated

import typer

from audiozoo.cli.console import err, quiet_backend
from audiozoo.cli.serve import HOST_HELP, MEGABYTES_HELP, PORT_HELP, SECONDS_HELP, run_server

EXAMPLE = "audiozoo demo my.audiozoo house_cnn/esc10"


def run(
    classifiers: Annotated[
        list[str] | None,
        typer.Argument(
            help="Classifiers to choose from: files of `audiozoo train`, or names from `audiozoo list --pretrained`."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help=HOST_HELP)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help=PORT_HELP)] = 7860,
    megabytes: Annotated[float, typer.Option("--max-megabytes", help=MEGABYTES_HELP)] = 20.0,
    seconds: Annotated[float, typer.Option("--max-seconds", help=SECONDS_HELP)] = 600.0,
) -> None:
    """Open a page that classifies sounds: drop or record a sound, and see its scores, its spectrogram and the scores over time.

    Two models can be compared side by side, and the augmentations can be heard. Without a classifier, the page has
    house_cnn/esc10. The sounds stay on this computer: the page sends them to this server alone.
    """
    quiet_backend()
    from audiozoo.demo import demo_app
    from audiozoo.serving import Limits

    app = demo_app(classifiers or ["house_cnn/esc10"], limits=Limits(megabytes=megabytes, seconds=seconds))
    err.print(f"open http://{host}:{port}/ in a browser; Ctrl-C stops" if port else "Ctrl-C stops")
    run_server(app, host=host, port=port)
