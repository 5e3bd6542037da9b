"""Small sounds in every format that libsndfile writes, and seeded ways to damage them."""

import re
import struct
import tempfile
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import soundfile

SHAPES = ((16_000, 2), (16_000, 1), (8_000, 1))
"""Sample rates (Hz) and channels to try; not every format takes every one."""

LENGTHS = (3_000, 20_000, 120_000)
"""Samples. A rate that lies matters most for a long file."""

RATES = (0, 1, 2, 7, 49, 50, 51, 160, 320, 441, 500, 1_000, 4_000, 8_001, 44_100, 96_000, 192_000, 10**6, 10**7, 10**7 + 1)
RATES += (2**31 - 1, 2**31, 2**32 - 1)

NUMBERS = (0, 1, 2, 3, 127, 255, 256, 1_000, 1_024, 32_767, 65_535, 65_536, 2**24, 2**31 - 4_097, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS += (2**53, 2**63 - 1, 2**64 - 1)


@cache
def recipes():
    """Return (format, subtype) of all files that libsndfile writes here."""
    pairs = [
        (kind, subtype) for kind in sorted(soundfile.available_formats()) for subtype in soundfile.available_subtypes(kind)
    ]
    return [(kind, subtype) for kind, subtype in pairs if sound(kind, subtype, LENGTHS[0])]


@lru_cache(maxsize=1_024)
def sound(kind, subtype, samples):
    """Return the files, by name, of a sound in a format; no file if libsndfile does not write it.

    SD2 has two files: its header is a file of its own beside the samples.
    """
    for rate, channels in SHAPES:
        noise = np.random.default_rng(samples).uniform(-0.3, 0.3, (samples, channels))
        with tempfile.TemporaryDirectory() as folder:
            try:
                soundfile.write(Path(folder) / f"sound.{kind.lower()}", noise, rate, format=kind, subtype=subtype)
            except soundfile.LibsndfileError:
                continue
            found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            return {str(path.relative_to(folder)): timeless(path.read_bytes()) for path in found}
    return {}


def timeless(content):
    """Remove what libsndfile takes from the clock, so that the same seed gives the same files in every run."""
    content = re.sub(rb"(PEAK.{8}).{4}", rb"\1\0\0\0\0", content, count=1, flags=re.DOTALL)
    content = re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", b"2000-01-01 00:00:00", content, count=1)
    return ogg_repaired(content, serial=1)


def ogg_repaired(content, serial=None):
    """Return an Ogg file with the checksum of each page computed again, and optionally another serial number."""
    if not content.startswith(b"OggS"):
        return content
    pages = [b"OggS" + rest for rest in content.split(b"OggS")[1:]]
    return b"".join(ogg_page(page, serial) for page in pages)


def ogg_page(page, serial):
    if len(page) < 27:
        return page
    number = page[14:18] if serial is None else struct.pack("<I", serial)
    page = page[:14] + number + page[18:22] + bytes(4) + page[26:]
    return page[:22] + struct.pack("<I", ogg_checksum(page)) + page[26:]


def ogg_checksum(page):
    total, steps = 0, ogg_steps()
    for byte in page:
        total = (total << 8 & 0xFFFFFFFF) ^ steps[total >> 24 ^ byte]
    return total


@cache
def ogg_steps():
    steps = []
    for byte in range(256):
        total = byte << 24
        for _ in range(8):
            total = (total << 1 ^ (0x04C11DB7 if total >> 31 else 0)) & 0xFFFFFFFF
        steps.append(total)
    return steps


def flipped(content, rng, other):
    """Flip bits, half of the time in the first bytes, where a header is."""
    end = len(content) if rng.random() < 0.5 else min(len(content), 200)
    data = bytearray(content)
    for place in rng.integers(end, size=int(2 ** rng.uniform(0, 6))):
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def shortened(content, rng, other):
    """Cut the end off, or a part out of the middle."""
    first, second = sorted(int(place) for place in rng.integers(len(content) + 1, size=2))
    return content[:second] if rng.random() < 0.6 else content[:first] + content[second:]


def spliced(content, rng, other):
    """Put the head of one file on the tail of another, or a part of one file into the other."""
    here, there = int(rng.integers(len(content))), int(rng.integers(len(other)))
    if rng.random() < 0.5:
        return content[:here] + other[there:]
    return content[:here] + other[there : there + int(2 ** rng.uniform(0, 12))] + content[here:]


def lying_number(content, rng, other):
    """Overwrite integers in the first bytes with ones that headers should not state."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice((1, 2, 4, 8)))
        value = int(NUMBERS[rng.integers(len(NUMBERS))]) % 256**width
        place = int(rng.integers(max(1, min(len(data), 160) - width)))
        place -= place % 2 if rng.random() < 0.8 else 0
        data[place : place + width] = value.to_bytes(width, ("little", "big")[int(rng.integers(2))])
    return bytes(data)


def lying_rate(content, rng, other):
    """Replace the sample rate, wherever and however the header states it."""
    lie = int(RATES[rng.integers(len(RATES))]) if rng.random() < 0.7 else int(10 ** rng.uniform(0, 7.2))
    head, rest = content[:4_096], content[4_096:]
    for true_rate in (16_000, 8_000):
        for true, false in zip(spellings(true_rate), spellings(lie), strict=True):
            head = head.replace(true, false) if true else head
    return head + rest


def spellings(rate):
    """Return the ways in which headers write a rate; of a width that cannot hold it, its lower part."""
    whole = [(rate % 2**32).to_bytes(4, order) for order in ("little", "big")]
    period = [(10**7 // max(rate, 1)).to_bytes(4, "big")]  # HTK, 100 ns
    real = [struct.pack(code, float(rate)) for code in ("<d", ">d", "<f", ">f")]
    packed = [((rate % 2**20) << 4 | low).to_bytes(3, "big") for low in range(16)]  # FLAC, beside channels and bits
    text = [b" %d" % rate]
    exponent = max(rate, 1).bit_length() - 1
    extended = [struct.pack(">HQ", 16_383 + exponent, rate << 63 - exponent)]  # AIFF
    return [*extended, *real, *whole, *period, *text, *packed]


MUTATIONS = {
    "bits flipped": flipped,
    "cut": shortened,
    "spliced": spliced,
    "header lies": lying_number,
    "rate lies": lying_rate,
}


def damaged(number, *, seed, folder):
    """Write the damaged file of a number into a folder; return its path, its format, and the name of its damage."""
    rng = np.random.default_rng([seed, number])
    names, pairs = list(MUTATIONS), recipes()
    kind, subtype = pairs[number % len(pairs)]
    mutation = names[(number % len(pairs) + number // len(pairs)) % len(names)]
    files = dict(sound(kind, subtype, LENGTHS[rng.integers(len(LENGTHS))]))
    target = list(files)[rng.integers(len(files))]
    other = next(iter(sound(*pairs[rng.integers(len(pairs))], LENGTHS[0]).values()))
    files[target] = MUTATIONS[mutation](files[target], rng, other)
    if rng.random() < 0.2:
        files[target] = MUTATIONS[names[rng.integers(len(names))]](files[target] or b"\0", rng, other)
    if rng.random() < 0.5:  # a wrong checksum would be found before anything else
        files[target] = ogg_repaired(files[target])
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / f"sound.{kind.lower()}", kind, mutation
