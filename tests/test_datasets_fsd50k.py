import pytest

from audiozoo.datasets import load_dataset


@pytest.fixture
def root(tmp_path):
    tables = tmp_path / "FSD50K.ground_truth"
    tables.mkdir()
    (tables / "vocabulary.csv").write_text("0,Bark,/m/1\n1,Dog,/m/2\n2,Rain,/m/3\n")
    (tables / "dev.csv").write_text(
        'fname,labels,mids,split\n10,"Bark,Dog","/m/1,/m/2",train\n11,Rain,/m/3,train\n12,Rain,/m/3,val\n'
    )
    (tables / "eval.csv").write_text('fname,labels,mids\n13,"Bark,Dog","/m/1,/m/2"\n')
    for name in ("dev_audio/10", "dev_audio/11", "dev_audio/12", "eval_audio/13"):
        path = tmp_path / f"FSD50K.{name}.wav"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(("options", "count"), [({}, 3), ({"validation_clips": False}, 2)])
def test_the_published_split_with_several_labels(root, options, count):
    data = load_dataset("fsd50k", root=root, **options)
    assert (data.labels, data.metric, data.folds) == (("Bark", "Dog", "Rain"), "map", [1])
    ((_, train, test),) = data.splits()
    assert [clip.labels for clip in train] == [("Bark", "Dog"), ("Rain",), ("Rain",)][:count]
    assert [clip.validation for clip in train] == [False, False, True][:count]
    assert [(clip.labels, clip.path[-6:]) for clip in test] == [(("Bark", "Dog"), "13.wav")]


def test_what_is_missing_is_named(root):
    (root / "FSD50K.eval_audio" / "13.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 sounds are missing, .*13\.wav"):
        load_dataset("fsd50k", root=root)
    (root / "FSD50K.ground_truth" / "eval.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"eval\.csv: the table is missing; unpack FSD50K\.ground_truth\.zip"):
        load_dataset("fsd50k", root=root)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"fname,labels\n13,Rain\n14\n", "line 3 .* is cut"), (b"fname,labels\n\xff\n", "damaged")]
)
def test_a_damaged_table_is_named(root, content, reason):
    (root / "FSD50K.ground_truth" / "eval.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"eval\.csv: .*{reason}.*unpack FSD50K again"):
        load_dataset("fsd50k", root=root)
