"""`audiozoo predict` and `audiozoo embed` into a folder of parts, and the verbs that read it."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import tone

import audiozoo
from audiozoo.classifier import Classifier
from audiozoo.embeddings import read_embeddings
from audiozoo.features import LogMel
from audiozoo.shards import read_predictions

pytest.importorskip("pyarrow")

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)


def saved(path, seed):
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=seed, filters=(4, 8))
    Classifier.from_keras(model, FRONTEND, ["a", "b", "c"]).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    (folder / "sounds").mkdir()
    for number in range(7):
        soundfile.write(folder / "sounds" / f"{number}.wav", tone(200 + 300 * number, 0.6, 8_000), 8_000)
    (folder / "sounds" / "text.wav").write_text("no sound")
    saved(folder / "model.audiozoo", 0)
    saved(folder / "other.audiozoo", 1)
    return folder


def run(folder, *words):
    command = [sys.executable, "-m", "audiozoo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_predictions_in_parts_equal_the_table_and_continue(folder):
    done = run(folder, "predict", "model.audiozoo", "sounds", "-o", "parts", "--part-size", 3)
    assert (done.returncode, "saved parts (answers for 7 files)" in done.stdout) == (1, True), done.stderr
    assert "text.wav: not a sound file" in done.stderr
    found = read_predictions(folder / "parts")
    table = csv.DictReader(io.StringIO(run(folder, "predict", "model.audiozoo", "sounds", "--csv", "--top", 1).stdout))
    assert dict(zip(found.files, found.answers, strict=True)) == {row["file"]: row["label"] for row in table}
    assert [failure.source for failure in found.failures] == ["sounds/text.wav"]

    again = run(folder, "predict", "model.audiozoo", "sounds", "-o", "parts")
    assert (again.returncode, "continue it with --resume" in again.stderr) == (2, True)
    other = run(folder, "predict", "other.audiozoo", "sounds", "-o", "parts", "--resume")
    assert (other.returncode, "model" in other.stderr) == (2, True)

    (folder / "parts" / "part-00001.parquet").unlink()
    done = run(folder, "predict", "model.audiozoo", "sounds", "-o", "parts", "--resume")
    assert "answers for 7 files" in done.stdout
    after = read_predictions(folder / "parts")
    order = [after.files.index(name) for name in found.files]
    assert np.allclose(after.scores[order], found.scores, atol=1e-6)


def test_embeddings_in_parts_are_read_by_similar(folder):
    sounds = [f"sounds/{number}.wav" for number in range(7)]
    done = run(folder, "embed", "model.audiozoo", *sounds, "-o", "vectors", "--part-size", 3)
    assert done.returncode == 0, done.stderr
    store = read_embeddings(folder / "vectors")
    classifier = audiozoo.load_classifier(folder / "model.audiozoo")
    expected = list(classifier.embed_many([folder / name for name in sounds]))
    assert list(store.files) == sounds
    assert np.allclose(store.vectors, expected, atol=1e-5)
    near = run(folder, "similar", "vectors", "sounds/3.wav", "--json")
    assert near.returncode == 0, near.stderr
    assert json.loads(near.stdout)

    manifest = folder / "vectors" / "manifest.json"
    content = json.loads(manifest.read_text())
    facts = json.loads(content["request"]["facts"])
    facts["signature"] = [value * (1 + 1e-6) for value in facts["signature"]]  # of a machine that rounds differently
    content["request"]["facts"] = json.dumps(facts)
    manifest.write_text(json.dumps(content))
    done = run(folder, "embed", "model.audiozoo", *sounds, "-o", "vectors", "--resume")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--on", "sun"), "--on is local, ray or ray://HOST:PORT, got 'sun'"),
        (("--on", "ray://"), "address is 'ray' or 'ray://HOST:PORT'"),
        (("--windows", "--on", "ray"), "--windows reads one recording after the other"),
    ],
)
def test_places_that_are_wrong(folder, words, message):
    done = run(folder, "predict", "model.audiozoo", "sounds", *words)
    assert (done.returncode, message in " ".join(done.stderr.split())) == (2, True), done.stderr
