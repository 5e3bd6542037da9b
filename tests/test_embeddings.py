"""Files of embeddings, similar sounds, near copies, and projections."""

import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from conftest import tone

from audiozoo import embeddings
from audiozoo.classifier import Classifier, Failure, Scorer
from audiozoo.embeddings import EmbeddingFacts, Embeddings, embed_files, near_copies, nearest, project, read_embeddings
from audiozoo.embeddings.parquet import rows_each
from audiozoo.features import Scaler, Waveform

RATE = 8_000


class Bands(Scorer):
    """Scorer without Keras whose embedding is the energy in bands of the spectrum."""

    kind, files, activation, parameters = "bands", {}, "softmax", 0

    def __init__(self, width=8, tilt=1.0):
        self.width, self.tilt = width, tilt

    def scores(self, windows):
        return np.full((len(windows), 2), 0.5)

    def embed(self, windows):
        power = np.abs(np.fft.rfft(windows[..., 0], axis=1))[:, : 100 * self.width]
        vectors = np.sqrt(power.reshape(len(windows), self.width, 100).mean(axis=2)) * self.tilt ** np.arange(self.width)
        return vectors.astype(np.float32)

    def check(self, shape, classes):
        pass


def bands(**how):
    return Classifier(Waveform(sample_rate=RATE, duration=0.5), Scaler.identity(), Bands(**how), ("a", "b"))


def facts_of(width=4, **rest):
    given = {"model": "m", "window": 1.0, "sample_rate": 16_000, "signature": (0.5,) * width}
    return EmbeddingFacts(width=width, **{**given, **rest})


def some(count, width=4, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return [(f"sounds/{number}.wav", vector) for number, vector in enumerate(vectors)]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_file_gives_back_what_was_written(tmp_path, suffix):
    rows, facts, path = some(50), facts_of(hop=0.25, statistic="max"), tmp_path / f"e{suffix}"
    assert embeddings.write_embeddings(path, rows, facts) == 50
    found = read_embeddings(path)
    assert found.files == tuple(name for name, _ in rows)
    assert found.vectors.dtype == np.float32
    assert np.array_equal(found.vectors, np.stack([vector for _, vector in rows]))
    assert found.facts == facts
    assert "sounds/7.wav" in found
    assert np.array_equal(found.vector("sounds/7.wav"), rows[7][1])
    with pytest.raises(ValueError, match=r"unknown file 'sounds/77\.wav'; did you mean 'sounds/7"):
        found.vector("sounds/77.wav")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_the_columns_of_parquet_are_as_documented(tmp_path):
    embeddings.write_embeddings(tmp_path / "e.parquet", some(3), facts_of())
    table = pyarrow.parquet.read_table(tmp_path / "e.parquet")
    assert table.column_names == ["file", "embedding"]
    kind = table.schema.field("embedding").type
    assert (kind.list_size, kind.value_type) == (4, pyarrow.float32())
    stated = json.loads(table.schema.metadata[b"audiozoo"])
    assert (stated["model"], stated["width"], stated["window"], stated["schema"]) == ("m", 4, 1.0, 1)


def test_parquet_is_written_in_bounded_memory(tmp_path):
    width = 2**14
    rows = ((f"{number}.wav", np.full(width, number + 1, np.float32)) for number in range(1_000))
    tracemalloc.start()
    assert embeddings.write_embeddings(tmp_path / "e.parquet", rows, facts_of(width)) == 1_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20 < 4 * width * 1_000
    file = pyarrow.parquet.ParquetFile(tmp_path / "e.parquet")
    assert file.metadata.row_group(0).num_rows == rows_each(width)
    assert read_embeddings(tmp_path / "e.parquet").vectors[999, 0] == 1_000


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_an_interrupted_writing_leaves_the_old_file(tmp_path, suffix):
    def broken():
        yield from some(2_000, 2_000)
        raise KeyboardInterrupt

    path = tmp_path / f"e{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        embeddings.write_embeddings(path, broken(), facts_of(2_000))
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [(path.name, b"old")]
    assert embeddings.write_embeddings(path, [], facts_of()) == 0
    assert path.read_bytes() == b"old"


def test_a_name_that_is_not_text_does_not_stop_parquet(tmp_path):
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    for suffix, expected in ((".npz", name), (".parquet", "caf\\udce9.wav")):
        embeddings.write_embeddings(tmp_path / f"e{suffix}", [(name, np.ones(4, np.float32))], facts_of())
        assert read_embeddings(tmp_path / f"e{suffix}").files == (expected,)


def test_without_pyarrow_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "there.parquet").write_bytes(b"")
    for use in (lambda: embeddings.suffix_of("e.parquet"), lambda: read_embeddings(tmp_path / "there.parquet")):
        with pytest.raises(ImportError, match=r"pip install 'audiozoo\[parquet\]'"):
            use()
    embeddings.write_embeddings(tmp_path / "e.npz", some(2), facts_of())
    assert len(read_embeddings(tmp_path / "e.npz")) == 2


