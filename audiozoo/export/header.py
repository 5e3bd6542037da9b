"""A LiteRT file as a C header, for microcontrollers that have no file system."""

from __future__ import annotations

import math
import os
import re
import zipfile
from pathlib import Path

from audiozoo.export.card import ExportCard
from audiozoo.files import write_text

MOST_BYTES = 200_000
"""Largest model in a header; microcontrollers have little more memory."""

_PER_LINE = 16


def write_header(path: str | os.PathLike[str], model: Path, card: ExportCard) -> None:
    """Write a LiteRT file as a C header, see `c_header`. Its name without the suffix begins the identifiers.

    Args:
        path: Path of the header.
        model: Path of the LiteRT file.
        card: Metadata of the file.

    Raises:
        OSError: The header cannot be written.
        ValueError: The model is too large.
    """
    write_text(path, c_header(model, card, Path(path).stem))


def c_header(path: Path, card: ExportCard, name: str) -> str:
    """Return a LiteRT file as the text of a C header, without the archive of its metadata.

    Args:
        path: Path of the LiteRT file.
        card: Metadata of the file.
        name: Name for the identifiers, such as that of the header.

    Returns:
        C99 (and C++) with the model in an array aligned to 16 bytes, its length, the labels, the sample rate, the numbers of
        samples, inputs and classes, and the licence.

    Raises:
        ValueError: The model has more than 200,000 bytes.
    """
    content = _model(path)
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"a C header is for models of at most {MOST_BYTES:,} bytes, this one has {len(content):,}: add --precision int8 "
            "--features, or train a smaller network (`audiozoo list --max-parameters 100k`)"
        )
    prefix = re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
    guard = f"{prefix.upper()}_H"
    frontend = card.frontend
    numbers = {
        "SAMPLE_RATE": frontend.sample_rate,
        "SAMPLES": frontend.samples,
        "INPUTS": math.prod(card.input_shape),
        "CLASSES": len(card.labels),
    }
    return "\n".join(
        [
            f"/* {_comment(card.name)}: {card.input} of {' x '.join(map(str, card.input_shape))} in, probabilities out.",
            f"   Precision {card.precision}; licence: {_comment(card.licence) or 'not stated'}; audiozoo {card.version}. */",
            f"#ifndef {guard}\n#define {guard}\n",
            *(f"#define {prefix.upper()}_{key} {value}" for key, value in numbers.items()),
            f"\nstatic const char *const {prefix}_labels[] = {{",
            *(f"    {_quoted(label)}," for label in card.labels),
            "};\n",
            "#ifdef __cplusplus\nalignas(16)\n#elif defined(__GNUC__)\n__attribute__((aligned(16)))\n#endif",
            f"static const unsigned char {prefix}_model[] = {{",
            *_lines(content),
            "};",
            f"static const unsigned int {prefix}_model_length = {len(content)};\n",
            "#endif\n",
        ]
    )


def _model(path: Path) -> bytes:
    """Return a LiteRT file without the archive at its end."""
    with zipfile.ZipFile(path) as archive:
        end = min(member.header_offset for member in archive.infolist())
    return path.read_bytes()[:end]


def _lines(content: bytes) -> list[str]:
    parts = (content[place : place + _PER_LINE] for place in range(0, len(content), _PER_LINE))
    return ["    " + " ".join(f"0x{byte:02x}," for byte in part) for part in parts]


def _quoted(text: str) -> str:
    """Return a text as a C string of ASCII, in which three octal digits end each escape."""
    plain = range(0x20, 0x7F)
    special = b'"\\?'  # two question marks would begin a trigraph
    return '"' + "".join(chr(one) if one in plain and one not in special else f"\\{one:03o}" for one in text.encode()) + '"'


def _comment(text: str) -> str:
    return re.sub(r"[^ -~]|[*/\\]", " ", text)
