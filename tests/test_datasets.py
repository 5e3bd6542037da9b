import csv
from dataclasses import replace

import numpy as np
import pytest
from conftest import tone

from audiozoo.datasets import Clip, Dataset, check_disjoint, hold_out, list_datasets, load_dataset, register_dataset
from audiozoo.recipe import Recipe


def clips(count, labels=("a", "b"), **facts):
    return tuple(Clip(f"{label}{i}.wav", (label,), **facts) for label in labels for i in range(count))


def test_datasets_are_found_by_name():
    assert {"dcase2018", "esc10", "esc50", "folder", "freesound2018", "synthetic", "urbansound8k"} <= set(list_datasets())
    with pytest.raises(ValueError, match="did you mean 'esc"):
        load_dataset("esc5")
    with pytest.raises(ValueError, match="did you mean 'table'"):
        load_dataset("folder", root=".", tabel="x")
    with pytest.raises(ValueError, match="registered already"):
        register_dataset(type("folder", (), {}))


def test_esc10_has_its_official_folds(esc50_root):
    data = load_dataset("esc10", root=esc50_root)
    assert (len(data), len(data.labels), data.folds) == (400, 10, [1, 2, 3, 4, 5])
    for _, train, test in data.splits():
        assert (len(train), len(test)) == (320, 80)
        assert {label: sum(clip.label == label for clip in test) for label in data.labels} == dict.fromkeys(data.labels, 8)


def test_esc50_is_complete(esc50_root):
    data = load_dataset("esc50", root=esc50_root)
    assert (len(data), len(data.labels)) == (2_000, 50)
    assert (data.labels[0], data.labels[49]) == ("dog", "hand_saw")
    assert len(list(data.splits())) == 5


