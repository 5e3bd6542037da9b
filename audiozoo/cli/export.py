"""``audiozoo export``: write a classifier as a file of another library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiozoo.cli.console import out, progress_bar, quiet_backend, silent_below_python, sounds_of
from audiozoo.cli.errors import keeping
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.datasets import Clip
    from audiozoo.export import Exported, Proof

EXAMPLE = "audiozoo export my.audiozoo -o my.onnx"


_Classifier = Annotated[
    Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
]
_Output = Annotated[
    Path, typer.Option("--output", "-o", help="File to write: .onnx, .tflite, .keras or .pt; a folder for saved_model.")
]
_Format = Annotated[
    str | None,
    typer.Option("--format", help="Format: onnx, litert, saved_model, torchscript or keras; by default that of the suffix."),
]
_Features = Annotated[
    bool, typer.Option("--features", help="Export the network without its frontend: it takes features, not a waveform.")
]
_Clips = Annotated[
    list[Path] | None,
    typer.Option(
        help="Sounds, or folders of them, to compare on; by default those of --calibrate, or synthetic sounds. May be repeated."
    ),
]
_Calibrate = Annotated[
    list[Path] | None,
    typer.Option(
        help="Sounds, or folders of them, like those to classify: int8 takes the ranges of the values from at most 200. May be "
        "repeated."
    ),
]


def run(
    classifier: _Classifier,
    output: _Output,
    form: _Format = None,
    features: _Features = False,
    clips: _Clips = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"], typer.Option(help="Precision of the weights in a .tflite file.")
    ] = "float32",
    calibrate: _Calibrate = None,
    header: Annotated[
        Path | None, typer.Option("--c-header", help="C header to write beside a .tflite file of at most 200,000 bytes.")
    ] = None,
) -> None:
    """Export a classifier: waveform in, probabilities out.

    The exported file is run on clips, and the largest difference of a probability to that of Keras is printed. If it exceeds
    0.001, nothing is written. In float16 and int8, 90 % of the clips must get the same class, and the float32 file is measured
    too. The folders inside a folder of clips are the classes of their sounds, for the accuracy.

    Labels, sample rate, windows, pooling and licence are in the file itself, so `audiozoo predict` answers with an .onnx or
    .tflite file alone, without loading Keras.
    """
    if form != "saved_model":
        check_target(output)
    if header:
        check_target(header)
    compared, calibrating = clips_of(clips or ()), clips_of(calibrate or ())
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.export import export_classifier

    with keeping(f"{output} was not written"), silent_below_python(), progress_bar("export") as show:
        exported = export_classifier(
            load_classifier(classifier),
            output,
            format=form,
            features=features,
            precision=precision,
            calibrate=calibrating,
            header=header,
            clips=compared,
            progress=show,
        )
    _print(exported)
    if header:
        out.print(f"saved {header}", soft_wrap=True)


def clips_of(paths: Sequence[Path]) -> list[Clip]:
    """Return the sounds in files and folders as clips. The label is the folder inside the given one; "" if there is none.

    Raises:
        ValueError: There are paths but no sounds.
    """
    from audiozoo.datasets import Clip

    def label(file: str, folder: Path) -> str:
        inside = Path(file).relative_to(folder).parts if folder.is_dir() else ()
        return inside[0] if len(inside) > 1 else ""

    return [Clip(file, (label(file, path),)) for path in paths for file in sounds_of([path])]


def _print(exported: Exported) -> None:
    proof, card = exported.proof, exported.card
    out.print(
        f"largest difference of a probability to Keras: {proof.difference:.1e} ({proof.clips} clips, {proof.windows} windows)"
    )
    if exported.beside:
        _print_beside({"float32": exported.beside, card.precision: proof})
    elif proof.accuracy is not None:
        out.print(f"accuracy on these clips: {100 * proof.accuracy:.1f} %")
    if not exported.exact:
        out.print("note: for a clip of several windows, the mean of their probabilities is not exactly the answer of a probe")
    taken = " x ".join(map(str, card.input_shape))
    source = f"{card.input} of {taken}" + (f" samples at {card.frontend.sample_rate} Hz" if card.input == "waveform" else "")
    licence = f", licence {card.licence}" if card.licence else ""
    out.print(
        f"saved {exported.path} ({exported.format}, {proof.size / 1e6:.2f} MB; {source}; {len(card.labels)} classes{licence})",
        soft_wrap=True,
    )


def _print_beside(proofs: dict[str, Proof]) -> None:
    from rich.table import Table

    table = Table("precision", "MB", "ms a window", "accuracy", "class of Keras", box=None, pad_edge=False)
    for name, proof in proofs.items():
        accuracy = "" if proof.accuracy is None else f"{100 * proof.accuracy:.1f} %"
        size, time = f"{proof.size / 1e6:.2f}", f"{proof.milliseconds:.2f}"
        table.add_row(name, size, time, accuracy, f"{100 * proof.agreement:.1f} %")
    out.print(table)
