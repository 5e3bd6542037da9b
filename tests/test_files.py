import os

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


def _fail_half_way(path):
    with replacing(path) as temporary:
        temporary.write_text("sec")
        raise RuntimeError("half way")
