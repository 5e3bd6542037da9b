"""Published weights in use: loading, prediction, embedding, probes and fine-tuning by name, with made weights of CNN6."""

import json
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import tone
from parity import made_tensor
from test_download_weights import Hub
from test_transfer import network
from torchfiles import safetensors, save_legacy, save_torch

import audiozoo
from audiozoo import load_classifier
from audiozoo.checkpoints import read_checkpoint
from audiozoo.datasets import load_dataset
from audiozoo.files import checksum
from audiozoo.training import finetune

FILTERS = (1, 64, 128, 256, 512)


def tensors(classes=527):
    """Make the tensors of CNN6, named and shaped as in the published file."""
    shapes = {"fc1.weight": (512, 512), "fc1.bias": (512,)}
    shapes |= {"fc_audioset.weight": (classes, 512), "fc_audioset.bias": (classes,)}
    for number, channels in enumerate(FILTERS):
        norm = f"conv_block{number}.bn1" if number else "bn0"
        shapes |= {f"{norm}.{end}": (channels if number else 64,) for end in ("weight", "bias", "running_mean", "running_var")}
        if number:
            shapes[f"conv_block{number}.conv1.weight"] = (channels, FILTERS[number - 1], 5, 5)
    made = {name: made_tensor(name, shape) for name, shape in shapes.items()}
    # With this head, the scores are neither all 0 nor all 1.
    return made | {"fc_audioset.weight": made["fc_audioset.weight"] / 300}


@pytest.fixture(scope="module")
def made():
    return tensors()


@pytest.fixture(scope="module")
def checkpoint(made, tmp_path_factory):
    return save_legacy(tmp_path_factory.mktemp("cnn6") / "Cnn6_mAP=0.343.pth", {"iteration": 3, "model": made})


@pytest.fixture
def put(checkpoint, tmp_path, monkeypatch):
    """Put the made checkpoint into the cache as if it were the published one."""
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / checkpoint.name).write_bytes(checkpoint.read_bytes())
    known = audiozoo.model_info("cnn6").weights
    monkeypatch.setitem(known, "audioset", replace(known["audioset"], md5=None, sha256=checksum(checkpoint)))


