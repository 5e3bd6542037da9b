"""`audiozoo embed` into Parquet, `audiozoo similar` and `audiozoo map`."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import python_blocks, tone, write_sound_folder
from test_embeddings import bands, two_clusters

from audiozoo import embeddings, load_classifier
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.embeddings import EmbeddingFacts, Embeddings, Projection, embed_files, read_embeddings, write_embeddings
from audiozoo.features import LogMel, Scaler
from audiozoo.layers import keras
from audiozoo.report import map_picture
from audiozoo.report.embedded import _look

ROOT = Path(__file__).resolve().parents[1]


def small(seed):
    """Return an untrained classifier, whose embedding is a random projection of the mean spectrum."""
    frontend = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, n_mels=20)
    inputs = keras.Input(frontend.shape)
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D((1, frontend.shape[1]))(inputs))
    start = keras.initializers.GlorotUniform(seed=seed)
    embedding = keras.layers.Dense(6, kernel_initializer=start, name="embedding")(flat)
    outputs = keras.layers.Dense(2, activation="softmax")(embedding)
    return Classifier(frontend, Scaler.identity(), KerasScorer(keras.Model(inputs, outputs)), ("a", "b"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sound_folder(tmp_path_factory.mktemp("similar") / "sounds", np.random.default_rng(7))


@pytest.fixture(scope="module")
def model(folder):
    path = folder.parent / "mine.audiozoo"
    small(0).save(path)
    return path


@pytest.fixture(scope="module")
def store(folder, model):
    path, loaded = folder.parent / "e.npz", load_classifier(model)
    sounds = sorted(map(str, folder.rglob("*.wav")))
    facts = EmbeddingFacts.of(loaded, str(model))
    write_embeddings(path, embed_files(loaded, sounds, facts), facts)
    return path


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def test_embed_writes_parquet_with_the_facts(audiozoo, folder, model, tmp_path):
    path = tmp_path / "e.parquet"
    status, out, err = audiozoo("embed", model, folder, "gone.wav", "-o", path, "--statistic", "all", "--hop", 0.25)
    assert (status, "18 files" in out, "gone.wav: no such file" in err) == (1, True, True)
    found, loaded = read_embeddings(path), load_classifier(model)
    assert found.files == tuple(sorted(map(str, folder.rglob("*.wav"))))
    assert found.vectors[3] == pytest.approx(loaded.embed(found.files[3], statistic="all", hop=0.25), abs=1e-4)
    facts = found.facts
    assert (facts.model, facts.width, facts.statistic, facts.hop, facts.window) == (str(model), 18, "all", 0.25, 0.5)


def test_embed_refuses_what_it_cannot_write(audiozoo, folder, model, tmp_path, monkeypatch):
    for words, reason in (
        (("-o", "e.parquet", "--resume"), "--resume needs a file that grows"),
        (("gone.wav", "-o", "e.parquet", "--strict"), "gone.wav: no such file"),
    ):
        monkeypatch.chdir(tmp_path)
        status, _, err = audiozoo("embed", model, folder / "low", *words)
        assert (status, reason in err) == (2, True), err
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert "pip install 'audiozoo[parquet]'" in audiozoo("embed", model, folder, "-o", "e.parquet")[2]
    assert list(tmp_path.iterdir()) == []


def test_similar_finds_neighbours_of_a_stored_sound_without_a_model(audiozoo, folder, store, monkeypatch):
    monkeypatch.setattr("audiozoo.cli.stores.quiet_backend", None)  # loading a model would fail
    name = str(folder / "low" / "2.wav")
    status, out, err = audiozoo("similar", store, name, "--csv", "--top", 3)
    assert status == 0, err
    header, *rows = rows_of(out)
    assert header == ["query", "rank", "file", "similarity"]
    assert [(row[0], row[1]) for row in rows] == [(name, "1"), (name, "2"), (name, "3")]
    assert name not in [row[2] for row in rows]
    expected = embeddings.nearest(read_embeddings(store), read_embeddings(store).vector(name)[None], top=4)[0][1:]
    assert [(row[2], float(row[3])) for row in rows] == [
        (one.file, pytest.approx(one.similarity, abs=1e-4)) for one in expected
    ]
    found = json.loads(audiozoo("similar", store, "low/2.wav", "high/1.wav", "--json")[1])
    assert [(each["query"], len(each["neighbours"])) for each in found] == [("low/2.wav", 5), ("high/1.wav", 5)]
    assert found[0]["neighbours"][0]["file"] == rows[0][2]
    table = audiozoo("similar", store, "low/2.wav", "--top", 2)[1].splitlines()
    assert table[0].split() == ["query", "rank", "file", "similarity"]
    assert len(table) == 3


def test_similar_embeds_sound_files_with_the_model_of_the_store(audiozoo, folder, store, tmp_path):
    sound, broken = tmp_path / "copy.wav", tmp_path / "broken.wav"
    shutil.copy(folder / "noise" / "4.wav", sound)
    broken.write_bytes(b"RIFF")
    status, out, err = audiozoo("similar", store, sound, broken, "--json")
    assert (status, "1 file(s) could not be used, 1 were used" in err, str(broken) in err) == (1, True, True)
    (found,) = json.loads(out)
    assert found["neighbours"][0] == {"file": str(folder / "noise" / "4.wav"), "similarity": pytest.approx(1, abs=1e-4)}
    assert audiozoo("similar", store, broken, "--csv")[:2] == (1, "query,rank,file,similarity\n")


def test_similar_takes_folders(audiozoo, folder, model, store, tmp_path):
    status, out, err = audiozoo("similar", folder, folder / "low", "--model", model, "--csv", "--top", 1)
    assert status == 0, err
    assert [row[0] for row in rows_of(out)[1:]] == [str(folder / "low" / f"{number}.wav") for number in range(6)]
    assert out == audiozoo("similar", store, folder / "low", "--csv", "--top", 1)[1]
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    status, out, err = audiozoo("similar", tmp_path, "--duplicates", "--model", model)
    assert (status, "1 file(s) could not be used, 0 were used" in err) == (1, True), err


def test_similar_refuses_another_model(audiozoo, folder, store, tmp_path):
    small(1).save(tmp_path / "other.audiozoo")
    sound = tmp_path / "a.wav"
    shutil.copy(folder / "low" / "0.wav", sound)
    status, _, err = audiozoo("similar", store, sound, "--model", tmp_path / "other.audiozoo")
    assert (status, "so their distances mean nothing" in err, "mine.audiozoo (6 values)" in err) == (2, True, True), err


def without_facts(store, path, **facts):
    found = read_embeddings(store)
    changed = replace(found.facts, **facts)
    np.savez(path, files=np.array(found.files), embeddings=found.vectors, **({"facts": changed.to_json()} if facts else {}))
    return path


def test_a_store_does_not_choose_a_download(audiozoo, folder, model, store, tmp_path, monkeypatch):
    monkeypatch.setattr("audiozoo.classifier.saved.local_path", lambda path: pytest.fail(f"{path} must not be loaded"))
    sound = tmp_path / "a.wav"
    shutil.copy(folder / "low" / "0.wav", sound)
    for facts in ({"model": "hf://someone/else/model.audiozoo"}, {"model": "gone.audiozoo"}, {}):
        path = without_facts(store, tmp_path / "e.npz", **facts)
        status, _, err = audiozoo("similar", path, sound)
        assert (status, f"its model, {facts.get('model', 'unknown')}, is not here; name it with --model" in err) == (2, True), (
            err
        )
    monkeypatch.undo()
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = audiozoo("similar", tmp_path / "e.npz", sound, "--model", model, "--csv")
    assert (status, rows_of(out)[1][2]) == (0, str(folder / "low" / "0.wav")), err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("STORE",), "or --duplicates without any"),
        (("STORE", "low/0.wav", "--duplicates"), "or --duplicates without any"),
        (("STORE", "low/0.wav", "--threshold", 0.9), "it needs --duplicates"),
        (("STORE", "--duplicates", "--threshold", 2), "threshold must be a number from 0 to 1"),
        (("STORE", "low/0.wav", "--json", "--csv"), "cannot be combined"),
        (("STORE", "gone.wav"), "gone.wav: neither a sound file nor a name in"),
        (("STORE", "0.wav"), "0.wav: neither a sound file nor a name in"),  # in three folders
        (("FOLDER", "low/0.wav"), "so name a model, such as --model house_cnn/esc10"),
        (("gone.npz", "low/0.wav"), "gone.npz: no such file; `audiozoo embed"),
        (("MODEL", "low/0.wav"), "end in .npz or .parquet"),
    ],
)
def test_similar_says_what_is_wrong(audiozoo, folder, model, store, words, reason):
    names = {"STORE": store, "FOLDER": folder, "MODEL": model}
    status, _, err = audiozoo("similar", *(names.get(word, word) for word in words))
    assert (status, reason in err, err.count("\n")) == (2, True, 1), err


@pytest.fixture
def copies(folder, tmp_path):
    """A folder with copies: one quieter, one as FLAC."""
    sounds = tmp_path / "copied"
    shutil.copytree(folder, sounds)
    wave, rate = soundfile.read(sounds / "noise" / "1.wav")
    soundfile.write(sounds / "noise" / "quiet.wav", 0.9 * wave, rate)
    soundfile.write(sounds / "low" / "same.flac", *soundfile.read(sounds / "low" / "3.wav"))
    return sounds


def test_similar_groups_near_copies(audiozoo, copies, model):
    status, out, err = audiozoo("similar", copies, "--model", model, "--duplicates", "--threshold", 0.999999, "--json")
    assert status == 0, err
    groups = json.loads(out)
    files = [{Path(one["file"]).name for one in group} for group in groups]
    assert {"3.wav", "same.flac"} in files
    assert all(one["similarity"] >= 0.999998 for group in groups for one in group)
    words = ("similar", copies, "--model", model, "--duplicates", "--threshold", 0)
    status, out, _ = audiozoo(*words)
    assert out.endswith("1 groups of near copies, with 20 of 20 files\n")
    header, *rows = rows_of(audiozoo(*words, "--csv")[1])
    assert (header, len(rows), rows[0][:2]) == (["group", "file", "similarity"], 20, ["1", str(copies / "high" / "0.wav")])


def test_similar_says_that_there_are_no_copies(audiozoo, tmp_path):
    rows = [(f"{number}.wav", vector) for number, vector in enumerate(np.eye(5, dtype=np.float32))]
    facts = EmbeddingFacts(model="m", width=5, window=1.0, sample_rate=8_000, signature=(0.0,) * 5)
    write_embeddings(tmp_path / "e.npz", rows, facts)
    assert audiozoo("similar", tmp_path / "e.npz", "--duplicates")[:2] == (0, "0 groups of near copies, with 0 of 5 files\n")
    assert audiozoo("similar", tmp_path / "e.npz", "--duplicates", "--csv")[1] == "group,file,similarity\n"
    assert audiozoo("similar", tmp_path / "e.npz", "--duplicates", "--json")[1] == "[]\n"


def drawn(monkeypatch):
    """Keep the figures that are written."""
    figures = []
    from audiozoo.report import embedded
    from audiozoo.report import figures as module

    def save(figure, path, **how):
        figures.append(figure)
        return module.save_figure(figure, path, **how)

    monkeypatch.setattr(embedded, "save_figure", save)
    return figures


def legend_of(figure):
    (legend,) = figure.legends
    return legend.get_title().get_text(), [text.get_text() for text in legend.get_texts()]


def test_map_draws_the_classes_of_the_folders(audiozoo, store, tmp_path, monkeypatch):
    figures = drawn(monkeypatch)
    status, out, err = audiozoo("map", store, "-o", tmp_path / "map.png", "--method", "pca")
    assert (status, out) == (0, f"saved {tmp_path / 'map.png'} (18 sounds, PCA)\n"), err
    assert (tmp_path / "map.png").stat().st_size > 5_000
    assert legend_of(figures[0]) == ("3 classes", ["high", "low", "noise"])
    assert figures[0].axes[0].get_title().startswith("18 sounds: PCA of the embeddings of ")
    assert "% of the variance" in figures[0].axes[0].get_xlabel()


def test_map_takes_labels_from_a_table_or_none(audiozoo, folder, model, store, tmp_path, monkeypatch):
    figures, table = drawn(monkeypatch), tmp_path / "t.csv"
    table.write_text("file,label\nlow/0.wav,deep\nhigh/0.wav,_thin $x\n")
    words = ("map", store, "-o", tmp_path / "map.svg", "--method", "pca", "--labels")
    assert audiozoo(*words, table)[0] == 0
    assert legend_of(figures[0]) == ("2 classes", [r" _thin \$x", "deep"])
    assert audiozoo(*words, "none", "--title", "All")[0] == 0
    assert (figures[1].legends, figures[1].axes[0].get_title()) == ([], "All")
    assert audiozoo("map", folder, "-o", tmp_path / "m.png", "--model", model, "--method", "pca")[0] == 0
    assert legend_of(figures[2])[1] == ["high", "low", "noise"]
    assert "gone.csv: no such table" in audiozoo(*words, "gone.csv")[2]
    assert "is a folder" in audiozoo("map", store, "-o", tmp_path)[2]


def test_fifty_classes_have_different_pairs_of_colour_and_marker():
    assert len({tuple(_look(number).values()) for number in range(56)}) == 56


@pytest.mark.parametrize(("classes", "shown", "heading"), [(50, 50, "50 classes"), (70, 56, "56 classes, 14 more in grey")])
def test_the_legend_of_many_classes_fits_into_the_picture(tmp_path, monkeypatch, classes, shown, heading):
    figures = drawn(monkeypatch)
    labels = [f"class_number_{number:02}" for number in range(classes)] * 2
    points = np.random.default_rng(0).standard_normal((len(labels), 2))
    map_picture(Projection(points, "PCA"), tmp_path / "map.png", labels=labels)
    assert legend_of(figures[0]) == (heading, labels[:shown])
    figures[0].draw_without_rendering()  # at the resolution of the figure and not of the file
    (box,) = (legend.get_window_extent() for legend in figures[0].legends)
    whole = figures[0].bbox
    assert whole.x0 <= box.x0
    assert box.x1 <= whole.x1
    assert whole.y0 <= box.y0
    assert box.y1 <= whole.y1
    assert box.x0 >= figures[0].axes[0].get_window_extent().x1
    assert figures[0].axes[0].get_title() == f"PCA of {len(labels)} sounds"


def test_a_map_needs_a_label_for_each_point(tmp_path):
    with pytest.raises(ValueError, match="3 labels for 2 points"):
        map_picture(Projection(np.zeros((2, 2)), "PCA"), tmp_path / "map.png", labels=["a", "b", "c"])


def test_the_code_of_the_guide_runs(tmp_path, monkeypatch):
    blocks = python_blocks(ROOT / "docs" / "embeddings.md")
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    write_sound_folder(tmp_path / "sounds", np.random.default_rng(7))
    soundfile.write("dog.wav", tone(300, 0.5, 8_000), 8_000)
    # Not the classifier of the guide, which takes seconds to load, and no UMAP, which loads TensorFlow.
    monkeypatch.setattr("audiozoo.embeddings.projection.find_spec", lambda name: None)
    names = {"audiozoo": SimpleNamespace(load_classifier={"house_cnn/esc10": bands(width=3)}.get)}
    for block in blocks:
        exec(compile(block, "embeddings.md", "exec", dont_inherit=True), names)
    assert (tmp_path / "map.png").stat().st_size > 5_000
    assert len(read_embeddings("sounds.parquet")) == 18


def test_the_map_of_one_class_and_of_no_class(tmp_path):
    store = two_clusters()
    assert isinstance(store, Embeddings)
    points = Projection(store.vectors[:, :2], "PCA")
    for labels in (None, ["a"] * 40, [""] * 40, ["a", ""] * 20):
        assert map_picture(points, tmp_path / "map.png", labels=labels).stat().st_size > 5_000
