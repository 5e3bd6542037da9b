"""Similar sounds: speed of the search, and the similarity of copies beside that of different sounds.

``python benchmarks/similar.py ESC-50/ yamnet.npz`` writes results/similar.md. The second file has YAMNet's weights.

- Speed: 100,000 random embeddings are read from a file and searched for the five nearest of one query. Each time is the
  shortest of five runs. The same search in NumPy, and reading with NumPy or pyarrow alone, are the peers. Groups of near
  copies are found among 20,000.
- Copies: 400 clips of ESC-50 (eight of each class) are re-encoded, attenuated and trimmed, and compared with their originals by
  their embeddings. The 2,000 originals are compared with each other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import soundfile

import audiozoo
from audiozoo.classifier import Answering, pretrained_classifier
from audiozoo.datasets import Clip
from audiozoo.embeddings import EmbeddingFacts, Embeddings, embed_files, near_copies, nearest, read_embeddings, write_embeddings
from audiozoo.files import replacing

RESULTS = Path(__file__).parent / "results"
COUNT, RUNS, EACH_CLASS, FEWER = 100_000, 5, 8, 20_000
THRESHOLDS = (0.98, 0.99, 0.995, 0.998, 0.999)


def best_time(function: Callable[..., Any], *given: Any) -> float:
    """Return the shortest time of some runs (seconds), which a busy machine disturbs least."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        function(*given)
        times.append(time.perf_counter() - begin)
    return min(times)


