"""Weights of another framework in a model: transposed, complete, and refused where they belong to another network."""

import keras
import numpy as np
import pytest
from torchfiles import save_torch

from audiozoo.weights import load_checkpoint

SHAPES = {
    "net.conv.weight": (4, 2, 3, 5),
    "net.conv.bias": (4,),
    "net.depthwise.weight": (4, 1, 3, 5),
    "net.bn.weight": (4,),
    "net.bn.bias": (4,),
    "net.bn.running_mean": (4,),
    "net.bn.running_var": (4,),
    "net.head.weight": (7, 4),
    "net.head.bias": (7,),
}


def built(classes=7, *, swapped=False):
    size = (5, 3) if swapped else (3, 5)
    inputs = keras.Input((None, None, 2))
    x = keras.layers.Conv2D(4, size, name="conv")(inputs)
    x = keras.layers.DepthwiseConv2D(size, use_bias=False, name="depthwise")(x)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(keras.layers.BatchNormalization(name="bn")(x))
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(x), name="small")


def names(layer):
    return "net." + ("head" if layer == "logits" else layer)


@pytest.fixture
def tensors(rng):
    return {name: rng.uniform(0.5, 1, shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture
def load(tmp_path):
    def load(tensors, model=None, **how):
        model = model or built()
        load_checkpoint(model, save_torch(tmp_path / "other.pth", tensors), names, **how)
        return model

    return load


def by_hand(x, t):
    """Compute the network as PyTorch defines it, on ``(channels, height, width)``."""

    def convolved(x, kernels):
        windows = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[-2:], axis=(1, 2))
        return np.einsum("chwij,cij->chw" if kernels.ndim == 3 else "chwij,ocij->ohw", windows, kernels)

    x = convolved(x, t["net.conv.weight"]) + t["net.conv.bias"][:, None, None]
    x = convolved(x, t["net.depthwise.weight"][:, 0])
    mean, variance = (t[f"net.bn.running_{end}"][:, None, None] for end in ("mean", "var"))
    x = (x - mean) / np.sqrt(variance + 1e-3) * t["net.bn.weight"][:, None, None] + t["net.bn.bias"][:, None, None]
    return t["net.head.weight"] @ x.mean(axis=(1, 2)) + t["net.head.bias"]


def answer(model, x):
    return keras.ops.convert_to_numpy(model(x[None]))[0]


def test_kernels_are_transposed(tensors, load, rng):
    x = rng.normal(0, 1, (2, 9, 12)).astype(np.float32)
    assert np.allclose(answer(load(tensors), x.transpose(1, 2, 0)), by_hand(x, tensors), rtol=1e-4)
    swapped = load(tensors, built(swapped=True), time_first=True)
    assert np.allclose(answer(swapped, x.transpose(2, 1, 0)), by_hand(x, tensors), rtol=1e-4)


def test_what_the_model_does_not_need_is_ignored_by_name(tensors, load):
    more = {**tensors, "net.bn.num_batches_tracked": np.array(3), "stft.conv.weight": np.ones(3)}
    load(more, ignore=["stft.*"])
    with pytest.raises(ValueError, match=r"other\.pth: .*small has no place for stft\.conv\.weight; build the variant"):
        load(more)


def test_tensors_are_renamed_first(tensors, load):
    old = {name.replace("net.", "module."): array for name, array in tensors.items()}
    same = load(old, prepare=lambda a: {name.replace("module.", "net."): array for name, array in a.items()})
    assert np.array_equal(same.get_layer("logits").bias, tensors["net.head.bias"])


def without(tensors, *gone):
    return {name: array for name, array in tensors.items() if name not in gone}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: without(t, "net.bn.running_mean"), r"net\.bn\.running_mean missing; take a checkpoint of small itself"),
        (lambda t: without(t, "net.conv.bias", "net.head.bias"), r"net\.conv\.bias and 1 more missing"),
        (lambda t: {**t, "net.conv2.bias": np.ones(3)}, r"no place for net\.conv2\.bias"),
        (
            lambda t: {**t, "net.conv.weight": np.ones((4, 2, 5, 3))},
            r"net\.conv\.weight is \(4, 2, 5, 3\), small needs \(4, 2, 3, 5\)",
        ),
        (lambda t: {**t, "net.head.weight": np.ones((6, 4))}, r"net\.head\.weight is \(6, 4\)"),
        (lambda t: {**t, "net.head.bias": np.full(7, np.nan)}, r"net\.head\.bias holds NaN"),
    ],
)
def test_another_network_is_refused_and_the_model_keeps_its_weights(tensors, load, change, reason):
    model = built()
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"other\.pth: .*{reason}"):
        load(change(tensors), model)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_other_classes_keep_a_random_last_layer(tensors, load):
    model = built(3)
    before = model.get_layer("logits").get_weights()
    load(tensors, model, published_classes=7)
    assert np.array_equal(model.get_layer("conv").bias, tensors["net.conv.bias"])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_layer("logits").get_weights(), strict=True))
    with pytest.raises(ValueError, match=r"net\.head\.weight is \(7, 4\), small needs \(3, 4\)"):
        load(tensors, built(3), published_classes=8)
    assert np.array_equal(load(tensors, published_classes=7).get_layer("logits").bias, tensors["net.head.bias"])
