"""``audiozoo serve``: a classifier as an HTTP service."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.console import err, quiet_backend
from audiozoo.threads import thread_count

if TYPE_CHECKING:
    from audiozoo.serving import Limits

EXAMPLE = "audiozoo serve my.audiozoo, then curl -F file=@door.wav http://127.0.0.1:8000/predict"

HOST_HELP = "Address to listen on; 0.0.0.0 opens the server to the network."
PORT_HELP = "Port to listen on; 0 takes a free one."
MEGABYTES_HELP = "Largest upload (MB)."
SECONDS_HELP = "Longest sound (seconds)."


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    host: Annotated[str, typer.Option(help=HOST_HELP)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help=PORT_HELP)] = 8000,
    megabytes: Annotated[float, typer.Option("--max-megabytes", help=MEGABYTES_HELP)] = 20.0,
    seconds: Annotated[float, typer.Option("--max-seconds", help=SECONDS_HELP)] = 600.0,
    waiting: Annotated[
        int, typer.Option("--max-waiting", help="Number of requests at a time, for each worker; further ones get 503.")
    ] = 64,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Number of server processes, each with its own model; 0 is one per core. Linux only above 1."),
    ] = 1,
) -> None:
    """Answer HTTP requests: POST a sound to /predict, get its classes as JSON.

    Requests that arrive while the model computes share its next batch. The page /docs shows all routes and tries them. With
    several workers, many clients at once are served faster, and each worker takes the memory of a model.

    The server has neither passwords nor encryption, so it listens on this computer alone. Put a proxy before it to open it.
    """
    from audiozoo.serving import Limits

    limits = Limits(megabytes=megabytes, seconds=seconds, waiting=waiting)
    if (number := workers or thread_count(-1)) > 1:
        _serve_together(classifier, limits, host=host, port=port, workers=number)
        return
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.serving import create_app

    app = create_app(load_classifier(classifier), limits=limits)
    err.print(f"serving {classifier}; Ctrl-C stops")
    run_server(app, host=host, port=port)


def _serve_together(classifier: Path, limits: Limits, *, host: str, port: int, workers: int) -> None:
    from audiozoo.serving import Task, serve_workers

    def tell(port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        err.print(f"serving {classifier} at http://{shown}:{port}/ with {workers} workers; Ctrl-C stops", markup=False)

    with ended_by_signal():
        serve_workers(Task(str(classifier), limits, host, port, workers, quiet_backend), tell)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Context manager that ends quietly on Ctrl-C and on SIGTERM, as uvicorn does."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    # Not by way of SIGINT, which a shell lets its background jobs ignore.
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def run_server(app: Any, *, host: str, port: int) -> None:
    """Run an application until Ctrl-C.

    Args:
        app: ASGI application.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which the server then prints.

    Raises:
        ImportError: uvicorn is not installed.
    """
    from audiozoo.threads import one_blas_thread

    try:
        import uvicorn
    except ImportError:
        raise ImportError("a server needs uvicorn, which is not installed: pip install 'audiozoo[serve]'") from None
    with one_blas_thread():
        uvicorn.run(app, host=host, port=port, log_level="warning" if port else "info", access_log=False)