def npz(path, **changed):
    arrays = {"files": np.array(["a", "b"]), "embeddings": np.ones((2, 4), np.float32), "facts": np.array(facts_of().to_json())}
    np.savez(path, **{name: array for name, array in {**arrays, **changed}.items() if array is not None})


def without(name):
    facts = json.loads(facts_of().to_json())
    del facts[name]
    return np.array(json.dumps(facts))


def with_fact(**changed):
    return np.array(json.dumps({**json.loads(facts_of().to_json()), **changed}))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"files": None}, "lacks the arrays files"),
        ({"files": np.array(["a", "b", "c"])}, "3 names of files and 2 embeddings"),
        ({"files": np.array(["a", "a"])}, "there twice"),
        ({"files": np.array(["a", ""])}, "1 to 4,096 characters"),
        ({"files": np.array(["a", "b" * 5_000])}, "1 to 4,096 characters"),
        ({"files": np.array([["a", "b"]])}, "one dimension"),
        ({"files": np.array([1, 2])}, "must hold text"),
        ({"files": np.array(["a", None], object)}, "must hold text"),
        ({"embeddings": np.ones(2, np.float32)}, "of shape"),
        ({"embeddings": np.ones((2, 0), np.float32)}, "of shape"),
        ({"embeddings": np.ones((2, 2**17), np.float32)}, "1 to 65,536 values"),
        ({"embeddings": np.ones((2, 4), int)}, "floating-point numbers"),
        ({"embeddings": np.ones((2, 4), complex)}, "must hold numbers"),
        ({"embeddings": np.array([[1, 2, 3, 4], [1, np.nan, 3, 4]])}, "embedding 2 has NaN"),
        ({"embeddings": np.array([[1, 2, 3, 1e30], [1, 2, 3, 4]])}, "embedding 1 has NaN, infinity"),
        ({"embeddings": np.ones((2, 3), np.float32)}, "facts state 4 values"),
        ({"more": np.ones(2)}, "not one of the allowed"),
        ({"facts": np.array("[1]")}, "must be an object"),
        ({"facts": np.array("{")}, "Expecting"),
        ({"facts": without("width")}, "lack width"),
        ({"facts": without("signature")}, "with a signature"),
        ({"facts": with_fact(schema=2)}, "saved in schema 2, and this version reads up to 1"),
        ({"facts": with_fact(width=4.5)}, "width must be a whole number"),
        ({"facts": with_fact(signature=[0.5] * 3)}, "signature must have 4 values"),
        ({"facts": with_fact(signature=["x"] * 4)}, "a value of the signature"),
        ({"facts": with_fact(model=["x"])}, "model must be a text"),
        ({"facts": with_fact(hop="x")}, "hop must be a number"),
    ],
)
def test_npz_files_that_lie_are_refused(tmp_path, changed, reason):
    npz(tmp_path / "e.npz", **changed)
    with pytest.raises(ValueError, match=reason) as caught:
        read_embeddings(tmp_path / "e.npz")
    assert str(caught.value).startswith(f"{tmp_path / 'e.npz'}: not a file of embeddings: ")


def test_npz_files_without_facts_and_with_later_facts_are_read(tmp_path):
    npz(tmp_path / "e.npz", facts=None)
    assert read_embeddings(tmp_path / "e.npz").facts is None
    npz(tmp_path / "e.npz", facts=with_fact(later=1))
    assert read_embeddings(tmp_path / "e.npz").facts == facts_of()


