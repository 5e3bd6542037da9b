"""Folders of answers: what is added is there once, whenever a run is killed."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from audiozoo.claims import Claims
from audiozoo.classifier import Failure, Prediction
from audiozoo.embeddings import EmbeddingFacts, read_embeddings
from audiozoo.files import write_json
from audiozoo.shards import EmbeddingTable, PredictionTable, Shards, read_failures, read_predictions

LABELS = ("dog", "cat", "rain")
REQUEST = {"verb": "predict", "model": {"name": "m", "signature": [0.5, 0.25]}, "hop": None, "labels": LABELS}
TABLE = PredictionTable(LABELS, several=False)
INVALID = b"caf\xe9.wav".decode("utf-8", "surrogateescape")


def prediction(number, **how):
    scores = np.random.default_rng(number).dirichlet(np.ones(3))
    return Prediction(LABELS, scores, f"{number}.wav", **how)


def names(count):
    return [f"{number}.wav" for number in range(count)]


def put(shards, number):
    """Add a prediction for a number; every seventh file cannot be used."""
    if number % 7 == 6:
        shards.fail(f"{number}.wav", f"{number}.wav: broken")
    else:
        shards.add(f"{number}.wav", prediction(number))


def fill(folder, numbers, **how):
    with Shards(folder, REQUEST, TABLE, **how) as shards:
        for number in numbers:
            put(shards, number)
    return shards


def numbers_of(files):
    return [int(name.removesuffix(".wav")) for name in files]


def parts(folder):
    return json.loads((folder / "manifest.json").read_text())["parts"]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def check_whole(folder, count):
    """Check that each file is there exactly once, with its own answer."""
    found = read_predictions(folder)
    used = [number for number in range(count) if number % 7 != 6]
    assert sorted(found.files) == sorted(f"{number}.wav" for number in used)
    place = {name: place for place, name in enumerate(found.files)}
    order = [place[f"{number}.wav"] for number in used]
    assert np.array_equal(found.scores[order], np.stack([prediction(number).scores for number in used]).astype(np.float32))
    assert [found.answers[one] for one in order] == [prediction(number).label for number in used]
    assert sorted(one.source for one in found.failures) == sorted(f"{number}.wav" for number in range(6, count, 7))
    on_disk = [name for name in files_in(folder) if name.startswith("part")]
    assert pyarrow.parquet.read_table([folder / name for name in on_disk]).num_rows == len(used)


def test_a_folder_gives_back_what_was_added(tmp_path):
    shards = fill(tmp_path / "a", range(20), each=8)
    assert (shards.answers, shards.failures, len(shards.done)) == (18, 2, 20)
    check_whole(tmp_path / "a", 20)
    assert files_in(tmp_path / "a") == [
        "failures-00000.parquet",
        "failures-00001.parquet",
        "manifest.json",
        *(f"part-0000{number}.parquet" for number in range(3)),
    ]
    found = read_predictions(tmp_path / "a")
    assert len(found) == 18
    assert (found.labels, found.scores.dtype, found.present) == (LABELS, np.float32, None)
    assert found.failures[0] == Failure("6.wav", "6.wav: broken")
    assert read_failures(tmp_path / "a") == found.failures
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert (manifest["schema"], manifest["request"]) == (1, json.loads(json.dumps(REQUEST)))
    assert [(part["answers"], part["failures"]) for part in manifest["parts"]] == [(7, 1), (7, 1), (4, 0)]
    for part in manifest["parts"]:
        assert part["bytes"] == (tmp_path / "a" / part["name"]).stat().st_size


def test_the_columns_of_predictions_are_as_documented(tmp_path):
    table = PredictionTable(LABELS, several=True)
    answers = [prediction(1, thresholds=(0.0, 0.0, 1.0)), prediction(2, thresholds=(1.0, 1.0, 1.0), rejection=1.0)]
    with Shards(tmp_path, REQUEST, table) as shards:
        for answer in answers:
            shards.add(answer.source, answer)
    found = pyarrow.parquet.read_table(tmp_path / "part-00000.parquet")
    assert found.column_names == ["file", "label", "score", "scores", "present"]
    kinds = {name: str(found.schema.field(name).type) for name in found.column_names}
    assert kinds["scores"] == "fixed_size_list<element: float not null>[3]"
    assert (kinds["file"], kinds["label"], kinds["score"]) == ("string", "string", "float")
    assert json.loads(found.schema.metadata[b"audiozoo"])["labels"] == list(LABELS)
    assert found["label"].to_pylist() == [answers[0].best, "unknown"]
    assert found["score"].to_pylist() == pytest.approx([answer.score for answer in answers])
    assert found["present"].to_pylist() == [["dog", "cat"], []]
    assert read_predictions(tmp_path).present == (("dog", "cat"), ())
    assert read_predictions(tmp_path).answers[1] == "unknown"


def test_answers_that_do_not_fit_the_table_are_refused_and_the_others_kept(tmp_path):
    other = Prediction(("a", "b"), np.ones(2) / 2)
    with Shards(tmp_path, REQUEST, TABLE) as shards:
        shards.add("0.wav", prediction(0))
        for wrong, reason in (
            (other, "other labels than the table, dog, cat"),
            (prediction(1, thresholds=(0.5,) * 3), "for one label, and the prediction has several"),
            (replace(prediction(1), scores=np.ones(4)), "must be 3 scores"),
        ):
            with pytest.raises(ValueError, match=reason):
                shards.add("1.wav", wrong)
        shards.add("1.wav", prediction(1))
    check_whole(tmp_path, 2)


def test_a_file_is_added_once(tmp_path):
    with Shards(tmp_path, REQUEST, TABLE, each=2) as shards:
        shards.add("0.wav", prediction(0))
        shards.fail("6.wav", "broken")
        for name in ("0.wav", "6.wav"):
            with pytest.raises(ValueError, match="has an answer or a failure already"):
                shards.add(name, prediction(0))
            with pytest.raises(ValueError, match="has an answer or a failure already"):
                shards.fail(name, "broken")
        for name in ("", "a" * 5_000):
            with pytest.raises(ValueError, match="1 to 4,096 characters"):
                shards.add(name, prediction(0))
        assert (shards.answers, shards.failures) == (1, 1)
        assert shards.remaining(["1.wav", "0.wav", "6.wav", "1.wav", "3.wav"]) == ["1.wav", "3.wav"]
    with pytest.raises(ValueError, match="inside the block"):
        shards.add("1.wav", prediction(1))


def test_a_part_ends_after_a_number_of_files_or_a_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Shards(tmp_path, REQUEST, TABLE, each=3, seconds=10) as shards:
        for number, second in enumerate((0, 9, 11, 12, 20, 23, 24)):
            now[0] = second
            shards.add(f"{number}.wav", prediction(number))
    assert [part["answers"] for part in parts(tmp_path)] == [3, 3, 1]
    now[0] = 0
    with Shards(tmp_path / "b", REQUEST, TABLE, each=30, seconds=10) as shards:
        for number, second in enumerate((0, 11, 12, 13, 22)):
            now[0] = second
            shards.add(f"{number}.wav", prediction(number))
    assert [part["answers"] for part in parts(tmp_path / "b")] == [2, 3]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_run_goes_on_after_an_exception(tmp_path, error):
    def broken():
        yield from range(11)
        raise error

    with pytest.raises(error):
        fill(tmp_path, broken(), each=4)
    with Shards(tmp_path, REQUEST, TABLE, resume=True) as shards:
        assert shards.done == set(names(11))
        assert (shards.answers, shards.failures) == (10, 1)
        assert shards.remaining(names(13)) == ["11.wav", "12.wav"]
    fill(tmp_path, range(11, 30), resume=True)
    check_whole(tmp_path, 30)


@pytest.mark.parametrize("interrupted", ["write_json", "write_failures"])
@pytest.mark.parametrize("after", [False, True])
def test_an_interruption_while_a_part_is_written_loses_and_repeats_nothing(tmp_path, monkeypatch, interrupted, after):
    module = sys.modules["audiozoo.shards.shards"]
    write, calls = getattr(module, interrupted), []

    def once(path, content):
        calls.append(path)
        if after or len(calls) != 2:
            write(path, content)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, interrupted, once)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, range(30), each=7)
    with Shards(tmp_path, REQUEST, TABLE, resume=True) as shards:
        done = len(shards.done)
    assert done in (7, 14)
    fill(tmp_path, range(done, 30), each=7, resume=True)
    check_whole(tmp_path, 30)


# A new process for each run would load the libraries each time.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
folder, count, tests, seed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
sys.path.insert(0, tests)
from test_shards import REQUEST, TABLE, Shards, names, numbers_of, put
pauses, killed = random.Random(seed), 0
for turn in range(13):
    # Two minutes later, a claim is void of which the run was killed before it wrote its number.
    for claim in (folder / ".claims").glob("*"):
        if not claim.stat().st_size:
            os.utime(claim, (0, 0))
    child = os.fork()
    if not child:
        with Shards(folder, REQUEST, TABLE, each=3, resume=True) as shards:
            for number in numbers_of(shards.remaining(names(count))):
                put(shards, number)
        os._exit(0)
    if turn < 12:
        time.sleep(pauses.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    killed += status == signal.SIGKILL
    assert status in (0, signal.SIGKILL)
print(killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_goes_on_after_it_was_killed(tmp_path):
    seed = str(random.randrange(10**6))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a"), "150", str(Path(__file__).parent), seed]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert int(done.stdout) > 0, "no run was killed"
    check_whole(tmp_path / "a", 150)
    fill(tmp_path / "b", range(150))
    killed, whole = (read_predictions(tmp_path / name) for name in "ab")
    assert sorted(zip(killed.files, killed.answers, map(bytes, killed.scores), strict=True)) == sorted(
        zip(whole.files, whole.answers, map(bytes, whole.scores), strict=True)
    )
    assert sorted(killed.failures) == sorted(whole.failures)
    assert not [name for name in files_in(tmp_path / "a") if name.startswith((".part", ".failures", ".manifest", ".claims"))]


def test_a_part_that_the_manifest_does_not_list_does_not_count(tmp_path):
    fill(tmp_path, range(14), each=7)
    for name in ("part", "failures"):
        shutil.copy(tmp_path / f"{name}-00001.parquet", tmp_path / f"{name}-00002.parquet")
    (tmp_path / ".part-00002-ab12.parquet").write_bytes(b"unfinished")
    (tmp_path / ".manifest-ab12.json").write_text("{")
    assert len(read_predictions(tmp_path).files) == 12
    assert len(fill(tmp_path, range(14, 16), resume=True).done) == 16
    check_whole(tmp_path, 16)
    assert files_in(tmp_path)[:3] == ["failures-00000.parquet", "failures-00001.parquet", "manifest.json"]


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("gone", ["part", "failures", "both"])
def test_the_files_of_a_deleted_part_are_computed_again(tmp_path, number, gone):
    fill(tmp_path, range(21), each=7)
    for name in ("part", "failures") if gone == "both" else (gone,):
        (tmp_path / f"{name}-0000{number}.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest lists this file, and it is missing; --resume"):
        read_predictions(tmp_path)
    with Shards(tmp_path, REQUEST, TABLE, resume=True) as shards:
        again = numbers_of(shards.remaining(names(21)))
    lost = range(7 * number, 7 * number + 7)
    assert again == {"part": [*lost][:6], "failures": [lost[6]], "both": [*lost]}[gone]
    assert len(parts(tmp_path)) == 3, "the manifest changes with the next part"
    fill(tmp_path, again, resume=True)
    check_whole(tmp_path, 21)
    assert parts(tmp_path)[-1]["name"] == "part-00003.parquet"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def foreign(path):
    other = path.parent.parent / "other"
    fill(other, range(21, 42), each=21)
    shutil.copy(other / path.name, path)


@pytest.mark.parametrize("damage", [cut, noise, foreign])
@pytest.mark.parametrize("name", ["part", "failures"])
def test_damaged_and_foreign_parts_are_refused(tmp_path, damage, name):
    folder = tmp_path / "a"
    fill(folder, range(14), each=7)
    path = folder / f"{name}-00000.parquet"
    listed = path.stat().st_size
    damage(path)
    reason = rf"00000\.parquet: damaged.*has {path.stat().st_size:,} bytes, listed are {listed:,}\); delete this file"
    for use in (lambda: fill(folder, [], resume=True), lambda: read_predictions(folder)):
        with pytest.raises(ValueError, match=reason):
            use()
    assert not (folder / ".claims").exists()
    path.unlink()
    with Shards(folder, REQUEST, TABLE, resume=True) as shards:
        again = shards.remaining(names(14))
    fill(folder, numbers_of(again), resume=True)
    check_whole(folder, 14)


@pytest.mark.parametrize("name", ["part-00000.parquet", "failures-00000.parquet", "manifest.json"])
def test_changed_bytes_give_an_error_or_answers(tmp_path, rng, name):
    fill(tmp_path, range(14))
    content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    for _ in range(150):
        changed, places = content.copy(), rng.integers(len(content), size=3)
        changed[places] = rng.integers(256, size=3)
        (tmp_path / name).write_bytes(changed.tobytes())
        for use in (read_predictions, lambda folder: fill(folder, [], resume=True)):
            with suppress(ValueError, FileNotFoundError):
                use(tmp_path)


def relist(folder, **changed):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parts"][-1].update(changed)
    write_json(folder / "manifest.json", manifest)


def test_parts_that_have_a_file_twice_are_refused(tmp_path):
    fill(tmp_path, range(12), each=6)
    shutil.copy(tmp_path / "part-00000.parquet", tmp_path / "part-00001.parquet")
    relist(tmp_path, answers=6, bytes=(tmp_path / "part-00000.parquet").stat().st_size)
    with pytest.raises(ValueError, match=r"part-00001\.parquet: .*a name twice, or one that another table has too"):
        fill(tmp_path, [], resume=True)


def replaced(path, table):
    pyarrow.parquet.write_table(table, path, compression="snappy")
    relist(path.parent, bytes=path.stat().st_size)


def test_parts_whose_content_is_not_predictions_are_refused(tmp_path):
    fill(tmp_path, range(6))
    path = tmp_path / "part-00000.parquet"
    good = pyarrow.parquet.read_table(path)
    labels = good.schema.metadata[b"audiozoo"]
    for metadata, reason in (
        (None, "metadata have no labels"),
        (b"{", "Expecting"),
        (labels.replace(b'"schema": 1', b'"schema": 2'), "has schema 2, and this version reads up to 1"),
        (labels.replace(b"false", b"3"), "several, true or false"),
        (labels.replace(b"false", b"true"), "file, label, present, scores are needed"),
        (labels.replace(b', "cat"', b""), "must be a list of 2 values"),
        (labels.replace(b'"rain"', b"4"), "need labels"),
        (labels.replace(b"dog", b"fox"), "'dog' is not one of its labels"),
    ):
        replaced(path, good.replace_schema_metadata(metadata and {b"audiozoo": metadata}))
        with pytest.raises(ValueError, match=reason):
            read_predictions(tmp_path)
    for changed, reason in ((good.drop_columns("label"), "are needed, each once"), (good.slice(1), "5 rows, listed are 6")):
        replaced(path, changed)
        with pytest.raises(ValueError, match=reason):
            read_predictions(tmp_path)
    missing = good.set_column(3, "scores", pyarrow.array([[0.5, 0.5, 0]] * 5 + [None], pyarrow.list_(pyarrow.float32(), 3)))
    replaced(path, missing)
    with pytest.raises(ValueError, match="declares"):
        read_predictions(tmp_path)


def test_a_folder_with_other_content_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ValueError, match=r"has other content, such as notes\.txt, and no manifest\.json"):
            Shards(tmp_path, REQUEST, TABLE, resume=resume)
    assert files_in(tmp_path) == ["notes.txt"]
    with pytest.raises(ValueError, match="is a file, and the answers need a folder"):
        Shards(tmp_path / "notes.txt", REQUEST, TABLE)
    with pytest.raises(FileNotFoundError, match="not a folder of answers"):
        read_predictions(tmp_path)


def test_a_folder_with_answers_needs_resume(tmp_path):
    fill(tmp_path, range(2), resume=True)
    with pytest.raises(ValueError, match="has the answers of a run; continue it with --resume, or name another folder"):
        fill(tmp_path, range(2, 4))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"hop": 0.5}, "hop was null in the request of these answers and is 0.5 now"),
        ({"verb": "embed", "hop": 0.5}, 'verb was "predict" .* and is "embed" now'),
        ({"statistic": "max"}, 'statistic was not given .* is "max" now'),
        ({"labels": ["dog", "cat"]}, r'labels\[2\] was "rain" .* is not given now'),
        ({"model": {"name": "m", "signature": [0.5, 0.3]}}, r"model.signature\[1\] was 0.25 .* is 0.3 now"),
    ],
)
def test_another_request_is_refused(tmp_path, changed, reason):
    fill(tmp_path, range(2))
    with pytest.raises(ValueError, match=reason):
        Shards(tmp_path, {**REQUEST, **changed}, TABLE, resume=True)


def test_a_damaged_manifest_is_refused_and_not_replaced(tmp_path):
    fill(tmp_path, range(2))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="not a manifest of answers"):
        fill(tmp_path, range(2), resume=True)
    assert (tmp_path / "manifest.json").read_text() == "{"


@pytest.mark.parametrize(("how", "reason"), [({"each": 0}, "each must be"), ({"seconds": -1}, "seconds must be")])
def test_arguments_are_checked(tmp_path, how, reason):
    with pytest.raises(ValueError, match=reason):
        Shards(tmp_path, REQUEST, TABLE, **how)


def test_one_run_writes_at_a_time(tmp_path):
    first, second = (Shards(tmp_path, REQUEST, TABLE) for _ in range(2))
    with first:
        first.add("0.wav", prediction(0))
        for other in (second, Shards(tmp_path, REQUEST, TABLE, resume=True)):
            with pytest.raises(ValueError, match="another run writes into this folder"), other:
                pass
    with pytest.raises(ValueError, match="has the answers of a run"), second:
        pass
    fill(tmp_path, [1], resume=True)
    check_whole(tmp_path, 2)


def test_a_run_whose_claim_was_taken_over_stops(tmp_path):
    def interrupted():
        yield 0
        # As if the run had been suspended for minutes.
        for path in (tmp_path / ".claims").iterdir():
            os.utime(path, (0, 0))
        fill(tmp_path, range(3), resume=True)

    with pytest.raises(ValueError, match="another run has written into this folder"):
        fill(tmp_path, interrupted())
    check_whole(tmp_path, 3)


def test_the_claim_of_a_killed_run_is_void(tmp_path, dead):
    with Claims(tmp_path / ".claims") as claims:
        claims.take("writer")
        (claim,) = (tmp_path / ".claims").iterdir()
        content = json.loads(claim.read_text())
    claim.parent.mkdir()
    claim.write_text(json.dumps({**content, "pid": dead}))
    fill(tmp_path, range(3))
    check_whole(tmp_path, 3)


def test_names_that_are_not_text_are_recognised(tmp_path):
    with Shards(tmp_path, REQUEST, TABLE) as shards:
        shards.add(INVALID, prediction(0))
        shards.fail(f"b{INVALID}", f"b{INVALID}: broken")
        assert INVALID in shards.done
    with Shards(tmp_path, REQUEST, TABLE, resume=True) as shards:
        assert INVALID in shards.done
        assert shards.remaining([INVALID, f"b{INVALID}", f"c{INVALID}"]) == [f"c{INVALID}"]
        with pytest.raises(ValueError, match="already"):
            shards.add(INVALID, prediction(0))
    found = read_predictions(tmp_path)
    assert found.files == ("caf\\udce9.wav",)
    assert found.failures == (Failure("bcaf\\udce9.wav", "bcaf\\udce9.wav: broken"),)


def test_a_run_of_failures_has_no_answers(tmp_path):
    with Shards(tmp_path, REQUEST, TABLE) as shards:
        for name in names(3):
            shards.fail(name, "é" * 10_000)
    assert files_in(tmp_path) == ["failures-00000.parquet", "manifest.json"]
    found = read_predictions(tmp_path)
    assert (found.files, found.scores.shape) == ((), (0, 0))
    assert [len(one.error) for one in found.failures] == [4_096] * 3
    with Shards(tmp_path, REQUEST, TABLE, resume=True) as shards:
        assert shards.remaining(names(4)) == ["3.wav"]


def test_without_pyarrow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[parquet\]'"):
        Shards(tmp_path / "a", REQUEST, TABLE)
    assert not (tmp_path / "a").exists()


def test_the_names_of_many_files_are_read_in_seconds_and_without_the_scores(tmp_path, monkeypatch):
    count, classes = 100_000, 50
    labels = [f"class {number}" for number in range(classes)]
    sounds, scores = [f"/data/sounds/{number:07d}.wav" for number in range(count)], np.full(classes, 1 / classes)
    with Shards(tmp_path, {}, PredictionTable(labels, several=False), each=20_000) as shards:
        one = Prediction(tuple(labels), scores)
        for name in sounds:
            shards.add(name, one)
    reads = []
    read = pyarrow.parquet.ParquetFile.read
    monkeypatch.setattr(
        pyarrow.parquet.ParquetFile, "read", lambda file, columns: reads.append(columns) or read(file, columns=columns)
    )
    begin = time.perf_counter()
    with Shards(tmp_path, {}, PredictionTable(labels, several=False), resume=True) as shards:
        assert shards.remaining([*sounds, "new.wav"]) == ["new.wav"]
    assert time.perf_counter() - begin < 10
    assert reads == [["file"]] * 5


FACTS = EmbeddingFacts(model="m", width=4, window=1.0, sample_rate=16_000, signature=(0.5,) * 4)


def embed(folder, numbers, facts=FACTS, **how):
    with Shards(folder, {"verb": "embed"}, EmbeddingTable(facts), each=4, **how) as shards:
        for number in numbers:
            shards.add(f"{number}.wav", np.full(facts.width, number, np.float64))


def test_embeddings_of_a_folder_are_joined(tmp_path):
    embed(tmp_path, range(6))
    embed(tmp_path, range(6, 11), facts=replace(FACTS, version="next", signature=(0.501,) * 4), resume=True)
    found = read_embeddings(tmp_path)
    assert found.files == tuple(names(11))
    assert found.vectors.tolist() == [[number] * 4 for number in range(11)]
    assert found.facts == FACTS
    assert [part["answers"] for part in parts(tmp_path)] == [4, 2, 4, 1]
    assert read_embeddings(tmp_path / "part-00002.parquet").files == tuple(names(11)[6:10])


@pytest.mark.parametrize(
    "other",
    [replace(FACTS, model="other"), replace(FACTS, hop=0.5), replace(FACTS, signature=(0.6,) * 4), replace(FACTS, window=2.0)],
)
def test_embeddings_of_different_facts_are_not_joined(tmp_path, other):
    embed(tmp_path, range(6))
    embed(tmp_path, range(6, 8), facts=other, resume=True)
    with pytest.raises(ValueError, match=r"part-00002.parquet: .*of another model or other options than those in part-00000"):
        read_embeddings(tmp_path)


def test_embeddings_of_incomplete_and_other_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.json: no such file"):
        read_embeddings(tmp_path)
    embed(tmp_path / "a", [])
    with pytest.raises(ValueError, match="no part has embeddings yet"):
        read_embeddings(tmp_path / "a")
    fill(tmp_path / "b", range(3))
    with pytest.raises(ValueError, match="file and embedding are needed"):
        read_embeddings(tmp_path / "b")
    embed(tmp_path / "c", range(8))
    shutil.copy(tmp_path / "c" / "part-00000.parquet", tmp_path / "c" / "part-00001.parquet")
    with pytest.raises(ValueError, match="parts do not fit together: a name of a file is there twice"):
        read_embeddings(tmp_path / "c")
    (tmp_path / "c" / "part-00001.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"part-00001\.parquet: the manifest lists this file"):
        read_embeddings(tmp_path / "c")


def test_embeddings_that_do_not_fit_the_facts_are_refused(tmp_path):
    with Shards(tmp_path, {}, EmbeddingTable(FACTS)) as shards:
        for vector, reason in ((np.ones(3), "must have 4 values"), (np.full(4, np.nan), "NaN"), (np.ones(4, int), "floating")):
            with pytest.raises(ValueError, match=reason):
                shards.add("a.wav", vector)
        shards.add(INVALID, np.ones(4))
    assert read_embeddings(tmp_path).files == ("caf\\udce9.wav",)
