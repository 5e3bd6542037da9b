import ast
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import tone

import audiozoo
from audiozoo import crossval
from audiozoo.crossval import FeatureBank, fold_jobs
from audiozoo.datasets import Clip, load_dataset
from audiozoo.features import FeatureCache, LogMel, Statistics, Waveform, extract, identity, packs
from audiozoo.features import cache as caching
from audiozoo.features import extract as extracting_function
from audiozoo.features.cache import parse_size
from audiozoo.features.identity import FileHashes, signature
from audiozoo.training import Recipe, train

extracting = sys.modules[extracting_function.__module__]
FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=64, n_mels=20)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


@pytest.fixture
def clips(sound_folder):
    return load_dataset("folder", root=sound_folder).clips


@pytest.fixture
def decoded(monkeypatch):
    """What was decoded: a list that grows."""
    calls = []
    original = extracting.windows_of

    def counted(clip, *args, **how):
        calls.append(clip)
        return original(clip, *args, **how)

    monkeypatch.setattr(extracting, "windows_of", counted)
    return calls


def same(features, expected):
    assert features.counts.tolist() == expected.counts.tolist()
    assert features.failures == expected.failures
    for i in range(len(expected.starts)):
        assert np.array_equal(features.values[features.windows(i)], expected.values[expected.windows(i)])


def all_packs(cache):
    return [path.parent for path in cache.folder.glob("*/*/values.npy")]


def nothing_half_written(cache):
    return not list(cache.folder.rglob(".*"))


def test_a_second_pass_decodes_nothing_and_copies_nothing(cache, clips, decoded):
    expected = extract(clips, FRONTEND)
    decoded.clear()
    first = extract(clips, FRONTEND, cache=cache)
    assert len(decoded) == 18
    second = extract(clips, FRONTEND, cache=FeatureCache(cache.folder.parent))
    assert len(decoded) == 18
    same(first, expected)
    same(second, expected)
    assert isinstance(second.values, np.memmap)
    assert not second.values.flags.writeable
    assert (cache.info().packs, cache.info().clips) == (1, 18)


def test_the_old_name_of_windows_still_works(clips):
    features = extract(clips[:3], FRONTEND)
    with pytest.warns(DeprecationWarning, match=r"Features\.windows"):
        assert features.rows(1) == features.windows(1) == slice(1, 2)


def test_any_part_in_any_order_reads_the_same_pack(cache, clips, decoded):
    extract(clips, FRONTEND, cache=cache)
    decoded.clear()
    part = [clips[i] for i in (7, 2, 11, 2)]
    found = extract(part, FRONTEND, cache=cache)
    same(found, extract(part, FRONTEND))
    assert Path(found.values.filename).parent == all_packs(cache)[0]
    assert len(decoded) == 4


def test_new_clips_join_the_old_ones_in_one_pack(cache, clips, decoded):
    extract(clips[:5], FRONTEND, cache=cache)
    extract(clips[9:], FRONTEND, cache=cache)
    assert cache.info().packs == 2
    found = extract(clips, FRONTEND, cache=cache)
    assert len(decoded) == 18
    same(found, extract(clips, FRONTEND))
    assert (cache.info().packs, cache.info().clips) == (1, 18)
    assert nothing_half_written(cache)


def test_windows_and_hops_are_kept(cache, write_sound, rng, decoded):
    paths = [write_sound(rng.uniform(-0.5, 0.5, size), name=f"{size}.wav") for size in (900, 20_000, 4_001)]
    some = [Clip(str(path), ("a",)) for path in paths]
    for hop in (None, 0.5):
        expected = extract(some, FRONTEND, hop=hop)
        decoded.clear()
        same(extract(some, FRONTEND, hop=hop, cache=cache), expected)
        same(extract(some, FRONTEND, hop=hop, cache=cache), expected)
        assert len(decoded) == 3
    assert cache.info().packs == 2