def parquet(path, names, kind, vectors, metadata=None, **how):
    schema = pyarrow.schema([("file", pyarrow.string()), ("embedding", kind)], metadata)
    table = pyarrow.table([pyarrow.array(names, pyarrow.string()), pyarrow.array(vectors, kind)], schema=schema)
    pyarrow.parquet.write_table(table, path, **how)


FOUR = pyarrow.list_(pyarrow.float32(), 4)


@pytest.mark.parametrize(
    ("names", "kind", "vectors", "how", "reason"),
    [
        (["a"], pyarrow.list_(pyarrow.float32()), [[1, 2]], {}, "of a fixed size"),
        (["a"], pyarrow.list_(pyarrow.float64(), 2), [[1, 2]], {}, "list of float32"),
        (["a"], pyarrow.float32(), [1], {}, "list of float32"),
        (["a", "b"], FOUR, [[1, 2, 3, 4], None], {}, "declares|missing"),
        (["a"], FOUR, [[1, 2, 3, None]], {}, "NaN"),
        (["a"], FOUR, [[1, 2, 3, np.inf]], {}, "infinity"),
        (["a", None], FOUR, [[1, 2, 3, 4]] * 2, {}, "1 to 4,096 characters"),
        (["a", "a"], FOUR, [[1, 2, 3, 4]] * 2, {}, "there twice"),
        (["a" * 20_000], FOUR, [[1, 2, 3, 4]], {}, "more than 4,096 characters"),
        ([], FOUR, [], {}, "declares 0 embeddings"),
        (["a"], FOUR, [[1, 2, 3, 4]], {"compression": "zstd"}, "compression of the column file must be one of"),
        ([str(n) for n in range(2**21)], FOUR, [[0, 0, 0, 0]] * 2**21, {"column_encoding": None}, "declares 2,097,152"),
        (["a"], FOUR, [[1, 2, 3, 4]], {"metadata": {b"audiozoo": b"{"}}, "Expecting"),
    ],
)
def test_parquet_files_that_lie_are_refused(tmp_path, names, kind, vectors, how, reason):
    if "column_encoding" in how:
        # A constant column takes a few bytes for any number of rows.
        names, how = ["a"] * len(names), {"compression": "snappy"}
    parquet(tmp_path / "e.parquet", names, kind, vectors, how.pop("metadata", None), **how)
    with pytest.raises(ValueError, match=reason) as caught:
        read_embeddings(tmp_path / "e.parquet")
    assert str(caught.value).startswith(f"{tmp_path / 'e.parquet'}: not a file of embeddings: ")


