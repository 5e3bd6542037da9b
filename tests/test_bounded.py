"""Files that lie about their sizes: each is refused, at once, and without the memory that it declares."""

import io
import json
import struct
import time
import tracemalloc
import zipfile
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from audiozoo.bounded import MIB, BoundedZip, hdf5_datasets, parse_json, read_hdf5, read_npz


@contextmanager
def cheaply(seconds=1.0, megabytes=8):
    """Check that the block takes little time and memory."""
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        yield
        assert time.perf_counter() - begin < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes * MIB
    finally:
        tracemalloc.stop()


def zipped(*members, compress=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **rest: None)  # a duplicate name is worth a warning to zipfile
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def declaring(content, size, number=0):
    """Write another decompressed size into the local and the central header of a member."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = -1
        for _ in range(number + 1):
            start = content.index(signature, start + 1)
        struct.pack_into("<I", changed, start + offset, size)
    return bytes(changed)


def opened(content, limits=None):
    return BoundedZip(io.BytesIO(content), limits)


ZEROS = bytes(64 * MIB)


def test_members_are_read():
    content = zipped(("a", b"x" * 100_000), ("b", b""))
    for compress in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        content = zipped(("a", b"x" * 100_000), ("b", b""), compress=compress)
        with opened(content, {"a": 100_000, "b": 1}) as archive:
            assert list(archive) == ["a", "b"]
            assert archive.read("a") == b"x" * 100_000
            assert archive.read("b") == b""
            with pytest.raises(ValueError, match="c is missing"):
                archive.read("c")


def test_a_bomb_is_refused_by_what_it_declares():
    bomb = zipped(("card.json", ZEROS))
    assert len(bomb) < 100_000
    with cheaply():
        with pytest.raises(ValueError, match=r"card\.json declares 67,108,864 bytes, at most 1,048,576"):
            opened(bomb, {"card.json": MIB})
        with pytest.raises(ValueError, match="its members declare 67,108,864 bytes, an archive of"):
            opened(bomb)
        with pytest.raises(ValueError, match="declares 3,000,000,000 bytes"):
            opened(declaring(bomb, 3_000_000_000), {"card.json": MIB})


def test_a_bomb_that_declares_little_is_not_decompressed():
    bomb = declaring(zipped(("card.json", ZEROS)), 1_000)
    with cheaply(), opened(bomb, {"card.json": MIB}) as archive, pytest.raises(ValueError, match=r"card\.json is damaged"):
        archive.read("card.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a ZIP archive"),
        (b"PK\x05\x06", "not a ZIP archive"),
        (zipped(("a", b"1"))[:-1], "not a ZIP archive, or is truncated"),
        (zipped(("a", b"1")) + b"x", "not a ZIP archive, or is truncated"),
        (zipped(("a", b"1"), ("a", b"2")), "same name"),
        (zipped(("a", b"1"), ("../b", b"2")), r"'\.\./b' is not one of the allowed members"),
        (zipped(("a", b"1" * 100), compress=zipfile.ZIP_LZMA), "stored or deflated"),
        (zipped(("a", b"1" * 100), compress=zipfile.ZIP_BZIP2), "stored or deflated"),
        (zipped(("a", b"1"))[:-22] + b"PK\x06\x07" + bytes(16) + zipped(("a", b"1"))[-22:], "more than 4 GiB"),
    ],
)
def test_other_archives_are_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        opened(content, {"a": 1_000})


def test_a_password_is_refused():
    content = bytearray(zipped(("a", b"1")))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ValueError, match="without a password"):
        opened(bytes(content))


def test_a_directory_of_many_entries_is_not_read():
    many = zipped(*((f"{number:060}", b"") for number in range(10_000)), compress=zipfile.ZIP_STORED)
    with cheaply(), pytest.raises(ValueError, match="directory declares"):
        opened(many)


def test_a_changed_byte_is_found():
    content = bytearray(zipped(("a", b"content"), compress=zipfile.ZIP_STORED))
    content[content.index(b"content")] ^= 1
    with opened(bytes(content)) as archive, pytest.raises(ValueError, match="a is damaged"):
        archive.read("a")


def test_json_is_limited():
    value = {"a": [1, 2.5, None, "text", {"b": [float("inf")]}]}
    assert parse_json(json.dumps(value).encode(), most=1_000, depth=4) == value
    with pytest.raises(ValueError, match="nested deeper than 3"):
        parse_json(json.dumps(value).encode(), most=1_000, depth=3)
    for deep in (b"[" * 500 + b"]" * 500, b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 100_000):
        with pytest.raises(ValueError, match="nested deeper than 64"):
            parse_json(deep, most=MIB, depth=64)
    with pytest.raises(ValueError, match="at most 1,000 are allowed"):
        parse_json(b" " * 1_001, most=1_000, depth=4)
    with cheaply(), pytest.raises(ValueError, match="more than 1,000,000 values"):
        parse_json(b"[" + b"[]," * 1_000_000 + b"0]", most=10 * MIB, depth=4)
    with pytest.raises(ValueError, match="two equal keys"):
        parse_json(b'{"a": 1, "a": 2}', most=1_000, depth=4)
    for broken in (b"", b"{", b"\xff\xfe", b"1" * 10_000):
        with pytest.raises(ValueError):
            parse_json(broken, most=MIB, depth=4)


def npy(header, values=b"", version=b"\x01\x00"):
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version[0] == 1 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + values


def test_arrays_are_read(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.asfortranarray(np.ones((3, 2), np.float32)), "d": np.float32(2)}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        read = read_npz(tmp_path / "a.npz")
        assert read.keys() == arrays.keys()
        for name, array in arrays.items():
            assert np.array_equal(read[name], array)
            assert read[name].dtype == array.dtype
    assert read_npz((tmp_path / "a.npz").read_bytes()).keys() == arrays.keys()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(8)), "8,000,000,000,000 bytes"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", bytes(8)), "24 bytes, and holds 8"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(16)), "8 bytes, and holds 16"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}", bytes(8)), r"shape \(-1, -1\)"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)), "must hold numbers"),
        (npy("{'descr': '|V1000000000', 'fortran_order': False, 'shape': ()}"), "must hold numbers"),
        (npy("{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}", bytes(12)), "must hold numbers"),
        (npy("-" * 9_000 + "1"), "is not a NumPy array"),
        (npy("[" * 9_000), "is not a NumPy array"),
        (npy("{}"), "is not a NumPy array"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(8), b"\x03\x00"), "is not a NumPy array"),
        (b"\x93NUMPY", "is not a NumPy array"),
        (b"", "is not a NumPy array"),
    ],
)
def test_arrays_that_lie_are_refused(content, reason):
    with cheaply(), pytest.raises(ValueError, match=rf"mean\.npy .*{reason}"):
        read_npz(zipped(("mean.npy", content)))


def hdf5(write):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        write(opened)
    return file.getvalue()


def declared(content):
    with h5py.File(io.BytesIO(content)) as file:
        return hdf5_datasets(file, len(content))


def test_hdf5_is_read(tmp_path):
    arrays = {"a/b": np.arange(6.0), "c": np.ones((2, 2), np.int32), "d": np.float32(3)}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file.create_dataset("e", data=np.zeros(1_000), compression="gzip", chunks=(100,))
    read = read_hdf5(tmp_path / "a.h5")
    assert set(read) == {*arrays, "e"}
    assert all(np.array_equal(read[name], array) for name, array in arrays.items())


def test_bfloat16_is_a_number():
    def write(file):
        file["a"] = np.zeros(3, "V2")
        file["a"].attrs["dtype"] = "bfloat16"

    assert list(declared(hdf5(write))) == ["a"]
    with pytest.raises(ValueError, match="must hold numbers"):
        declared(hdf5(lambda file: file.__setitem__("a", np.zeros(3, "V2"))))


def endless(file):
    file.create_group("a")
    file["a/again"] = file["a"]


def many_names(file):
    file["0"] = np.zeros(MIB)
    for number in range(1, 100):
        file[str(number)] = file["0"]


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda f: f.create_dataset("a", (10**12,), "f8"), "declares the shape"),
        (lambda f: f.create_dataset("a", (10**9,), "f8", chunks=(1_000,), compression="gzip"), "declares the shape"),
        (lambda f: f.create_dataset("a", (1,), "f8", chunks=(10**8,), maxshape=(None,)), "declares the shape"),
        (lambda f: [f.create_dataset(str(n), (MIB,), "f8") for n in range(8)], "declare more than"),
        (many_names, "declare more than"),
        (endless, "groups deeper than 64"),
        (lambda f: [f.create_group(str(n)) for n in range(101)], "more than 100 items"),
        (lambda f: f.__setitem__("a", h5py.ExternalLink("other.h5", "/a")), "is a link"),
        (lambda f: f.__setitem__("a", h5py.SoftLink("/b")), "is a link"),
        (lambda f: f.create_dataset("a", (10,), "f8", external=[("/etc/passwd", 0, 80)]), "from another file"),
        (lambda f: f.create_dataset("a", data="text"), "must hold numbers"),
        (lambda f: f.create_dataset("a", data=h5py.Empty("f8")), "must hold numbers"),
    ],
)
def test_hdf5_that_lies_is_refused(write, reason, monkeypatch):
    monkeypatch.setattr("audiozoo.bounded._MOST_HDF5_ITEMS", 100)
    content = hdf5(write)
    with cheaply(), pytest.raises(ValueError, match=reason):
        declared(content)


def test_a_virtual_dataset_is_refused():
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
    with pytest.raises(ValueError, match="from another file"):
        declared(hdf5(lambda file: file.create_virtual_dataset("a", layout)))
