"""Proof that a network equals its published code: tensors and outputs that the reference computed, by a rule.

The folder `parity` of the shared data has, for each network, the names and shapes of the published checkpoint and what the
reference computed from a sound when a rule fills every tensor. Its README states the rule.
"""

import hashlib
import json

import keras
import numpy as np
import pytest
from conftest import SHARED
from torchfiles import save_torch

import audiozoo

FOLDER = SHARED / "parity"


def fixture(name):
    """Return the facts and the outputs of a network; skip the test where they are not there."""
    if not (FOLDER / f"{name}.json").is_file():
        pytest.skip(f"no reference outputs at {FOLDER}; set AUDIOZOO_SHARED to the folder that has parity")
    with np.load(FOLDER / f"{name}.npz") as outputs:
        return json.loads((FOLDER / f"{name}.json").read_text()), dict(outputs)


def made_tensor(name, shape):
    """Fill a tensor by the rule."""
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    if name.endswith("running_var"):
        values = 0.5 + rng.random(shape)
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) == 1:
        values = 1 + 0.1 * rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return values.astype(np.float32)


def made_tensors(facts):
    """Make all tensors of a checkpoint, in its order."""
    return {name: made_tensor(name, tuple(shape)) for name, shape in facts["tensors"]}


def made_sound(facts):
    """Make the sound that the reference heard."""
    t = np.arange(int(facts["sample_rate"] * facts["seconds"])) / facts["sample_rate"]
    tones = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 3_000 * t * (1 + 0.2 * t))
    noise = 0.05 * np.random.default_rng(2_026).standard_normal(len(t))
    return ((tones + noise) * np.minimum(1, t / 0.05)).astype(np.float32)


def save_checkpoint(folder, facts, *, nested=None, constants=()):
    """Write the checkpoint as torch.save does, without PyTorch; `constants` are names of further tensors in it.

    Args:
        folder: Folder to write to.
        facts: Facts of the fixture.
        nested: Key under which the state dict is, or `None`.
        constants: Names of tensors that the published file has besides, such as those of a frontend.
    """
    tensors = {**dict.fromkeys(constants, np.zeros(3, np.float32)), **made_tensors(facts)}
    tensors |= {
        name.replace("running_var", "num_batches_tracked"): np.array(7) for name in tensors if name.endswith("running_var")
    }
    return save_torch(folder / "made.pth", {nested: tensors} if nested else tensors)


def assert_near(got, expected, *, relative):
    """Compare relative to the largest magnitude, because activations grow large under made weights."""
    difference = np.abs(np.asarray(got, np.float64) - expected).max() / np.abs(expected).max()
    assert difference < relative, difference


def assert_parity(name, checkpoint, *, features=None, inputs=None, **options):
    """Check that a registered model with a checkpoint computes what the reference computed.

    Args:
        name: Name of the model and of its fixture.
        checkpoint: Path of the checkpoint that the rule made.
        features: Function from this package's features to the reference's; `None` means ``(frames, bands)`` of one channel.
        inputs: Input of the network, ``(bands, frames, channels)``; `None` means the features of the made sound.
        **options: Options of the builder.
    """
    facts, expected = fixture(name)
    if inputs is None:
        sound = made_sound(facts)
        frontend = audiozoo.model_info(name).frontend.adapt(duration=facts["seconds"])
        inputs = frontend(sound)
        seen = inputs[..., 0].T if features is None else features(inputs)
        assert seen.shape == expected["features"].shape
        assert np.abs(seen - expected["features"]).max() < 1e-3
    model = audiozoo.build(
        name, facts["classes"], input_shape=inputs.shape, weights_file=checkpoint, activation=None, **options
    )
    assert model.count_params() == facts["trainable_and_statistics"]
    both = keras.Model(model.inputs[0], [model.get_layer("embedding").output, model.output])
    # JAX compiles each operation by itself unless it compiles all at once.
    outputs = both.predict_on_batch(inputs[None]) if keras.backend.backend() == "jax" else both(inputs[None])
    embedding, logits = (keras.ops.convert_to_numpy(output)[0] for output in outputs)
    if "embedding" in expected:
        assert_near(embedding, expected["embedding"], relative=1e-4)
    assert_near(logits, expected["logits"], relative=1e-4)
