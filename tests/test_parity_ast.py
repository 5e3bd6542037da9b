"""AST against its published code: both namings of its checkpoints, and positions for sounds of another length."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from parity import assert_parity, fixture, made_tensor, save_checkpoint
from torchfiles import safetensors, save_torch

import audiozoo

TINY = {"width": 24, "depth": 2, "heads": 3}
BODY = "audio_spectrogram_transformer"
# Names of the parts of a block in transformers 5 and 4, and the shape of the weight for width 24.
PARTS = {
    "attention.q_proj": ("attention.attention.query", (24, 24)),
    "attention.k_proj": ("attention.attention.key", (24, 24)),
    "attention.v_proj": ("attention.attention.value", (24, 24)),
    "attention.o_proj": ("attention.output.dense", (24, 24)),
    "layernorm_before": ("layernorm_before", (24,)),
    "layernorm_after": ("layernorm_after", (24,)),
    "mlp.fc1": ("intermediate.dense", (96, 24)),
    "mlp.fc2": ("output.dense", (24, 96)),
}


@pytest.mark.slow
def test_equals_the_reference(tmp_path):
    facts, _ = fixture("ast")
    frontend = audiozoo.model_info("ast").frontend
    # The reference fills two seconds with zeros to the length of ten.
    short = replace(frontend, of=replace(frontend.of, duration=facts["seconds"]))
    checkpoint = save_checkpoint(tmp_path, facts)
    assert_parity("ast", checkpoint, features=lambda values: values[:, :200, 0].T, frontend=short)


def shapes(frames, classes=527):
    """Return the tensors of a checkpoint of width 24 for `frames` patches along time."""
    found = {f"{BODY}.embeddings.{token}_token": (1, 1, 24) for token in ("cls", "distillation")}
    found[f"{BODY}.embeddings.position_embeddings"] = (1, 2 + 12 * frames, 24)
    weights = {f"{BODY}.embeddings.patch_embeddings.projection": (24, 1, 16, 16), f"{BODY}.layernorm": (24,)}
    for block in range(2):
        weights |= {f"{BODY}.layers.{block}.{part}": shape for part, (_, shape) in PARTS.items()}
    weights |= {"classifier.layernorm": (24,), "classifier.dense": (classes, 24)}
    for name, shape in weights.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def former(name):
    """Return the name of a tensor in transformers 4."""
    for part, (old, _) in PARTS.items():
        for block in range(2):
            name = name.replace(f"{BODY}.layers.{block}.{part}.", f"{BODY}.encoder.layer.{block}.{old}.")
    return name


@pytest.fixture
def load(tmp_path):
    def load(frames, given=11, rename=str, **built):
        tensors = {rename(name): made_tensor(name, shape) for name, shape in shapes(given).items()}
        path = tmp_path / "tiny.safetensors"
        path.write_bytes(safetensors(tensors))
        return audiozoo.build("ast", 527, input_shape=(128, frames, 1), weights_file=path, **{**TINY, **built}), tensors

    return load


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_both_namings_give_the_same_network(load):
    new, tensors = load(116)
    old, renamed = load(116, rename=former)
    assert sum(name not in renamed for name in tensors) == 2 * len(PARTS) * 2
    for one, other in zip(weights_of(new), weights_of(old), strict=True):
        assert np.array_equal(one, other)
    query = keras.ops.convert_to_numpy(new.get_layer("block2_query").kernel)
    assert np.array_equal(query, tensors[f"{BODY}.layers.1.attention.q_proj.weight"].T)


def positions(model):
    return keras.ops.convert_to_numpy(model.get_layer("tokens").position_embeddings)[0]


@pytest.mark.parametrize(("frames", "patches"), [(116, 11), (66, 6), (16, 1)])
def test_a_shorter_sound_takes_the_positions_in_the_middle(load, frames, patches):
    model, tensors = load(frames)
    given = tensors[f"{BODY}.embeddings.position_embeddings"][0]
    start = 5 - patches // 2
    assert np.array_equal(positions(model)[:2], given[:2])
    grid = given[2:].reshape(12, 11, 24)
    assert np.array_equal(positions(model)[2:].reshape(12, patches, 24), grid[:, start : start + patches])


def test_a_longer_sound_interpolates_the_positions(load):
    # Twice as many patches lie a quarter of the distance before and after the published ones.
    model, tensors = load(226)
    grid = tensors[f"{BODY}.embeddings.position_embeddings"][0, 2:].reshape(12, 11, 24)
    found = positions(model)[2:].reshape(12, 22, 24)
    assert np.allclose(found[:, [0, -1]], grid[:, [0, -1]], atol=1e-6)
    assert np.allclose(found[:, 1:-1:2], 0.75 * grid[:, :-1] + 0.25 * grid[:, 1:], atol=1e-6)
    assert np.allclose(found[:, 2:-1:2], 0.25 * grid[:, :-1] + 0.75 * grid[:, 1:], atol=1e-6)


def test_other_patches_resize_both_axes(load):
    model, _ = load(116, patch_step=16)
    assert positions(model).shape == (2 + 8 * 7, 24)


def test_positions_that_fit_no_grid_are_refused(tmp_path):
    tensors = {name: made_tensor(name, shape) for name, shape in shapes(11).items()}
    tensors[f"{BODY}.embeddings.position_embeddings"] = np.zeros((1, 20, 24), np.float32)
    path = save_torch(tmp_path / "odd.bin", tensors)
    with pytest.raises(ValueError, match=r"odd\.bin.*must have 2 \+ 12 x n tokens, got the shape \(1, 20, 24\)"):
        audiozoo.build("ast", 527, input_shape=(128, 116, 1), weights_file=path, **TINY)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"width": 25}, "width must be a multiple of heads, got width=25 and heads=3"),
        ({"depth": 0}, "depth must be"),
        ({"patch_step": 0}, "patch_step must be"),
        ({"input_shape": (15, 100, 1)}, r"at least \(16, 16\)"),
        ({"input_shape": (128, None, 1)}, "needs the size of every axis"),
    ],
)
def test_impossible_settings_are_refused(options, hint):
    with pytest.raises(ValueError, match=hint):
        audiozoo.build("ast", 3, **{"input_shape": (32, 32, 1), **TINY, **options})


def test_the_weights_have_their_own_labels():
    [audioset] = audiozoo.model_info("ast").weights.values()
    [commands] = audiozoo.model_info("ast_speech_commands").weights.values()
    assert (len(audioset.labels), len(set(commands.labels))) == (527, 35)
    assert {audioset.licence, commands.licence} == {"BSD-3-Clause"}
    assert audioset.checksum is not None


def test_speech_commands_fill_the_head_of_35_words(tmp_path):
    tensors = {name: made_tensor(name, shape) for name, shape in shapes(12, classes=35).items()}
    path = save_torch(tmp_path / "commands.bin", tensors)
    words = audiozoo.build("ast_speech_commands", 35, weights_file=path, **TINY)
    assert np.array_equal(keras.ops.convert_to_numpy(words.get_layer("logits").bias), tensors["classifier.dense.bias"])
    other = audiozoo.build("ast_speech_commands", 4, weights_file=path, **TINY)
    assert other.output_shape == (None, 4)
