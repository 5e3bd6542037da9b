import errno
import os
import subprocess
import sys
import threading

import pytest

from audiozoo.files import check_target, replacing


def test_a_file_is_whole_or_the_old_one(tmp_path):
    path = tmp_path / "deep" / "result.json"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(RuntimeError, match="half way"):
        _fail_half_way(path)
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["result.json"]


def test_a_folder_or_a_device_is_no_target(tmp_path):
    for path in (tmp_path, os.devnull):
        with pytest.raises(ValueError, match="name"):
            check_target(path)
    check_target(tmp_path / "new.txt")


def test_a_result_is_readable_like_any_other_new_file(tmp_path):
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    (tmp_path / "b.txt").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Unable to synchronously write (errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, error):
    path = tmp_path / "result.json"
    with pytest.raises(OSError, match=rf"No space left.*{path}|{path}: .*No space left") as caught, replacing(path):
        raise error
    assert caught.value.errno == error.errno
    assert os.listdir(tmp_path) == []


def test_an_error_that_names_a_file_keeps_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), replacing(tmp_path / "result.json"):
        (tmp_path / "other.txt").read_text()


def test_a_temporary_file_is_never_named(tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(FileNotFoundError, match=rf"'{path}'"):
        _lose(path)


LIMITED = """
import resource, sys
from audiozoo.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
with replacing(sys.argv[1]) as temporary, open(temporary, "wb") as file:
    file.write(bytes(10_000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_write_that_the_system_refuses_names_the_file(tmp_path):
    path = tmp_path / "result.bin"
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False)
    assert f"File too large: '{path}'" in done.stderr
    assert os.listdir(tmp_path) == []


def _lose(path):
    with replacing(path) as temporary:
        temporary.unlink()
        temporary.read_text()


def _fail_half_way(path):
    with replacing(path) as temporary:
        temporary.write_text("sec")
        raise RuntimeError("half way")


def test_a_file_is_whole_whoever_writes_it(tmp_path):
    path, read = tmp_path / "model.onnx", []

    def write(content):
        for _ in range(50):
            with replacing(path) as temporary:
                temporary.write_bytes(content * 10_000)
            read.append(path.read_bytes())

    threads = [threading.Thread(target=write, args=(content,)) for content in (b"1", b"2", b"3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 150
    assert {len(content) for content in read} == {10_000}
    assert all(len(set(content)) == 1 for content in read)
    assert list(tmp_path.iterdir()) == [path]
