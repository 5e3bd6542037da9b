import pytest

from audiozoo.datasets import load_dataset


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
    with pytest.raises(FileNotFoundError, match=r"1 of 12 sounds are missing, .*cc_nohash_1"):
        load_dataset("speech_commands", root=root)
    (root / "validation_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"validation_list\.txt: the published list is missing"):
        load_dataset("speech_commands", root=root)