def test_parquet_files_of_other_programs_are_read(tmp_path):
    parquet(tmp_path / "e.parquet", ["a", "b"], FOUR, [[1, 2, 3, 4], [5, 6, 7, 8]], compression="snappy")
    found = read_embeddings(tmp_path / "e.parquet")
    assert (found.files, found.vectors.tolist(), found.facts) == (("a", "b"), [[1, 2, 3, 4], [5, 6, 7, 8]], None)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged_files_are_refused(tmp_path, rng, suffix, damage):
    path = tmp_path / f"e{suffix}"
    embeddings.write_embeddings(path, some(200, 64), facts_of(64))
    content = path.read_bytes()
    made = {"cut": content[: len(content) // 2], "noise": rng.bytes(len(content)), "empty": b""}
    path.write_bytes(made[damage])
    with pytest.raises(ValueError, match="not a file of embeddings"):
        read_embeddings(path)


def test_changed_bytes_give_an_error_or_valid_embeddings(tmp_path, rng):
    path = tmp_path / "e.parquet"
    embeddings.write_embeddings(path, some(20, 8), facts_of(8))
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(300):
        changed = content.copy()
        places = rng.integers(len(content), size=3)
        changed[places] = rng.integers(256, size=3)
        path.write_bytes(changed.tobytes())
        with suppress(ValueError):
            assert np.isfinite(read_embeddings(path).vectors).all()


def test_missing_files_and_other_suffixes(tmp_path):
    with pytest.raises(FileNotFoundError, match="audiozoo embed"):
        read_embeddings(tmp_path / "e.npz")
    (tmp_path / "e.txt").write_text("")
    with pytest.raises(ValueError, match=r"end in \.npz or \.parquet"):
        read_embeddings(tmp_path / "e.txt")


def test_facts_of_a_classifier_recognise_it(rng):
    facts = EmbeddingFacts.of(bands(), "mine", statistic="all", hop=0.25)
    assert (facts.model, facts.width, facts.window, facts.sample_rate) == ("mine", 24, 0.5, RATE)
    facts.check(bands(), "mine")
    facts.check(bands(tilt=1.000_1), "mine")  # rounding
    for other in (bands(tilt=1.1), bands(width=10)):
        with pytest.raises(ValueError, match=r"embeddings are of mine \(24 values\), and theirs gives others"):
            facts.check(other, "theirs")
    with pytest.raises(ValueError, match="gives others"):
        replace(facts, statistic="mean").check(bands(), "mine")


def test_embedding_files_collects_failures(write_sound):
    paths = [str(write_sound(tone(hertz, 0.5, RATE), name=f"{hertz}.wav")) for hertz in (200, 900)]
    facts, failures = EmbeddingFacts.of(bands(), "mine"), []
    rows = list(embed_files(bands(), [paths[0], "gone.wav", paths[1]], facts, failures=failures))
    assert [name for name, _ in rows] == paths
    assert np.allclose(rows[1][1], bands().embed(paths[1]))
    assert isinstance(failures[0], Failure)
    assert len(failures) == 1
    with pytest.raises(FileNotFoundError):
        list(embed_files(bands(), ["gone.wav"], facts))
    with pytest.raises(ValueError, match="no sound file could be used"):
        Embeddings.of(embed_files(bands(), ["gone.wav"], facts, failures=[]), facts)


def test_the_nearest_are_those_of_all_cosines(rng):
    store = Embeddings.of(some(300, 16))
    queries = rng.standard_normal((7, 16)).astype(np.float32)
    cosines = (queries @ store.vectors.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(store.vectors, axis=1)
    for found, row in zip(nearest(store, queries, top=4), cosines, strict=True):
        best = np.argsort(-row)[:4]
        assert [one.file for one in found] == [store.files[place] for place in best]
        assert [one.similarity for one in found] == pytest.approx(row[best], abs=1e-5)


def test_a_query_from_the_store_is_left_out_of_its_neighbours():
    store = Embeddings.of(some(10))
    found = nearest(store, store.vectors[:2], top=20, exclude=["sounds/0.wav", None])
    assert [len(each) for each in found] == [9, 10]
    assert found[1][0] == ("sounds/1.wav", pytest.approx(1))
    with pytest.raises(ValueError, match="queries have 3 values each, the embeddings 4"):
        nearest(store, np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="top must be"):
        nearest(store, store.vectors, top=0)


def test_silence_is_similar_to_nothing():
    store = Embeddings(("a", "b", "c"), np.float32([[0, 0], [0, 0], [1, 1]]))
    assert [one.similarity for one in nearest(store, store.vectors[:1], top=3)[0]] == pytest.approx([0, 0, 0])
    assert near_copies(store) == []


@pytest.mark.parametrize("block", [2**23, 700, 1])
def test_near_copies_form_groups(monkeypatch, rng, block):
    monkeypatch.setattr("audiozoo.embeddings.neighbours._BLOCK", block)
    vectors = rng.standard_normal((60, 32)).astype(np.float32)
    vectors[40] = 3 * vectors[5]
    vectors[59] = vectors[5] + 0.01 * vectors[6]
    vectors[20] = vectors[19]
    store = Embeddings(tuple(map(str, range(60))), vectors)
    groups = near_copies(store, threshold=0.999)
    assert [[one.file for one in group] for group in groups] == [["5", "40", "59"], ["19", "20"]]
    assert [one.similarity for one in groups[0]] == pytest.approx([1, 1, 0.99995], abs=1e-4)
    assert near_copies(store, threshold=1.0)[0][0].file == "5"
    with pytest.raises(ValueError, match="threshold must be a number from 0 to 1"):
        near_copies(store, threshold=1.5)


def test_a_chain_of_near_copies_is_one_group(monkeypatch):
    monkeypatch.setattr("audiozoo.embeddings.neighbours._BLOCK", 40)
    angles = np.random.default_rng(0).permutation(30) * 0.05
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    store = Embeddings(tuple(map(str, range(30))), vectors)
    assert [len(group) for group in near_copies(store, threshold=np.cos(0.051))] == [30]
    assert near_copies(store, threshold=np.cos(0.049)) == []


def test_copies_of_one_sound_need_no_matrix_of_all_pairs(monkeypatch):
    monkeypatch.setattr("audiozoo.embeddings.neighbours._BLOCK", 2**16)
    count = 3_000
    near_copies(Embeddings(("a", "b"), np.ones((2, 2), np.float32)))  # loads SciPy
    store = Embeddings(tuple(map(str, range(count))), np.ones((count, 2), np.float32))
    tracemalloc.start()
    (group,) = near_copies(store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(group) == count
    assert peak < 100 * 2**16 < 4 * count**2


def test_labels_come_from_folders():
    assert embeddings.folder_labels(["s/dog/1.wav", "s/cat/x/2.wav", "s/3.wav"]) == ["dog", "cat", ""]
    assert embeddings.folder_labels(["/a/s/dog/1.wav", "/a/s/cat/2.wav"]) == ["dog", "cat"]
    assert embeddings.folder_labels(["s/1.wav", "s/2.wav"]) is None
    assert embeddings.folder_labels(["1.wav"]) is None
    assert embeddings.folder_labels(["dog/1.wav", "doge/1.wav"]) == ["dog", "doge"]


def test_labels_come_from_a_table(tmp_path):
    files, table = ["s/dog/1.wav", "s/cat/1.wav", "s/2.wav"], tmp_path / "t.csv"
    table.write_text("\ufefffile,label\ncat/1.wav,cat;animal\n1.wav,dog\n", encoding="utf-8")
    assert embeddings.table_labels(table, files) == ["dog", "cat", ""]
    table.write_text("filename,fold,category\n2.wav,1,rain\n")
    assert embeddings.table_labels(table, files) == ["", "", "rain"]
    for text, reason in (
        ("a,b\n1,2\n", "the columns are a, b"),
        ("file,label\nx.wav,dog\n", "has none of the files"),
        ("", "columns"),
    ):
        table.write_text(text)
        with pytest.raises(ValueError, match=reason):
            embeddings.table_labels(table, files)
    with pytest.raises(FileNotFoundError):
        embeddings.table_labels(tmp_path / "gone.csv", files)


def two_clusters(count=40):
    rng = np.random.default_rng(0)
    centres = np.repeat([[5, 0, 0, 0], [0, 0, 5, 0]], count // 2, axis=0)
    vectors = (centres + rng.standard_normal((count, 4))).astype(np.float32)
    return Embeddings(tuple(f"{number // (count // 2)}/{number}.wav" for number in range(count)), vectors)


def test_principal_components_are_repeatable_and_keep_clusters_apart():
    store = two_clusters()
    found, again = (project(store, method="pca", seed=3) for _ in range(2))
    assert np.array_equal(found.points, again.points)
    assert found.method == "PCA"
    assert found.axes[0].startswith("component 1, ")
    assert len(set(found.points[:20, 0] > 0)) == 1
    assert (found.points[:20, 0] > 0)[0] != (found.points[20:, 0] > 0)[0]


def test_without_umap_the_map_shows_principal_components(monkeypatch):
    monkeypatch.setattr("audiozoo.embeddings.projection.find_spec", lambda name: None)
    assert project(two_clusters()).method == "PCA"
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[umap\]'"):
        project(two_clusters(), method="umap")


def test_projections_refuse_too_few_sounds():
    with pytest.raises(ValueError, match="at least 3 sounds"):
        project(Embeddings.of(some(2)))
    with pytest.raises(ValueError, match="more than 15 sounds, got 10"):
        project(two_clusters(10), method="umap")
    with pytest.raises(ValueError, match="method must be one of"):
        project(two_clusters(), method="tsne")
    alike = Embeddings(("a", "b", "c"), np.ones((3, 4), np.float32))
    assert np.allclose(project(alike, method="pca").points, 0)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")
def test_umap_is_repeatable_and_keeps_clusters_apart():
    store = two_clusters(60)
    found, again = (project(store, method="umap", seed=3) for _ in range(2))
    assert found.method == "UMAP"
    assert np.array_equal(found.points, again.points)
    centres = found.points[:30].mean(axis=0), found.points[30:].mean(axis=0)
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * found.points[:30].std()