def scores(model, batch):
    return keras.ops.convert_to_numpy(model(batch))


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(7).normal(-40, 15, (2, 64, 48, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(checkpoint, batch):
    model = audiozoo.build("cnn6", 527, input_shape=(64, None, 1), weights_file=checkpoint)
    found = scores(model, batch)
    assert np.ptp(found) > 0.1
    return found


def test_all_formats_and_the_name_give_the_same_network(put, made, tmp_path, batch, expected):
    save_torch(tmp_path / "a.pt", {"state_dict": made})
    (tmp_path / "a.safetensors").write_bytes(safetensors(made))
    shape = (64, 48, 1)
    for source in ({"weights": "audioset"}, *({"weights_file": tmp_path / name} for name in ("a.pt", "a.safetensors"))):
        assert np.allclose(scores(audiozoo.build("cnn6", 527, input_shape=shape, **source), batch), expected, atol=1e-6)


def test_inputs_of_any_length(checkpoint, batch, expected):
    model = audiozoo.build("cnn6", 527, input_shape=(64, None, 1), weights_file=checkpoint)
    for frames in (16, 31):
        assert np.isfinite(scores(model, np.zeros((1, 64, frames, 1), np.float32))).all()
    for name, least in (("cnn6", 16), ("cnn14", 32)):
        for shape in ((64, least - 1, 1), (least - 1, 64, 1)):
            with pytest.raises(ValueError, match=rf"^{name}.* needs an input of at least \({least}, {least}\)"):
                audiozoo.build(name, 3, input_shape=shape)
    with pytest.raises(ValueError, match=r"sb_cnn needs the size of every axis, got input_shape=\(64, None, 1\)"):
        audiozoo.build("sb_cnn", 3, input_shape=(64, None, 1))


def test_other_classes_need_training(checkpoint):
    mine, whole = (audiozoo.build("cnn6", classes, weights_file=checkpoint) for classes in (4, 527))
    assert np.array_equal(mine.get_layer("embedding").kernel, whole.get_layer("embedding").kernel)


@pytest.mark.parametrize(
    ("name", "classes", "change", "reason"),
    [
        ("cnn10", 527, {}, r"conv_block1\.conv2\.weight and 19 more missing; take a checkpoint of cnn10 itself"),
        (
            "cnn6",
            527,
            {"fc_audioset.weight": np.ones((10, 512))},
            r"fc_audioset\.weight is \(10, 512\), cnn6 needs \(527,",
        ),
        ("cnn6", 4, {"fc_audioset.bias": np.ones(10), "fc_audioset.weight": np.ones((10, 512))}, r"cnn6 needs \(4,"),
        ("cnn6", 527, {"conv_block5.bn1.bias": np.ones(3)}, r"cnn6 has no place for conv_block5\.bn1\.bias"),
        ("cnn6", 527, {"bn0.running_var": np.full(64, np.inf)}, r"bn0\.running_var holds NaN or infinity"),
    ],
)
def test_other_checkpoints_are_refused(made, tmp_path, name, classes, change, reason):
    path = save_torch(tmp_path / "other.pth", {"model": {**made, **change}})
    with pytest.raises(ValueError, match=rf"other\.pth: not a file of weights for this model: .*{reason}"):
        audiozoo.build(name, classes, weights_file=path)


def test_the_command_line_predicts_and_embeds_by_name(put, audiozoo, write_sound, tmp_path):
    path = write_sound(tone(440, 1.5, 32_000), rate=32_000)
    status, out, err = audiozoo("predict", "cnn6", path, "--json")
    assert status == 0, err
    [answer] = json.loads(out)
    assert len(answer["scores"]) == 527
    assert {"Speech", "Field recording"} <= set(answer["scores"])
    status, _, err = audiozoo("embed", "cnn6", path, "-o", tmp_path / "e.npz")
    assert status == 0, err
    with np.load(tmp_path / "e.npz") as file:
        assert file["embeddings"].shape == (1, 512)
        assert np.ptp(file["embeddings"]) > 0


def test_the_command_line_tells_licence_and_origin(audiozoo):
    for name in ("cnn6", "cnn10", "cnn14", "cnn14_16k"):
        out = audiozoo("info", name)[1]
        assert "audioset: 527 classes, licence CC BY 4.0, https://zenodo.org/records/3987831/files/Cnn" in out
        assert "published at https://zenodo.org/records/3987831, " in out
        assert ("sha256" in out) == name.startswith("cnn14")
    assert json.loads(audiozoo("info", "cnn6", "--json")[1])["weights"][0]["md5"] == "e25e26b84585b14c7754c91e48efc9be"


@pytest.mark.parametrize("way", ["--probe", pytest.param("--finetune", marks=pytest.mark.slow)])
def test_the_command_line_trains_on_published_weights(put, audiozoo, sound_folder, tmp_path, way):
    path = tmp_path / "mine.audiozoo"
    rest = ["--epochs", 1, "--unfreeze", "conv_block4.*"] if way == "--finetune" else []
    status, _, err = audiozoo("train", sound_folder, "-o", path, "--model", "cnn6", way, "--no-cache", *rest)
    assert status == 0, err
    mine = load_classifier(path)
    assert mine.labels == ("high", "low", "noise")
    assert (mine.about.model, mine.about.weights, mine.about.licence) == ("cnn6", "audioset", "CC BY 4.0")
    assert mine.about.notes["weights"]["page"] == "https://zenodo.org/records/3987831"
    # The clips have half a second, and padding to ten would be mostly silence.
    assert mine.frontend.duration == 1.0
    clips = load_dataset("folder", root=sound_folder).clips
    right = [mine.predict(clip.path).label == clip.label for clip in clips]
    # Made statistics of normalisation fit no sound, so the first step of a fine-tuning changes all embeddings.
    assert np.mean(right) > 0.9 or way == "--finetune"


@pytest.mark.slow
def test_fine_tuning_changes_the_chosen_layers_alone(checkpoint, sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips[::3]
    recipe = audiozoo.Recipe(epochs=1, batch_size=8, learning_rate=1e-3, standardize=None, validation=0)
    frontend = audiozoo.model_info("cnn6").frontend.adapt(duration=0.25)
    found = finetune("cnn6", clips, recipe, weights_file=checkpoint, unfreeze="embedding", frontend=frontend)
    assert found.about.notes["weights"] == {"url": checkpoint.name, "sha256": checksum(checkpoint)}
    original = audiozoo.build("cnn6", 527, weights_file=checkpoint)
    for layer in [layer for layer in original.layers if layer.weights and layer.name != "logits"]:
        pairs = zip(layer.get_weights(), found.scorer.model.get_layer(layer.name).get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs) == (layer.name != "embedding"), layer.name


def test_windows_of_another_length(checkpoint, batch):
    found = audiozoo.pretrained_classifier("cnn6", weights_file=checkpoint, duration=0.5)
    assert found.frontend.shape == (64, 51, 1)
    assert len(found.predict_windows(tone(440, 1.0, 32_000), sample_rate=32_000)) == 3
    assert found.labels[:2] == ("Speech", "Male speech, man speaking")
    assert (len(found.labels), found.activation) == (527, "sigmoid")


def test_weights_and_classifiers_on_the_hub(checkpoint, tmp_path, monkeypatch):
    network().save(tmp_path / "mine.audiozoo")
    hub = Hub({"cnn6.pth": checkpoint.read_bytes(), "mine.audiozoo": (tmp_path / "mine.audiozoo").read_bytes()})
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    found = audiozoo.pretrained_classifier("cnn6", weights_file="hf://org/name@v1/cnn6.pth", duration=1.0)
    address = {"url": "hf://org/name@v1/cnn6.pth", "revision": "v1", "sha256": checksum(checkpoint)}
    assert found.about.notes["weights"] == address
    assert load_classifier("hf://org/name/mine.audiozoo").labels == network().labels


def test_a_checkpoint_is_read_with_its_names(checkpoint, made):
    assert read_checkpoint(checkpoint).keys() == made.keys()