def test_a_clip_is_its_content(cache, clips, decoded, tmp_path):
    extract(clips[:2], FRONTEND, cache=cache)
    copied = tmp_path / "elsewhere.wav"
    shutil.copy(clips[0].path, copied)
    link = tmp_path / "link.wav"
    link.symlink_to(clips[1].path)
    content = Path(clips[0].path).read_bytes()
    decoded.clear()
    found = extract([replace(clips[0], path=path) for path in (str(copied), str(link), content)], FRONTEND, cache=cache)
    assert not decoded
    assert len(set(found.starts)) == 2
    extract([replace(clips[0], end=0.25)], FRONTEND, cache=cache)
    extract([replace(clips[0], start=0.25)], FRONTEND, cache=cache)
    assert len(decoded) == 2


def test_a_changed_file_is_read_again(cache, write_sound, decoded, monkeypatch):
    monkeypatch.setattr(identity, "_SETTLED", 0)
    path = write_sound(tone(440, 0.5, 8_000))
    before = os.stat(path)
    old = extract([Clip(str(path), ("a",))], FRONTEND, cache=cache)
    write_sound(tone(880, 0.5, 8_000))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as copying with times does; the size is the same too
    new = extract([Clip(str(path), ("a",))], FRONTEND, cache=cache)
    assert len(decoded) == 2
    assert not np.array_equal(old.values[old.windows(0)], new.values[new.windows(0)])


def test_a_file_that_changes_while_it_is_read_is_not_kept(cache, clips, monkeypatch):
    path = clips[0].path
    expected = extract(clips[:3], FRONTEND)

    def changing(clip, frontend, hop):
        found = original(clip, frontend, hop)
        if clip.path == path:
            shutil.copy(clips[-1].path, path)
        return found

    original = extracting._attempt
    monkeypatch.setattr(extracting, "_attempt", changing)
    same(extract(clips[:3], FRONTEND, cache=cache), expected)
    assert cache.info().packs == 0


@pytest.mark.parametrize(
    "changed",
    [
        replace(FRONTEND, n_mels=21),
        replace(FRONTEND, top_db=60.0),
        replace(FRONTEND, pad="repeat"),
        Waveform(sample_rate=8_000, duration=0.5),
        Statistics(of=FRONTEND),
    ],
)
def test_a_changed_parameter_reads_nothing_old(cache, clips, changed):
    extract(clips[:3], FRONTEND, cache=cache)
    same(extract(clips[:3], changed, cache=cache), extract(clips[:3], changed))


