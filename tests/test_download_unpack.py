import io
import tarfile
import zipfile

import pytest

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
        ([("bomb", bytes(100_001))], "exceeds the declared size"),
        ([("a", bytes(60_000)), ("b", bytes(60_000))], "exceeds the declared size"),
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


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_an_archive_cut_short_is_refused(tmp_path, make):
    path = make(tmp_path / "a", *((f"{i}", bytes(range(256)) * 9) for i in range(9)))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match="damaged"):
        unpack(path, tmp_path / "to", **BOUNDS)
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_folder_stays(tmp_path):
    with pytest.raises(FileExistsError, match="exists already"):
        unpack(make_zip(tmp_path / "a", ("x", b"1")), tmp_path, **BOUNDS)
