import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from test_download_splitzip import written

from audiozoo.download import unpack

BOUNDS = {"most_bytes": 100_000, "most_files": 20}


def make_zip(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def link(kind):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def symbolic():
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_an_archive_is_unpacked(tmp_path, make):
    target = unpack(make(tmp_path / "a", ("./d/a.wav", b"abc"), ("d/b.wav", b"")), tmp_path / "to", **BOUNDS)
    assert {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.wav")} == {
        "d/a.wav": b"abc",
        "d/b.wav": b"",
    }
    assert target.stat().st_mode == (target / "d").stat().st_mode


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("../evil", b"x")], "not below the target"),
        ([("a/../../evil", b"x")], "not below the target"),
        ([("/evil", b"x")], "not below the target"),
        ([("C:/evil", b"x")], "not below the target"),
        ([("a\\..\\evil", b"x")], "not below the target"),
        ([("d/a", b"x"), ("D/b", b"x")], "differs only by case"),
        ([("n" * 256, b"x")], "more than 255 bytes"),
        ([(".", b"x")], "has no name"),
        ([("bomb", bytes(100_001))], "bytes that the files may have"),
        ([("a", bytes(60_000)), ("b", bytes(60_000))], "bytes that the files may have"),
        ([(str(i), b"") for i in range(21)], "more than 20 members"),
    ],
)
def test_a_malicious_archive_writes_nothing(tmp_path, make, members, reason):
    archive = make(tmp_path / "a", ("good", b"x"), *members)
    with pytest.raises(ValueError, match=reason):
        unpack(archive, tmp_path / "to", **BOUNDS)
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    with pytest.raises(ValueError, match="link or a special file"):
        unpack(make_tar(tmp_path / "a", (link(kind), b"")), tmp_path / "to", **BOUNDS)
    with pytest.raises(ValueError, match="link or a special file"):
        unpack(make_zip(tmp_path / "b", (symbolic(), "/etc/passwd")), tmp_path / "to", **BOUNDS)


def test_a_name_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="twice"):
        unpack(make_tar(tmp_path / "a", ("x", b"1"), ("x", b"2")), tmp_path / "to", **BOUNDS)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = make_zip(tmp_path / "a", ("x", b"1"))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="encrypted"):
        unpack(path, tmp_path / "to", **BOUNDS)


def test_a_zip_member_without_a_name_or_before_the_start_is_refused(tmp_path):
    [path] = written(tmp_path, files={"": b"1"})
    with pytest.raises(ValueError, match="has no name"):
        unpack(path, tmp_path / "to", **BOUNDS)
    content = bytearray(path.read_bytes())
    content[-6:-2] = b"\xff\0\0\0"  # the directory is said to start later, so the archive starts before the file
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        unpack(path, tmp_path / "to", **BOUNDS)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_an_archive_cut_short_is_refused(tmp_path, make):
    path = make(tmp_path / "a", *((f"{i}", bytes(range(256)) * 9) for i in range(9)))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match="damaged"):
        unpack(path, tmp_path / "to", **BOUNDS)
    assert list(tmp_path.iterdir()) == [path]


def plain_tar(*members, end=True):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in members:
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        whole = archive.offset
    return content.getvalue() if end else content.getvalue()[:whole]


FULL = plain_tar(("a", b"1" * 700), ("b", b"2" * 700))


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_the_end_of_a_compressed_archive_is_checked(tmp_path, packed):
    path, content = tmp_path / "a.tar.x", packed(FULL)
    path.write_bytes(content)
    assert (unpack(path, tmp_path / "good", **BOUNDS) / "b").read_bytes() == b"2" * 700
    # The files of the archive are complete; only the checksum at its end is missing or wrong.
    for damaged in (content[:-4], content[:-8] + bytes(byte ^ 255 for byte in content[-8:])):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            unpack(path, tmp_path / "to", **BOUNDS)


def test_a_tar_archive_that_ends_too_early_is_refused(tmp_path):
    unended = plain_tar(("a", b"1" * 700), ("b", b"2" * 700), end=False)
    broken = bytearray(FULL)
    broken[1536:1540] = b"oops"  # the second header no longer has its checksum
    for content in (unended, unended[:1536], unended[:1800], bytes(broken), gzip.compress(unended)):
        path = tmp_path / "a.tar"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            unpack(path, tmp_path / "to", **BOUNDS)
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_after_the_end_are_bounded(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(FULL + bytes(2**20 + 1)))
    with pytest.raises(ValueError, match="bytes follow its end"):
        unpack(path, tmp_path / "to", **BOUNDS)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_many_megabytes_is_not_read_into_memory(tmp_path, kind):
    info = tarfile.TarInfo("long")
    info.type = kind
    path = make_tar(tmp_path / "a", (info, bytes(2**20 + 1)), ("x", b""))
    with pytest.raises(ValueError, match="a name or an attribute has 1,048,577 bytes"):
        unpack(path, tmp_path / "to", **BOUNDS)


@pytest.mark.parametrize(
    ("place", "value"), [(156, b"S"), (124, b"\xff" * 12), (124, b"77777777777\0"), (124, b"\x80" + b"\x7f" * 11)]
)
def test_a_header_that_lies_is_refused(tmp_path, place, value):
    content = bytearray(FULL)
    content[place : place + len(value)] = value  # the kind of the first member, or its size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged|exceeds"):
        unpack(tmp_path / "a", tmp_path / "to", **BOUNDS)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_unpacking_reports_its_progress(tmp_path, make):
    seen = []
    archive = make(tmp_path / "a", ("x", bytes(9)), ("y", bytes(6)))
    unpack(archive, tmp_path / "to", progress=lambda *step: seen.append(step), **BOUNDS)
    assert [step[:2] for step in seen] == [("unpack", 9), ("unpack", 15)]
    assert all(done <= total for _, done, total, _ in seen)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_bomb_within_the_bounds_is_refused_by_its_ratio(tmp_path, make):
    generous = {"most_bytes": 10**9, "most_files": 9}
    with pytest.raises(ValueError, match="more than 100 times as large as the archive"):
        unpack(make(tmp_path / "a", *((name, bytes(10**6)) for name in "abc")), tmp_path / "to", **generous)
    table = make(tmp_path / "b", ("table.csv", b"dog,1\n" * 9_000))
    assert (unpack(table, tmp_path / "to", **generous) / "table.csv").stat().st_size == 54_000


def test_a_disk_that_is_too_small_is_noticed_before(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 4_999}))
    path = make_zip(tmp_path / "a", ("x", bytes(3_000)), ("y", bytes(2_000)))
    with pytest.raises(OSError, match=r"needs 5,000 bytes when unpacked, and the disk of .* has 4,999 free"):
        unpack(path, tmp_path / "to", **BOUNDS)
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_folder_stays(tmp_path):
    with pytest.raises(FileExistsError, match="exists already"):
        unpack(make_zip(tmp_path / "a", ("x", b"1")), tmp_path, **BOUNDS)
