"""Split ZIP archives as Info-ZIP writes them, such as those of FSD50K."""

import random
import shutil
import struct
import subprocess
import zipfile

import pytest

from audiozoo.download import unpack
from audiozoo.download.splitzip import open_split

BOUNDS = {"most_bytes": 10**7, "most_files": 50}
SOUNDS = {f"FSD50K.dev_audio/{number}.wav": random.Random(number).randbytes(9_000 + 5_000 * number) for number in range(8)}
START = b"PK\7\x08"  # an archive in several parts starts with this mark


def split(content, size):
    return [content[place : place + size] for place in range(0, len(content), size)]


def written(folder, *, size=40_000, zip64=False, files=SOUNDS, parts=None):
    """Write files as a split archive, byte by byte as APPNOTE.TXT describes it, and return the paths of the parts."""
    body, entries = START, []
    for name, content in files.items():
        packed = zipfile.zlib.compress(content)[2:-4]
        facts = (20, 0, 8, 0, 33, zipfile.crc32(content), len(packed), len(content), len(name))
        if size - len(body) % size < 30 + len(name):  # a header is never divided
            body += bytes(size - len(body) % size)
        part, place = divmod(len(body), size)
        full = 0xFFFFFFFF if zip64 else place
        extra = struct.pack("<2HQ", 1, 8, place) if zip64 else b""
        entries.append(
            struct.pack("<4sH5H3L5H2L", b"PK\1\2", 0x31E, *facts, len(extra), 3, part, 0, 0o100644 << 16, full)
            + name.encode()
            + extra
            + b"why"
        )
        body += struct.pack("<4s5H3L2H", b"PK\3\4", *facts, 0) + name.encode() + packed
    directory = b"".join(entries)
    part, place = divmod(len(body), size)
    body += directory
    last = len(body) // size
    count = len(entries)
    if zip64:
        at = divmod(len(body), size)
        body += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, at[0], part, count, count, len(directory), place)
        last = len(body) // size
        body += struct.pack("<4sLQL", b"PK\6\7", at[0], at[1], parts or last + 1)
        body += struct.pack("<4s4H2LH", b"PK\5\6", *[0xFFFF] * 4, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    else:
        body += struct.pack("<4s4H2LH", b"PK\5\6", parts - 1 if parts else last, part, count, count, len(directory), place, 0)
    pieces = split(body, size)
    assert len(pieces) == last + 1
    paths = [folder / (f"a.z{number:02}" if number < len(pieces) else "a.zip") for number in range(1, len(pieces) + 1)]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    return paths


def unpacked(paths, target):
    unpack(paths[-1], target, earlier=paths[:-1], **BOUNDS)
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize("zip64", [False, True])
def test_a_split_archive_is_unpacked(tmp_path, zip64):
    paths = written(tmp_path, zip64=zip64)
    assert len(paths) == 6
    assert unpacked(paths, tmp_path / "to") == SOUNDS
    with pytest.raises(ValueError, match="damaged"):
        unpack(paths[-1], tmp_path / "alone", **BOUNDS)


@pytest.mark.parametrize("size", [64, 128, 192])
def test_the_archives_of_info_zip_are_unpacked(tmp_path, size):
    if not shutil.which("zip"):
        pytest.skip("needs the program zip")
    for name, content in SOUNDS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    subprocess.run(["zip", "-q", "-r", "-s", f"{size}k", "b.zip", "FSD50K.dev_audio"], cwd=tmp_path, check=True)
    paths = [*sorted(tmp_path.glob("b.z[0-9]*")), tmp_path / "b.zip"]
    assert len(paths) > 1
    assert unpacked(paths, tmp_path / "to") == SOUNDS


def test_the_directory_may_cross_parts(tmp_path):
    many = {f"{'n' * 200}{number}": b"" for number in range(40)}
    assert unpacked(written(tmp_path, size=3_000, files=many), tmp_path / "to") == many


def test_positions_beyond_4_gb(tmp_path):
    """Parts of 3 GiB as those of FSD50K, sparse, so that they take no room on the disk."""
    size, name = 3 * 2**30, b"far.wav"
    header = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, zipfile.crc32(b"far away"), 8, 8, len(name), 0) + name
    place = size - len(header) - 3  # three bytes of the content are in the second part, and five in the last one
    facts = (20, 0, 0, 0, 33, zipfile.crc32(b"far away"), 8, 8, len(name), 0, 0, 1, 0, 0o100644 << 16, place)
    entry = struct.pack("<4sH5H3L5H2L", b"PK\1\2", 0x31E, *facts) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 2, 2, 1, 1, len(entry), 5, 0)
    paths = [tmp_path / name for name in ("a.z01", "a.z02", "a.zip")]
    for path in paths[:2]:
        with path.open("wb") as file:
            file.truncate(size)
    with paths[1].open("r+b") as file:
        file.seek(place)
        file.write(header + b"far")
    paths[2].write_bytes(b" away" + entry + end)
    assert unpacked(paths, tmp_path / "to") == {"far.wav": b"far away"}


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    paths = written(tmp_path)
    for wrong, reason in (
        (paths[1:], "6 parts, and 5 are here"),
        ([paths[1], paths[0], *paths[2:]], "damaged"),
        ([*paths, paths[-1]], "6 parts, and 7 are here"),
    ):
        with pytest.raises(ValueError, match=reason):
            unpacked(wrong, tmp_path / "to")
        assert not (tmp_path / "to").exists()


def test_a_damaged_part_is_refused(tmp_path):
    for number in range(6):
        paths = written(tmp_path)
        content = bytearray(paths[number].read_bytes())
        middle = 300 if number == 5 else len(content) // 2
        content[middle : middle + 40] = bytes(40)
        paths[number].write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged|exceeds|not below"):
            unpacked(paths, tmp_path / "to")


@pytest.mark.parametrize("zip64", [False, True])
def test_a_false_number_of_parts_is_refused(tmp_path, zip64):
    with pytest.raises(ValueError, match="900 parts"):
        unpacked(written(tmp_path, zip64=zip64, parts=900), tmp_path / "to")


def test_malicious_names_in_a_split_archive_write_nothing(tmp_path):
    with pytest.raises(ValueError, match="not below the target"):
        unpacked(written(tmp_path, files={**SOUNDS, "../evil": b"x"}), tmp_path / "a" / "to")
    assert not (tmp_path / "a" / "evil").exists()


def test_closing_the_archive_closes_its_parts(tmp_path):
    paths = written(tmp_path)
    with open_split(paths) as file:
        whole = file.raw
        assert file.seek(0, 2) > sum(path.stat().st_size for path in paths)
    assert all(part.closed for part in whole._files)
