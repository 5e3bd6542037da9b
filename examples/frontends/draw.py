"""Draw the features that every frontend computes from one sound, and write the page of the pictures.

python examples/frontends/draw.py
"""

from dataclasses import MISSING, fields
from pathlib import Path

import audiozoo
from audiozoo.features import (
    CQT,
    GFCC,
    MFCC,
    Chroma,
    Descriptors,
    Frontend,
    LogMel,
    Scale,
    Spectrogram,
    Stack,
    Statistics,
    TrimSilence,
    Waveform,
)
from audiozoo.report import sound_picture

HERE = Path(__file__).parent
SIZES = {"n_fft": 1_024, "hop_length": 256}
CHOSEN = {
    "waveform": Waveform(scaling="peak"),
    "spectrogram": Spectrogram(**SIZES, compression="db"),
    "magnitude-phase": Spectrogram(**SIZES, compression="db", representation="magnitude_phase"),
    "logmel": LogMel(**SIZES, n_mels=64),
    "logmel-pcen": LogMel(**SIZES, n_mels=64, power=1.0, compression="pcen"),
    "logmel-deltas": LogMel(**SIZES, n_mels=64, deltas=1),
    "mfcc": MFCC(**SIZES, n_mfcc=20, n_mels=64),
    "gfcc": GFCC(**SIZES, n_gfcc=20, n_bands=64),
    "cqt": CQT(hop_length=256),
    "chroma-stft": Chroma(**SIZES),
    "chroma-cqt": Chroma(kind="cqt", hop_length=256),
    "chroma-cens": Chroma(kind="cens", hop_length=256),
    "descriptors": Descriptors(**SIZES),
    "statistics": Statistics(of=LogMel(**SIZES, n_mels=64), reduce=("mean", "deviation")),
    "stack": Stack(of=(LogMel(**SIZES, n_mels=12), Chroma(**SIZES))),
    "scale": Scale(of=LogMel(**SIZES, n_mels=64), by="minmax"),
}


def example(kind):
    """Build a frontend of the package at its defaults; one that changes others gets a log-mel spectrogram."""
    needs = [field.name for field in fields(kind) if field.init and field.default is field.default_factory is MISSING]
    return kind(**dict.fromkeys(needs, LogMel(**SIZES, n_mels=64)))


def all_frontends():
    """Return the chosen settings, and the defaults of every frontend that none of them shows."""
    kinds = {getattr(audiozoo.features, name, None) for name in Frontend.names().values()} - {None}
    left = kinds - {type(frontend) for frontend in CHOSEN.values()}
    return {**CHOSEN, **{kind.__name__.lower(): example(kind) for kind in sorted(left, key=lambda kind: kind.__name__)}}


FRONTENDS = all_frontends()
PAGE = """# Every frontend on one sound

One clip of the kind "{kind}" of the synthetic dataset. `python benchmarks/generate.py frontends` draws the pictures;
`audiozoo plot FILE --frontend NAME` draws your own sounds.

{pictures}
"""


def written(value):
    """Return the code that makes a frontend, without arguments that have their default values."""
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))})"
    if not isinstance(value, Frontend):
        return repr(value)
    chosen = [field.name for field in fields(value) if field.init and getattr(value, field.name) != field.default]
    return f"{type(value).__name__}({', '.join(f'{name}={written(getattr(value, name))}' for name in chosen)})"


def page(names=tuple(FRONTENDS), kind="bell"):
    """Return the text of the page: each frontend as code, with its picture."""
    shown = "\n\n".join(f"## {name}\n\n`{written(FRONTENDS[name])}`\n\n![{name}]({name}.png)" for name in names)
    return PAGE.format(kind=kind, pictures=f"{shown}\n\n## before and after cleaning\n\n![cleaning](cleaning.png)")


def main(folder=HERE, names=tuple(FRONTENDS), kind="bell"):
    clip = next(clip for clip in audiozoo.load_dataset("synthetic").clips if clip.label == kind)
    for name in names:
        sound_picture(clip.path, [FRONTENDS[name]], folder / f"{name}.png", title=kind)
    step = TrimSilence(top_db=20.0)
    sound_picture(clip.path, [FRONTENDS["logmel"]], folder / "cleaning.png", clean=[step], title=kind)
    (folder / "README.md").write_text(page(names, kind), encoding="utf-8")


if __name__ == "__main__":
    main()
