import numpy as np
import pytest
import soundfile

from audiozoo.datasets import Clip, Dataset, hold_out, load_dataset


@pytest.fixture
def root(tmp_path):
    files = [
        f"{word}/{speaker}_nohash_{take}.wav" for word in ("yes", "no") for speaker in ("aa", "bb", "cc") for take in (0, 1)
    ]
    for name in (*files, "_background_noise_/hum.wav", "yes/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name, speaker in (("testing_list.txt", "cc"), ("validation_list.txt", "bb")):
        (tmp_path / name).write_text("".join(f"{file}\n" for file in files if f"/{speaker}_" in file))
    return tmp_path


@pytest.mark.parametrize(("options", "speakers"), [({}, {"aa", "bb"}), ({"validation_clips": False}, {"aa"})])
def test_the_published_lists(root, options, speakers):
    data = load_dataset("speech_commands", root=root, **options)
    assert (data.labels, data.metric, data.folds) == (("no", "yes"), "accuracy", [1])
    ((_, train, test),) = data.splits()
    assert ({clip.group for clip in train}, len(train)) == (speakers, 4 * len(speakers))
    assert ({clip.group for clip in test}, len(test)) == ({"cc"}, 4)


def test_what_is_missing_is_named(root):
    (root / "no" / "cc_nohash_1.wav").unlink()
    (root / "testing_list.txt").write_text((root / "testing_list.txt").read_text() + "../evil\n")
    with pytest.raises(ValueError, match=r"testing_list\.txt: 1 line\(s\) do not name a sound, the first is '\.\./evil'"):
        load_dataset("speech_commands", root=root)
    (root / "testing_list.txt").write_text((root / "testing_list.txt").read_text().removesuffix("../evil\n"))
    with pytest.raises(FileNotFoundError, match=r"1 of 12 sounds are missing, .*cc_nohash_1"):
        load_dataset("speech_commands", root=root)
    (root / "validation_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"validation_list\.txt: the published list is missing"):
        load_dataset("speech_commands", root=root)


def test_training_holds_out_the_published_validation_clips(root):
    for options, held in (({}, {"bb"}), ({"validation_clips": False}, {"aa"})):
        ((_, train, test),) = load_dataset("speech_commands", root=root, **options).splits()
        out = hold_out(train, 0.2, seed=0)
        assert {clip.group for clip, held_out in zip(train, out, strict=True) if held_out} <= held
        assert not any(clip.validation for clip in test)
        if not options:
            assert out.tolist() == [clip.validation for clip in train] == [clip.group == "bb" for clip in train]


def test_marks_count_only_beside_other_clips_and_in_the_published_split():
    clips = tuple(Clip(f"{label}{n}", (label,), validation=True) for label in "ab" for n in range(4))
    assert hold_out(clips, 0.25, seed=0).sum() == 2
    assert not any(clip.validation for clip in Dataset("d", clips, ("a", "b")).with_folds(2).clips)


KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


@pytest.fixture
def twelve(tmp_path):
    """Ten keywords and two other words of 30 speakers, ten in each part, and six recordings of noise."""
    files = [f"{word}/{speaker:02}_nohash_0.wav" for word in (*KEYWORDS, "dog", "bird") for speaker in range(30)]
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "_background_noise_").mkdir()
    (tmp_path / "_background_noise_" / "README.md").touch()
    for number, seconds in enumerate((2, 2, 2, 4, 4, 1)):
        soundfile.write(tmp_path / "_background_noise_" / f"{number}.wav", np.zeros(8_000 * seconds), 8_000)
    for name, speakers in (("validation_list.txt", "1"), ("testing_list.txt", "2")):
        (tmp_path / name).write_text("".join(f"{file}\n" for file in files if f"/{speakers}" in file))
    return tmp_path


def test_twelve_classes(twelve):
    data = load_dataset("speech_commands_12", root=twelve)
    assert data.labels == ("_silence_", "_unknown_", *KEYWORDS)
    ((_, train, test),) = data.splits()
    parts = {"": [c for c in train if not c.validation], "validation": [c for c in train if c.validation], "test": test}
    for clips in parts.values():
        counts = {label: sum(clip.label == label for clip in clips) for label in data.labels}
        assert counts == dict.fromkeys(data.labels, 10)
    noise = {name: {clip.group for clip in clips if clip.label == "_silence_"} for name, clips in parts.items()}
    assert noise == {
        "": {"_background_noise_/0.wav", "_background_noise_/3.wav"},
        "validation": {"_background_noise_/1.wav", "_background_noise_/4.wav"},
        "test": {"_background_noise_/2.wav"},  # the other recording is too short for more than one excerpt
    }
    seconds = {0: 2, 1: 2, 2: 2, 3: 4, 4: 4}
    for clip in (clip for clips in parts.values() for clip in clips if clip.label == "_silence_"):
        assert clip.end == clip.start + 1 <= seconds[int(clip.group[-5])]
    starts = [clip.start for clip in parts[""] if clip.label == "_silence_"]
    assert starts == [0.2, 0.6, 0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8]
    assert {clip.path.split("/")[-2] for clip in train if clip.label == "_unknown_"} == {"dog", "bird"}
    assert load_dataset("speech_commands_12", root=twelve, validation_clips=False).clips == (*parts[""], *test)
    assert load_dataset("speech_commands_12", root=twelve) == data


def test_twelve_classes_need_the_background_noise(twelve):
    for path in (twelve / "_background_noise_").glob("[1-5].wav"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no recording is left for validation"):
        load_dataset("speech_commands_12", root=twelve)
