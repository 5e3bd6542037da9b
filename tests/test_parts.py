"""Manifests of folders of parts, which come from outside."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from audiozoo.parts import Manifest, Part, Table, check_columns, checked_request, has_manifest, opened, read_manifest, texts
from audiozoo.parts.footer import read_chunks

PART = {"name": "part-00003.parquet", "answers": 2, "bytes": 10, "failures": 1, "failure_bytes": 5}


def manifest(**changed):
    given = {"schema": 1, "version": "1", "request": {"verb": "embed"}, "parts": [PART], **changed}
    return json.dumps({name: value for name, value in given.items() if value is not None})


def test_a_manifest_gives_back_what_was_written(tmp_path):
    (tmp_path / "manifest.json").write_text(manifest())
    found = read_manifest(tmp_path)
    assert found.to_dict() == json.loads(manifest())
    assert (found.next_number, found.parts[3]) == (4, Part(**PART))
    assert found.failure_tables(tmp_path) == [Table(tmp_path / "failures-00003.parquet", 1, 5)]
    assert has_manifest(tmp_path)
    assert not has_manifest(tmp_path / "elsewhere")


def test_the_number_of_a_missing_part_is_not_used_again(tmp_path):
    found = Manifest.parse(manifest().encode())
    assert found.remaining(tmp_path).parts == {}
    assert found.next_number == 4
    (tmp_path / "failures-00003.parquet").touch()
    assert found.remaining(tmp_path).parts == {3: Part(PART["name"], failures=1, failure_bytes=5)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting"),
        ("{", "Expecting"),
        ("[1]", "must be a JSON object"),
        (manifest(schema=2), "has schema 2, and this version reads up to 1: upgrade"),
        (manifest(schema="1"), "schema must be a whole number"),
        (manifest(schema=None), "schema must be a whole number"),
        (manifest(version=1), "version must be a JSON string"),
        (manifest(request=[]), "request must be a JSON object"),
        (manifest(parts={}), "parts must be a JSON array"),
        (manifest(parts=None), "parts must be a JSON array"),
        (manifest(parts=[1]), "a part must be an object of name, answers, bytes"),
        (manifest(parts=[{**PART, "more": 1}]), "a part must be an object"),
        (manifest(parts=[{**PART, "answers": "2"}]), "answers of part-00003.parquet must be a whole number"),
        (manifest(parts=[{**PART, "bytes": -1}]), "bytes of part-00003.parquet must be a number from 0"),
        (manifest(parts=[{**PART, "failures": True}]), "failures of part-00003.parquet must be a whole number"),
        (manifest(parts=[{**PART, "failure_bytes": 1e300}]), "failure_bytes of part-00003.parquet must be a whole number"),
        (manifest(parts=[PART, PART]), "part-00003.parquet comes after part-00003.parquet"),
        (manifest(request={"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}), "nested deeper than 16 levels"),
        *(
            (manifest(parts=[{**PART, "name": name}]), "must have a name such as part-00000.parquet")
            for name in (
                "../part-00000.parquet",
                "/etc/part-00000.parquet",
                "part-00000.parquet\n",
                "part-0000.parquet",
                "part-000000.parquet",
                "part-\u0660\u0660\u0660\u0660\u0660.parquet",
                "part-00000.PARQUET",
                3,
            )
        ),
    ],
)
def test_manifests_that_lie_are_refused(tmp_path, text, reason):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=reason) as caught:
        read_manifest(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.json'}: not a manifest of answers: ")


def test_a_manifest_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "manifest.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes, at most 33,554,432"):
        read_manifest(tmp_path)


def test_a_folder_takes_a_limited_number_of_parts():
    assert Part.numbered(99_999).failures_name == "failures-99999.parquet"
    with pytest.raises(ValueError, match="a folder takes 100,000 parts"):
        Part.numbered(100_000)


def test_requests_are_json_objects():
    assert checked_request({"labels": ("a", "b"), "hop": None}) == {"labels": ["a", "b"], "hop": None}
    for request, reason in (
        ([1], "must be a JSON object, got"),
        ({"a": {1}}, "must be JSON data"),
        ({"a": float("nan")}, "must be JSON data"),
        ({"a": "x" * 2**23}, "at most 4,194,304 are allowed"),
    ):
        with pytest.raises(ValueError, match=reason):
            checked_request(request)


def table(path, names, rows=None, **how):
    pyarrow.parquet.write_table(pyarrow.table({"file": names}), path, **how)
    return Table(path, len(names) if rows is None else rows, path.stat().st_size)


def test_repeated_names_of_a_column_are_one_string_in_memory(tmp_path):
    names = ["b" * 2_000, None, "b" * 2_000, "é"]
    with opened(table(tmp_path / "part-00000.parquet", names), ["file"]) as file:
        found = texts("file", file.read().column("file"), 2_000)
    assert found == ["b" * 2_000, "", "b" * 2_000, "é"]
    assert found[0] is found[2]


def test_columns_that_declare_more_than_the_file_holds_are_refused(tmp_path):
    bomb = table(tmp_path / "part-00000.parquet", ["a"] * 2**23, compression="snappy")
    with pytest.raises(ValueError, match="declares 8,388,608 rows of 1 values"):
        check_columns(bomb.path, {"file": (1, 1)})
    packed = table(tmp_path / "part-00001.parquet", ["a"], compression="zstd")
    with pytest.raises(ValueError, match="compression of the column file must be"):
        check_columns(packed.path, {"file": (1, 1)})
    with pytest.raises(ValueError, match="it has 1 rows, listed are 2"), opened(packed._replace(rows=2), ["file"]):
        pass


def test_the_footer_is_read_as_pyarrow_reads_it(tmp_path):
    path = tmp_path / "a.parquet"
    content = {"file": [str(number) for number in range(500)], "tags": [["a", "b"], []] * 250, "flag": [True, None] * 250}
    pyarrow.parquet.write_table(
        pyarrow.table(content), path, row_group_size=120, compression={"file": "zstd", "tags.list.element": "snappy"}
    )
    metadata = pyarrow.parquet.read_metadata(path)
    rows, chunks = read_chunks(path)
    assert rows == 500
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [(group.num_rows, group.column(number)) for group in groups for number in range(3)]
    assert [chunk[:3] for chunk in chunks] == [
        (column.path_in_schema.partition(".")[0], rows, column.num_values) for rows, column in columns
    ]
    assert [chunk.codec for chunk in chunks[:3]] == [6, 1, 0]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\xff\xff\xff\xffPAR1", b"\x01\0\0\0PAR1", b"\x1c\x15" + b"\xff" * 20])
def test_damaged_footers_are_refused(tmp_path, damage):
    path = tmp_path / "a.parquet"
    tail = b"" if damage.endswith(b"PAR1") or not damage else len(damage).to_bytes(4, "little") + b"PAR1"
    path.write_bytes(b"PAR1" + damage + tail)
    with pytest.raises(ValueError, match="footer"):
        read_chunks(path)


def test_an_unknown_codec_does_not_end_the_process(tmp_path):
    listed = table(tmp_path / "part-00000.parquet", ["a"], compression="snappy")
    content = listed.path.read_bytes()
    # The codec, 1, is between the path of the column and the number of its values, 1.
    assert content.count(b"\x18\x04file\x15\x02\x16\x02") == 1
    listed.path.write_bytes(content.replace(b"\x18\x04file\x15\x02\x16\x02", b"\x18\x04file\x15\x70\x16\x02"))
    with pytest.raises(ValueError, match="compression of the column file must be one of 'UNCOMPRESSED', 'SNAPPY', got 56"):
        check_columns(listed.path, {"file": (1, 1)})
