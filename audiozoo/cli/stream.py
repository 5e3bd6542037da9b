"""``audiozoo stream``: classify a sound while it arrives."""

from __future__ import annotations

import itertools
import os
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.checks import require_choice
from audiozoo.cli.console import err, print_answer, quiet_backend
from audiozoo.cli.options import Hop
from audiozoo.cli.windows import Form, WindowText

if TYPE_CHECKING:
    import numpy as np

EXAMPLE = "ffmpeg -v error -i street.ogg -f s16le -ac 1 -ar 16000 - | audiozoo stream my.audiozoo --rate 16000"

_BYTES = 65_536  # most bytes of one read, so that answers do not wait for a large block
_WAITING = 256  # blocks of the microphone that may wait for the model


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    rate: Annotated[int, typer.Option(help="Sample rate of the samples (Hz).")] = 16_000,
    form: Annotated[
        str, typer.Option("--format", help="Format of the samples: u8, s16le, s16be, s32le, s32be, f32le or f32be.")
    ] = "s16le",
    channels: Annotated[int, typer.Option(help="Number of interleaved channels.")] = 1,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Listen to the microphone instead of standard input; needs sounddevice.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="With --microphone, name or number of the device.")] = None,
    hop: Hop = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Give the scores of all classes.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a JSON object for each window, on a line each.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Classify raw PCM samples from standard input, or the microphone, while they arrive.

    The answer for a window is printed when its last sample has arrived: a change of the sound shows after at most the time
    between two windows (--hop), and the time that the model takes. The answers equal those of `predict --windows`.

    Raw PCM has no header, so a wrong --rate, --format or --channels cannot be noticed, nor can a rate that changes. Ctrl-C ends
    the sound, and the windows at its end are printed.
    """
    require_choice("--format", form, _formats())
    if as_jsonl and as_csv:
        raise ValueError("--jsonl and --csv cannot be combined: choose one")
    if device is not None and not microphone:
        raise ValueError("--device chooses a microphone: add --microphone")
    quiet_backend()
    from audiozoo.classifier import load_classifier

    loaded = load_classifier(classifier)
    stream = loaded.stream(sample_rate=rate, hop=hop)
    shape: Form = "jsonl" if as_jsonl else "csv" if as_csv else "table"
    name = "microphone" if microphone else "stdin"
    text = WindowText(shape, [name], loaded.labels, all_scores=all_scores)
    print_answer(text.header())
    source = _microphone(rate, channels, device) if microphone else _standard_input(form, channels)
    with source as blocks, suppress(KeyboardInterrupt):
        for block in blocks:
            print_answer(text.lines(name, stream.add(block)))
    print_answer(text.lines(name, stream.rest()))


def _formats() -> tuple[str, ...]:
    from audiozoo.audio import PCM_FORMATS

    return tuple(PCM_FORMATS)


@contextmanager
def _standard_input(form: str, channels: int) -> Iterator[Iterator[np.ndarray]]:
    """Yield the blocks of samples on standard input, and tell of an incomplete sample at the end."""
    from audiozoo.audio import PcmDecoder

    if sys.stdin.isatty():
        raise ValueError("standard input is a terminal: pipe raw PCM samples into this command, or add --microphone")
    decoder = PcmDecoder(form, channels)

    def blocks() -> Iterator[np.ndarray]:
        # An unbuffered read returns what is there, and does not wait until the block is full.
        while data := os.read(sys.stdin.fileno(), _BYTES):
            if len(wave := decoder.decode(data)):
                yield wave

    yield blocks()
    if decoder.undecoded:
        err.print(
            f"the samples end inside a frame, the last {decoder.undecoded} byte(s) were left out: check --format and --channels"
        )


@contextmanager
def _microphone(rate: int, channels: int, device: str | None) -> Iterator[Iterator[np.ndarray]]:
    """Yield the blocks of samples from a microphone, without end."""
    sounddevice = _sounddevice()
    arrived: queue.Queue[np.ndarray] = queue.Queue(_WAITING)

    def keep(block: np.ndarray, frames: int, time: Any, status: Any) -> None:
        # The driver reuses the memory of the block. A full queue would stop the driver's thread, so a block is lost then.
        with suppress(queue.Full):
            arrived.put_nowait(block.copy())

    number = int(device) if device is not None and device.isdecimal() else device
    try:
        with sounddevice.InputStream(rate, device=number, channels=channels, dtype="float32", callback=keep):
            yield (arrived.get() for _ in itertools.count())
    except sounddevice.PortAudioError as error:
        raise ValueError(f"the microphone cannot be used: {error}; `python -m sounddevice` lists the devices") from None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the PortAudio library is missing
        raise ImportError(
            f"--microphone needs sounddevice, which cannot be loaded ({error}): pip install 'audiozoo[microphone]', and on "
            "Linux the library PortAudio"
        ) from None
    return sounddevice