def test_the_signature_is_of_all_that_computes(monkeypatch):
    known = [signature(FRONTEND, None), signature(FRONTEND, 0.5), signature(replace(FRONTEND, n_mels=21), None)]
    assert signature(FRONTEND, 1) == signature(FRONTEND, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(identity, "_versions", lambda: {"numpy": "9"})
        known.append(signature(FRONTEND, None))
    monkeypatch.setattr(identity, "_own_sources", lambda: "edited")
    known.append(signature(FRONTEND, None))
    assert len(set(known)) == 5
    assert {"libsndfile", "numpy", "scipy", "librosa", "soxr", "noisereduce"} == set(identity._versions())


PACKAGE = Path(audiozoo.__file__).parent
STORING = sorted(identity._STORING)
COMPUTING = ["audio/files.py", "spectrum/filterbanks.py", "features/reading.py", "features/cleaning.py", "features/__new__.py"]


def edited_sources(folder, edited):
    """Return the signature's hash of the package's sources before and after an edit of one of them."""
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = identity._own_sources.__wrapped__(folder)
    with (folder / edited).open("a") as file:
        file.write("# edited")
    return before, identity._own_sources.__wrapped__(folder)


@pytest.mark.parametrize("edited", [*STORING, "training/fit.py"])
def test_an_edit_of_what_stores_keeps_the_cache(tmp_path, edited):
    assert (PACKAGE / edited).exists()
    before, after = edited_sources(tmp_path / "package", edited)
    assert before == after == identity._own_sources()


@pytest.mark.parametrize("edited", COMPUTING)
def test_an_edit_of_what_computes_voids_the_cache(tmp_path, edited):
    before, after = edited_sources(tmp_path / "package", edited)
    assert before != after


def test_what_computes_imports_nothing_of_what_stores():
    storing = {f"audiozoo.{name.removesuffix('.py').replace('/', '.')}" for name in STORING}
    for path in (path for part in ("audio", "spectrum", "features") for path in (PACKAGE / part).rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() not in STORING:
            nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            assert not storing & {node.module for node in nodes}, path


@dataclass(frozen=True, kw_only=True)
class Doubled(Waveform):
    """A frontend from outside the package."""


def test_the_source_of_another_class_counts(monkeypatch, tmp_path):
    sources = []
    for text in ("first", "second"):
        (tmp_path / "doubled.py").write_text(text)
        monkeypatch.setattr(identity.inspect, "getsourcefile", lambda kind: str(tmp_path / "doubled.py"))
        sources.append([signature(Doubled(), None), signature(Waveform(), None)])
    assert sources[0][0] != sources[1][0]
    assert sources[0][1] == sources[1][1]


@pytest.mark.parametrize("module", ["notebook", "__main__"])
def test_a_class_without_a_source_file_is_not_cached(cache, clips, decoded, monkeypatch, module):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    space = {"Waveform": Waveform, "__name__": module}
    exec("class Typed(Waveform): pass", space)
    frontend = space["Typed"](sample_rate=8_000, duration=0.5)
    for _ in range(2):
        extract(clips[:2], frontend, cache=cache)
    assert len(decoded) == 4
    assert cache.info().packs == 0


def test_failures_are_named_and_not_kept(cache, clips, tmp_path, decoded):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    some = [clips[0], Clip(str(bad), ("low",)), clips[1], Clip(str(tmp_path / "gone.wav"), ("low",))]
    expected = extract(some, FRONTEND)
    decoded.clear()
    for tries in (4, 6):
        found = extract(some, FRONTEND, cache=cache)
        same(found, expected)
        assert sorted(found.failures) == [1, 3]
        assert len(decoded) == tries
    shutil.copy(clips[2].path, bad)
    assert sorted(extract(some, FRONTEND, cache=cache).failures) == [3]
    nothing = extract(some[3:], FRONTEND, cache=cache)
    assert nothing.values.shape == (0, *FRONTEND.shape)
    assert len(extract([], FRONTEND, cache=cache).starts) == 0


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "values cut short": lambda pack: cut(pack / "values.npy"),
    "values empty": lambda pack: (pack / "values.npy").write_bytes(b""),
    "values gone": lambda pack: (pack / "values.npy").unlink(),
    "values of another shape": lambda pack: np.save(pack / "values.npy", np.zeros((18, 3), np.float32)),
    "values of another type": lambda pack: np.save(pack / "values.npy", np.load(pack / "values.npy").astype(np.float64)),
    "index cut short": lambda pack: cut(pack / "index.json"),
    "index gone": lambda pack: (pack / "index.json").unlink(),
    "index is a list": lambda pack: (pack / "index.json").write_text("[1, 2]"),
    "index beyond the values": lambda pack: (pack / "index.json").write_text('{"a": [0, 99, 0]}'),
    "index backwards": lambda pack: (pack / "index.json").write_text('{"a": [5, 2, 0]}'),
    "index of words": lambda pack: (pack / "index.json").write_text('{"a": ["b", "c"]}'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_pack_is_computed_again(cache, clips, decoded, damage):
    expected = extract(clips, FRONTEND, cache=cache)
    expected = replace(expected, values=np.array(expected.values))
    damage(all_packs(cache)[0])
    cache.info()
    same(extract(clips, FRONTEND, cache=cache), expected)
    assert len(decoded) == 36
    same(extract(clips, FRONTEND, cache=cache), expected)
    assert len(decoded) == 36
    assert nothing_half_written(cache)


@pytest.mark.parametrize("name", ["values.npy", "index.json"])
def test_a_full_disk_loses_nothing(cache, clips, monkeypatch, name, decoded):
    expected = extract(clips, FRONTEND)
    original = packs._durable

    @contextmanager
    def full(path):
        with original(path) as file:
            yield file
            file.truncate(10)
            if path.name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    decoded.clear()
    with monkeypatch.context() as patch:
        patch.setattr(packs, "_durable", full)
        patch.setattr(extracting, "_CHUNK_CLIPS", 4)
        with pytest.warns(
            RuntimeWarning, match=r"No space left on device.*AUDIOZOO_CACHE to another folder.*--no-cache"
        ) as told:
            same(extract(clips, FRONTEND, cache=cache), expected)
    assert len(told) == 1
    assert cache.info().packs == 0
    assert nothing_half_written(cache)
    same(extract(clips, FRONTEND, cache=cache), expected)
    assert len(decoded) == 36


def test_a_disk_that_fills_up_between_chunks(cache, clips, monkeypatch):
    expected = extract(clips, FRONTEND)
    original = caching.write_pack
    calls = []

    def filling(*args):
        calls.append(args)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(*args)

    monkeypatch.setattr(extracting, "_CHUNK_CLIPS", 4)
    monkeypatch.setattr(caching, "write_pack", filling)
    with pytest.warns(RuntimeWarning, match="No space left"):
        same(extract(clips, FRONTEND, cache=cache), expected)
    assert (cache.info().packs, cache.info().clips) == (2, 8)


def test_a_folder_that_cannot_be_made(clips, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="file/features: features cannot be written and stay in memory"):
        same(extract(clips, FRONTEND, cache=FeatureCache(tmp_path / "file")), extract(clips, FRONTEND))


def test_a_killed_run_goes_on_where_it_was(cache, clips, decoded, monkeypatch):
    monkeypatch.setattr(extracting, "_CHUNK_CLIPS", 4)

    def killed(stage, done, total, figures):
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(clips, FRONTEND, cache=cache, jobs=1, progress=killed)
    assert cache.info().clips == 8
    decoded.clear()
    seen = []
    same(extract(clips, FRONTEND, cache=cache, progress=lambda *step: seen.append(step)), extract(clips, FRONTEND))
    assert seen[0] == ("features", 8, 18, {})
    assert seen[-1] == ("features", 18, 18, {})
    assert len(decoded) == 10 + 18
    assert (cache.info().packs, cache.info().clips) == (1, 18)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_leaves_no_thread_at_work(clips, decoded, jobs):
    def killed(stage, done, total, figures):
        raise KeyboardInterrupt

    many = clips * 20
    with pytest.raises(KeyboardInterrupt):
        extract(many, FRONTEND, jobs=jobs, progress=killed)
    time.sleep(0.1)
    begun = len(decoded)
    time.sleep(0.3)
    assert len(decoded) == begun < len(many)


TWO = """
import sys
from audiozoo.datasets import load_dataset
from audiozoo.features import FeatureCache, LogMel, extract
sys.modules[extract.__module__]._CHUNK_CLIPS = 3
frontend = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=64, n_mels=20)
clips = load_dataset("folder", root=sys.argv[1]).clips
print("ready", flush=True)
for folder in sys.stdin.readline().split():
    features = extract(clips, frontend, cache=FeatureCache(folder), jobs=2)
    print(float(sum(features.values[features.windows(i)].sum(dtype="float64") for i in range(len(clips)))), flush=True)
"""


@pytest.mark.slow
def test_two_processes_at_once(sound_folder, clips, tmp_path):
    command = [sys.executable, "-W", "error", "-c", TWO, str(sound_folder)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    folders = [str(tmp_path / f"cache{number}") for number in range(12)]
    for process in both:
        process.stdin.write(" ".join(folders) + "\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0].split() for process in both]
    expected = extract(clips, FRONTEND)
    total = float(sum(expected.values[expected.windows(i)].sum(dtype="float64") for i in range(len(clips))))
    assert [[float(line) for line in answer] for answer in answers] == [[total] * 12] * 2
    assert [process.returncode for process in both] == [0, 0]
    for folder in folders:
        assert nothing_half_written(FeatureCache(folder))
        assert 18 in {packs.count_clips(pack) for pack in all_packs(FeatureCache(folder))}


def test_another_process_was_first(cache, clips, monkeypatch):
    expected = extract(clips, FRONTEND, cache=cache)
    theirs = all_packs(cache)[0]
    shutil.move(theirs, cache.folder / "aside")
    original = packs._publish

    def overtaken(temporary, pack):
        shutil.move(cache.folder / "aside", theirs)
        original(temporary, pack)

    monkeypatch.setattr(packs, "_publish", overtaken)
    before = (theirs.parent.parent / "aside" / "values.npy").stat().st_ino
    same(extract(clips, FRONTEND, cache=cache), expected)
    assert (theirs / "values.npy").stat().st_ino == before
    assert nothing_half_written(cache)


def test_the_least_recently_used_goes_first(tmp_path, clips):
    cache = FeatureCache(tmp_path / "cache")
    frontends = [replace(FRONTEND, n_mels=n) for n in (20, 21, 22)]
    for age, frontend in zip((30, 20), frontends, strict=False):
        extract(clips, frontend, cache=cache)
        newest = max(all_packs(cache), key=lambda pack: pack.stat().st_mtime)
        os.utime(newest, (time.time() - age, time.time() - age))
    extract(clips[:1], frontends[0], cache=cache)  # used again
    extract(clips, frontends[2], cache=FeatureCache(tmp_path / "cache", limit_bytes=int(cache.info().bytes * 1.2)))
    kept = [signature(frontend, None) for frontend in (frontends[0], frontends[2])]
    assert sorted(pack.parent.name for pack in all_packs(cache)) == sorted(kept)


def test_a_pack_beyond_the_limit_is_not_kept(tmp_path, clips, monkeypatch):
    expected = extract(clips, FRONTEND)
    for limit, chunk, kept in ((1_000, 18, 0), (expected.values.nbytes // 2, 4, 2)):
        cache = FeatureCache(tmp_path / str(limit), limit_bytes=limit)
        monkeypatch.setattr(extracting, "_CHUNK_CLIPS", chunk)
        with pytest.warns(RuntimeWarning, match=f"exceed the limit of {limit}.*AUDIOZOO_CACHE_LIMIT"):
            same(extract(clips, FRONTEND, cache=cache), expected)
        assert cache.info().packs == kept
        assert cache.info().bytes <= limit


def test_what_a_killed_process_left_goes_after_an_hour(cache, clips):
    extract(clips[:2], FRONTEND, cache=cache)
    space = all_packs(cache)[0].parent
    old, young = space / f".{'0' * 32}", space / f".{'1' * 32}"
    for path, age in ((old, 4_000), (young, 10)):
        path.mkdir()
        (path / "values.npy").write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
    extract(clips[2:4], FRONTEND, cache=cache)
    assert (old.exists(), young.exists()) == (False, True)


def test_clear_removes_its_own_files_and_no_others(cache, clips):
    extract(clips, FRONTEND, cache=cache)
    (cache.folder / "notes").mkdir()
    (cache.folder / "notes" / "mine.txt").write_text("mine")
    (cache.folder.parent / "elsewhere").write_text("mine")
    cache.clear()
    assert [path.name for path in cache.folder.rglob("*")] == ["notes", "mine.txt"]
    assert (cache.info().packs, cache.info().bytes) == (0, 0)
    (cache.folder / "notes" / "mine.txt").unlink()
    cache.clear()
    assert [path.name for path in cache.folder.parent.iterdir()] == ["elsewhere"]
    cache.clear()


@pytest.mark.parametrize(
    ("text", "size"),
    [("5GB", 5e9), ("500MB", 5e8), ("2 GiB", 2**31), ("1.5k", 1500), ("12345", 12345), ("0", 0), ("1tb", 1e12)],
)
def test_sizes(monkeypatch, text, size):
    monkeypatch.setenv("AUDIOZOO_CACHE_LIMIT", text)
    assert FeatureCache().limit_bytes == size
    assert FeatureCache(limit_bytes=7).limit_bytes == 7


@pytest.mark.parametrize("text", ["many", "-5GB", "5 bananas", "GB", "1e9", "5iB", "."])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="the limit must be a size such as 5GB"):
        parse_size(text, "the limit")
    with pytest.raises(ValueError, match="0 or more"):
        FeatureCache(limit_bytes=-1)


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path))
    assert FeatureCache().folder == tmp_path / "features"
    monkeypatch.delenv("AUDIOZOO_CACHE")
    assert FeatureCache().folder.parts[-2:] == ("audiozoo", "features") or os.name == "nt"
    assert FeatureCache(tmp_path / "x").folder == tmp_path / "x" / "features"


@pytest.fixture
def hashed(monkeypatch):
    calls = []
    original = identity._hash
    monkeypatch.setattr(identity, "_hash", lambda path: calls.append(path) or original(path))
    return calls


def test_hashes_are_remembered(tmp_path, clips, hashed, monkeypatch):
    paths = [clip.path for clip in clips]
    hashes = FileHashes(tmp_path / "hashes.sqlite")
    first = hashes.of(paths)
    hashes.of(paths)
    assert len(hashed) == 36, "files written a moment ago may change again within a tick of the clock"
    monkeypatch.setattr(identity, "_SETTLED", 0)
    hashes.of(paths)
    assert FileHashes(hashes.path).of(paths) == first
    assert len(hashed) == 54
    monkeypatch.chdir(tmp_path)
    relative = os.path.relpath(paths[0])
    assert hashes.of([relative]) == {relative: first[paths[0]]}
    assert len(hashed) == 54
    assert hashes.of([str(tmp_path), str(tmp_path / "gone.wav"), "nul\0", "/dev/null"]) == {}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(range(256)) * 20])
def test_a_damaged_database_is_made_anew(tmp_path, clips, hashed, monkeypatch, content):
    monkeypatch.setattr(identity, "_SETTLED", 0)
    path = tmp_path / "hashes.sqlite"
    path.write_bytes(content)
    for _ in range(2):
        assert len(FileHashes(path).of([clip.path for clip in clips])) == 18
    assert len(hashed) == 18
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT COUNT(*) FROM files").fetchone() == (18,)
    database.close()


def test_a_database_locked_for_long_costs_only_hashing(tmp_path, clips, hashed, monkeypatch):
    monkeypatch.setattr(identity, "_SETTLED", 0)
    monkeypatch.setattr(identity, "_PATIENCE", 0.01)
    hashes = FileHashes(tmp_path / "hashes.sqlite")
    hashes.of([])
    other = sqlite3.connect(hashes.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for _ in range(2):
        assert len(hashes.of([clip.path for clip in clips])) == 18
    assert len(hashed) == 36
    other.close()


def test_clips_in_memory_are_kept_too(cache, decoded):
    clips = load_dataset("synthetic", clips_per_class=2, folds=2).clips
    for _ in range(2):
        extract(clips, FRONTEND.adapt(duration=1.0), cache=cache)
    assert len(decoded) == len(clips)


@pytest.mark.slow
def test_training_and_benchmarks_use_it(cache, clips, sound_folder, decoded, tmp_path):
    recipe = Recipe(epochs=1, batch_size=6, validation=0)
    classifier = train("feature_mlp", clips, recipe, cache=cache)
    assert len(decoded) == 18
    crossval.evaluate(classifier, clips, cache=cache)
    jobs = fold_jobs(load_dataset("folder", root=sound_folder).with_folds(3), "feature_mlp", recipe=recipe)
    rows = list(crossval.benchmark(jobs[:1], tmp_path / "rows", cache=cache))
    assert rows[0].test_clips == 6
    FeatureBank.of(clips[:4], jobs[0].frontend, cache=cache)
    assert len(decoded) == 18


def test_no_warning_where_nothing_is_wrong(cache, clips):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        extract(clips, FRONTEND, cache=cache)
    assert not [warning for warning in told if issubclass(warning.category, RuntimeWarning)]


def test_the_index_is_readable_by_anybody(cache, clips):
    extract(clips[:3], FRONTEND, cache=cache)
    pack = all_packs(cache)[0]
    index = json.loads((pack / "index.json").read_text())
    assert sorted(index.values()) == [[0, 1, 0], [1, 2, 0], [2, 3, 0]]
    assert np.load(pack / "values.npy").shape == (3, *FRONTEND.shape)
    (cache.folder.parent / "plain").mkdir()
    assert pack.stat().st_mode == (cache.folder.parent / "plain").stat().st_mode