@pytest.fixture
def miniature_esc50(tmp_path):
    """Make an archive with the official names: two classes of ESC-10 and one that is not, two folds."""

    def make(suffix="wav", below=""):
        root = tmp_path / below
        (root / "meta").mkdir(parents=True)
        (root / "audio").mkdir()
        with (root / "meta" / "esc50.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
            for fold in (1, 2):
                for target, category, esc10 in ((0, "dog", True), (14, "chirping_birds", False), (1, "rooster", True)):
                    stem = f"{fold}-{fold}00{target}-A-{target}"
                    table.writerow([f"{stem}.wav", fold, target, category, esc10, f"{fold}00{target}", "A"])
                    (root / "audio" / f"{stem}.{suffix}").touch()
        return tmp_path

    return make


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
@pytest.mark.parametrize("below", ["", "ESC-50-master"])
def test_esc_layouts(miniature_esc50, suffix, below):
    root = miniature_esc50(suffix, below)
    data = load_dataset("esc50", root=root)
    assert data.labels == ("dog", "rooster", "chirping_birds")
    assert load_dataset("esc10", root=root).labels == ("dog", "rooster")
    assert {clip.path[-3:] for clip in data.clips} == {suffix}
    assert {clip.end for clip in data.clips} == {5.0}


def test_missing_esc_files_raise(miniature_esc50, tmp_path):
    root = miniature_esc50()
    with pytest.raises(ValueError, match="root="):
        load_dataset("esc50")
    with pytest.raises(FileNotFoundError, match=r"meta/esc50\.csv"):
        load_dataset("esc10", root=tmp_path / "elsewhere")
    (root / "audio" / "1-1000-A-0.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"1-1000-A-0\.wav"):
        load_dataset("esc50", root=root)


def test_folder_of_classes(write_sound, tmp_path):
    for name in ("cat/a.wav", "cat/deeper/b.WAV", "dog/c.flac"):
        write_sound(tone(440, 0.1, 8_000), name=f"root/{name}", format=name[-4:].strip(".").upper())
    (tmp_path / "root" / ".trash").mkdir()
    for name in ("dog/notes.txt", "loose.wav", "dog/.hidden.wav", ".trash/d.wav"):
        (tmp_path / "root" / name).touch()
    data = load_dataset("folder", root=tmp_path / "root")
    assert data.labels == ("cat", "dog")
    assert [clip.label for clip in data.clips] == ["cat", "cat", "dog"]
    assert data.folds == []
    assert "skipped 2 file(s)" in data.notes[0]


def test_a_folder_without_sounds_raises(tmp_path):
    with pytest.raises(ValueError, match="no sounds in folders"):
        load_dataset("folder", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_dataset("folder", root=tmp_path / "gone")
    with pytest.raises(ValueError, match="root="):
        load_dataset("folder")


def make_table(tmp_path, header, *rows):
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return {"root": tmp_path, "table": path}


def test_table_of_files(tmp_path):
    header = "file,label,fold,group,start,end,weight"
    where = make_table(tmp_path, header, "a.wav,dog; bark,1,x,0.5,2,0.5", "b.wav,cat,2,,,,")
    first, second = load_dataset("folder", **where).clips
    assert first == Clip(str(tmp_path / "a.wav"), ("dog", "bark"), 1, "x", 0.5, 2.0, 0.5)
    assert second == Clip(str(tmp_path / "b.wav"), ("cat",), 2)


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("file,class", "a.wav,dog", r"column\(s\) label are missing"),
        ("file,label,Group", "a.wav,dog,x", "did you mean 'group'"),
        ("file,label,fold", "a.wav,dog,1.5", "whole number, got 1.5"),
        ("file,label,start,end", "a.wav,dog,3,2", "line 2: a clip needs"),
        ("file,label", "c.wav,dog", r"line 2: .*c\.wav does not exist"),
        ("file,label", "a.wav,", "no label"),
        ("file,label,fold", "a.wav,dog,one", "fold must be a number, got 'one'"),
    ],
)
def test_table_errors_name_the_line(tmp_path, header, row, reason):
    with pytest.raises((ValueError, FileNotFoundError), match=reason):
        load_dataset("folder", **make_table(tmp_path, header, row))


def test_a_table_that_is_not_utf8_raises(tmp_path):
    where = make_table(tmp_path, "file,label", "a.wav,dog")
    where["table"].write_bytes("file,label\na.wav,b\xe4r\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"table\.csv: not UTF-8"):
        load_dataset("folder", **where)


def test_a_table_of_another_dataset_raises(miniature_esc50):
    root = miniature_esc50()
    (root / "meta" / "esc50.csv").write_text("filename,fold\n1.wav,1\n")
    with pytest.raises(ValueError, match="it lacks category, esc10"):
        load_dataset("esc10", root=root)


def test_a_missing_table_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such table"):
        load_dataset("folder", root=tmp_path, table=tmp_path / "gone.csv")


def test_with_folds_keeps_recordings_together():
    facts = [Clip(f"{label}{i}.wav", (label,), group=f"{label}{i // 2}") for label in "ab" for i in range(20)]
    data = Dataset("mine", tuple(facts), ("a", "b")).with_folds(5)
    assert data.folds == [1, 2, 3, 4, 5]
    for _, train, test in data.splits():
        assert {clip.group for clip in train}.isdisjoint(clip.group for clip in test)
        assert {clip.label for clip in test} == {"a", "b"}
    assert data.clips == Dataset("mine", tuple(facts), ("a", "b")).with_folds(5).clips


def test_a_class_with_too_few_recordings_for_folds_raises():
    data = Dataset("mine", (*clips(5, ("a",)), Clip("b.wav", ("b",))), ("a", "b"))
    with pytest.raises(ValueError, match=r"class 'b' has 1 recording\(s\), too few for 5 folds"):
        data.with_folds(5)
    with pytest.raises(ValueError, match="at least two folds"):
        data.with_folds(1)
    with pytest.raises(ValueError, match="no official folds"):
        list(data.splits())


def test_clips_without_a_fold_are_always_for_training():
    learnt, first, second = (Clip(f"{fold}.wav", ("a",), fold) for fold in (None, 1, 2))
    single = Dataset("mine", (learnt, first), ("a",))
    assert list(single.splits()) == [(1, [learnt], [first])]
    assert (single.training_clips, single.test_clips) == ((learnt,), (first,))
    several = Dataset("mine", (learnt, first, second), ("a",))
    assert [split[1:] for split in several.splits()] == [([learnt, second], [first]), ([learnt, first], [second])]
    assert several.training_clips == several.test_clips == several.clips
    with pytest.raises(ValueError, match="no official folds"):
        list(Dataset("mine", (first,), ("a",)).splits())


def test_a_recording_on_both_sides_of_a_split_raises():
    both = (Clip("1.wav", ("a",), 1, "street"), Clip("2.wav", ("a",), 2, "street"))
    with pytest.raises(ValueError, match=r"1 recording\(s\) are on both sides, for example 'street'"):
        list(Dataset("mine", both, ("a",)).splits())
    with pytest.raises(ValueError, match=r"file\(s\) are on both sides"):
        check_disjoint([Clip("1.wav", ("a",), end=1.0)], [Clip("1.wav", ("a",), start=1.0)])


def test_a_dataset_without_clips_or_with_unknown_labels_raises():
    with pytest.raises(ValueError, match="labelled"):
        Dataset("mine", clips(1), ("a",))
    with pytest.raises(ValueError, match="no clips"):
        Dataset("mine", (), ("a",))


@pytest.mark.parametrize("seed", range(10))
def test_hold_out_leaves_clips_of_every_class_for_training(seed):
    shared = [Clip("cat.wav", ("cat",), group="g0"), Clip("dog.wav", ("dog",), group="g0")]
    clips = [*shared, *(Clip(f"{i}.wav", ("dog",), group=f"g{i}") for i in range(1, 4))]
    chosen = hold_out(clips, 0.5, seed=seed)
    assert {clip.label for clip, held in zip(clips, chosen, strict=True) if not held} == {"cat", "dog"}
    assert chosen.any()


@pytest.mark.parametrize(
    "facts", [{"labels": ()}, {"start": -1.0}, {"start": 2.0, "end": 1.0}, {"end": float("nan")}, {"weight": -1.0}]
)
def test_an_invalid_clip_raises(facts):
    with pytest.raises(ValueError, match="a clip needs"):
        Clip(**{"path": "a.wav", "labels": ("a",), **facts})


def test_hold_out_chooses_whole_recordings_of_every_class():
    facts = [Clip(f"{label}{i}.wav", (label,), group=f"{label}{i // 3}") for label in "ab" for i in range(30)]
    facts.append(Clip("only.wav", ("c",)))
    chosen = hold_out(facts, 0.2, seed=0)
    held, learnt = ([clip for clip, held in zip(facts, chosen, strict=True) if held is side] for side in (np.True_, np.False_))
    assert {clip.group for clip in held}.isdisjoint(clip.group for clip in learnt)
    assert [sum(clip.label == label for clip in held) for label in "abc"] == [6, 6, 0]
    assert np.array_equal(chosen, hold_out(facts, 0.2, seed=0))
    assert not np.array_equal(chosen, hold_out(facts, 0.2, seed=1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        hold_out(facts, 1.0, seed=0)


def test_a_protocol_turns_a_models_recipe_into_the_prescribed_one():
    clips = (Clip("a.wav", ("a",)),)
    recipe = Recipe(epochs=7)
    assert Dataset(name="free", clips=clips, labels=("a",)).protocol(recipe) == recipe
    fixed = Dataset(name="fixed", clips=clips, labels=("a",), protocol=lambda recipe: replace(recipe, validation=0.5))
    assert fixed.protocol(recipe) == Recipe(epochs=7, validation=0.5)
    with pytest.warns(DeprecationWarning, match="pass a function from a recipe to a recipe") as caught:
        former = Dataset(name="former", clips=clips, labels=("a",), protocol={"validation": 0.5})
    assert caught[0].filename == __file__
    assert former.protocol(recipe) == fixed.protocol(recipe)
    assert replace(former, name="copied").protocol(recipe) == fixed.protocol(recipe)