def in_numpy(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the places of the five nearest by cosine distance."""
    similarity = vectors @ query / np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    best = np.argpartition(-similarity, 5)[:5]
    return best[np.argsort(-similarity[best])]


def speed(width: int) -> list[str]:
    """Measure reading and searching embeddings of a width; return the lines of the table."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((COUNT, width), dtype=np.float32)
    facts = EmbeddingFacts(model="random", width=width, window=1.0, sample_rate=16_000, signature=(0.0,) * width)
    rows = [(f"sounds/{number:06}.wav", vector) for number, vector in enumerate(vectors)]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, peer in ((".parquet", pyarrow.parquet.read_table), (".npz", lambda path: np.load(path)["embeddings"])):
            path = Path(folder) / f"store{suffix}"
            write_embeddings(path, rows, facts)
            store, query = read_embeddings(path), vectors[:1] + 0.1
            assert [one.file for one in nearest(store, query)[0]] == [rows[place][0] for place in in_numpy(vectors, query[0])]
            read, alone = best_time(read_embeddings, path), best_time(peer, path)
            search = best_time(nearest, store, query)
            numpy = best_time(in_numpy, store.vectors, query[0])
            cells = [
                f"{read:.2f} s",
                f"{read / alone:.1f}",
                f"{search:.2f} s",
                f"{search / numpy:.0f}",
                f"{read + search:.2f} s",
            ]
            lines.append(f"| {width:,} | {suffix} | {' | '.join(cells)} |")
    return lines


def grouping(width: int) -> str:
    """Measure the search for near copies, and the memory that it takes beside the embeddings."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((FEWER, width), dtype=np.float32)
    vectors[::10] = vectors[1::10]
    store = Embeddings(tuple(map(str, range(FEWER))), vectors)
    begin = time.perf_counter()
    groups = near_copies(store)
    taken = time.perf_counter() - begin
    assert len(groups) == FEWER // 10
    tracemalloc.start()
    near_copies(Embeddings(store.files, vectors))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    full = 4 * FEWER**2 / 2**20
    return f"| {FEWER:,} | {width:,} | {taken:.1f} s | {peak:.0f} MiB | {full:,.0f} MiB |"


def copies_of(wave: np.ndarray, rate: int, folder: Path, name: str) -> dict[str, Path]:
    """Write the copies of a sound; return their paths by kind."""
    waves = {
        "6 dB quieter": 0.5 * wave,
        "20 dB quieter": 0.1 * wave,
        "0.1 s trimmed from the start": wave[rate // 10 :],
        "0.5 s trimmed from the start": wave[rate // 2 :],
        "0.5 s trimmed from the end": wave[: -rate // 2],
    }
    paths = {}
    for kind, changed in waves.items():
        paths[kind] = folder / f"{name}-{kind}.flac"
        soundfile.write(paths[kind], changed, rate)
    for kind, suffix in (("re-encoded as MP3", "mp3"), ("re-encoded as Ogg Vorbis", "ogg")):
        paths[kind] = folder / f"{name}.{suffix}"
        soundfile.write(paths[kind], wave, rate)
    return paths


def embedded(classifier: Answering, paths: Sequence[str], facts: EmbeddingFacts) -> Embeddings:
    return Embeddings.of(embed_files(classifier, paths, facts), facts)


def copies(classifier: Answering, clips: Sequence[Clip]) -> list[str]:
    """Compare copies with their originals, and the originals with each other; return the lines of the table."""
    facts, paths = EmbeddingFacts.of(classifier), [os.fspath(clip.path) for clip in clips]
    originals, lines = embedded(classifier, paths, facts), []
    chosen = [place for label in sorted({clip.label for clip in clips}) for place in of_class(clips, label)[:EACH_CLASS]]
    with tempfile.TemporaryDirectory() as folder:
        found = [copies_of(*audiozoo.audio.read(paths[place]), Path(folder), str(place)) for place in chosen]
        for kind in found[0]:
            changed = embedded(classifier, [str(each[kind]) for each in found], facts)
            lines.append(line(kind, (originals.unit[chosen] * changed.unit).sum(axis=1)))
    similarity = originals.unit @ originals.unit.T
    labels, groups = np.array([clip.label for clip in clips]), np.array([clip.group for clip in clips])
    recording, label = groups[:, None] == groups, labels[:, None] == labels
    np.fill_diagonal(recording, False)
    others = {
        "another part of the same recording": recording,
        "another recording of the class": label & (groups[:, None] != groups),
        "another class": ~label,
    }
    for kind, where in others.items():
        nearest_other = np.where(where, similarity, -1).max(axis=1)
        lines.append(line(f"nearest clip: {kind}", nearest_other[where.any(axis=1)]))
    apart = np.where(groups[:, None] == groups, -1, similarity)
    found_labels = labels[np.argsort(-apart, axis=1)[:, :5]]
    share = 100 * (found_labels == labels[:, None]).mean()
    return [*lines, "", f"{share:.1f} % of the five nearest clips of other recordings are of the same class (chance: 2 %)."]


def of_class(clips: Sequence[Clip], label: str) -> list[int]:
    return [place for place, clip in enumerate(clips) if clip.label == label]


def line(kind: str, similarities: np.ndarray) -> str:
    quantiles = [f"{value:.4f}" for value in np.quantile(similarities, (0.05, 0.5, 0.95))]
    shares = [f"{100 * (similarities >= threshold).mean():.1f} %" for threshold in THRESHOLDS]
    return f"| {' | '.join([kind, str(len(similarities)), *quantiles, *shares])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of ESC-50")
    parser.add_argument("weights", type=Path, help="weights of YAMNet")
    given = parser.parse_args()
    clips = audiozoo.load_dataset("esc50", root=given.root).clips
    heads = ["clips", "5 %", "median", "95 %", *(f"≥ {threshold}" for threshold in THRESHOLDS)]
    load = os.getloadavg()[0]
    text = [
        "# Similar sounds",
        "",
        "`python benchmarks/similar.py ESC-50/ yamnet.npz`",
        "",
        "## Speed",
        "",
        f"Five nearest of {COUNT:,} random embeddings for one query; shortest of {RUNS} runs. Each ratio is the time beside",
        "that of the same in NumPy or pyarrow alone, without any check: `pyarrow.parquet.read_table`, `numpy.load`, and a",
        f"product with the query. {os.cpu_count()} processor cores; the load of the machine was {load:.1f} at the start.",
        *(["Other programs kept the machine busy."] if load > (os.cpu_count() or 1) else []),
        "",
        "| values | file | read | ratio | search | ratio to NumPy | read and search |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
        *(line for width in (512, 1_024) for line in speed(width)),
        "",
        "Groups of near copies:",
        "",
        "| sounds | values | time | further memory | matrix of all similarities |",
        "| ---: | ---: | ---: | ---: | ---: |",
        grouping(1_024),
        "",
        "## Copies and different sounds",
        "",
        f"Cosine similarity of {EACH_CLASS} clips of each class of ESC-50 to copies of themselves, and of all clips to the",
        "nearest other one. The last columns are the shares at or above a threshold.",
    ]
    models = {
        "house_cnn/esc10": audiozoo.load_classifier,
        "yamnet": lambda name: pretrained_classifier(name, weights_file=given.weights),
    }
    for name, loaded in models.items():
        lines = copies(loaded(name), clips)
        text += ["", f"`{name}`:", "", f"| {' | '.join(['kind', *heads])} |", f"| --- |{' ---: |' * len(heads)}", *lines]
    with replacing(RESULTS / "similar.md") as temporary:
        temporary.write_text("\n".join(text) + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    main()
