"""Training on several devices gives the losses and weights of one. They are virtual processors in a process of its own."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest

from audiozoo import Recipe, load_classifier
from audiozoo.datasets import load_dataset
from audiozoo.features import LogMel, Scaler, extract
from audiozoo.registry import model_info
from audiozoo.training import join_hosts, train
from audiozoo.training.batches import Batches
from audiozoo.training.devices import Devices, chosen_devices
from audiozoo.training.examples import Examples, targets_of
from audiozoo.training.run import Run
from audiozoo.training.start import Registered

BACKEND = keras.backend.backend()
SEVERAL = BACKEND in ("jax", "tensorflow")
needs_several = pytest.mark.skipif(not SEVERAL, reason="needs JAX or TensorFlow")

# Without dropout, because TensorFlow's devices all drop the same units.
BEGIN = """
import json, os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    [processor] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from audiozoo import Recipe
from audiozoo.features import LogMel
from audiozoo.datasets import load_dataset
from audiozoo.training import Checkpoints, finetune, train

clips = load_dataset("folder", root=sys.argv[1]).clips
recipe = Recipe(epochs=3, batch_size=6, learning_rate=1e-3, validation=0.33, refit=True)
how = {"frontend": LogMel(sample_rate=16_000, duration=1.0, n_mels=40, n_fft=512, hop_length=320), "dropout": 0.0}
"""

TRAININGS = """
known = []
for devices in (1, "all", 2):
    one = train("house_cnn", clips, recipe, devices=devices, **how)
    known.append({"history": one.history, "scores": [one.predict(clip.path).score for clip in clips]})
one.save(sys.argv[2])
print(json.dumps(known))
"""

FURTHER = """
whole = train("house_cnn", clips, recipe, **how)
asked = []
class Stop:
    def __call__(self):
        asked.append(1)
        return len(asked) == 4  # in the second epoch

train("house_cnn", clips, recipe, devices=2, checkpoints=Checkpoints(sys.argv[2], minutes=0), stop=Stop(), **how)
continued = train("house_cnn", clips, recipe, checkpoints=Checkpoints(sys.argv[2], minutes=0), **how)
tuned = [finetune(whole, clips, Recipe(epochs=2, batch_size=6, standardize=None, validation=0.33), devices=n) for n in (1, 2)]
print(json.dumps([one.history for one in (whole, continued, *tuned)] + [len(asked)]))
"""


def run(code, *arguments):
    environment = {**os.environ, "KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]  # gloo, with which hosts without a GPU speak, prints lines before


@needs_several
def test_two_devices_train_as_one(sound_folder, tmp_path):
    one, everything, two = json.loads(run(TRAININGS, sound_folder, tmp_path / "my.audiozoo"))
    assert one["history"].keys() == two["history"].keys() >= {"loss", "val_loss", "refit_loss"}
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-4), name
    assert everything == two
    assert two["scores"] == pytest.approx(one["scores"], abs=1e-3)
    # The saved classifier is one of a single device.
    again = load_classifier(tmp_path / "my.audiozoo")
    found = [again.predict(clip.path).score for clip in load_dataset("folder", root=sound_folder).clips]
    assert found == pytest.approx(two["scores"], abs=1e-4)


@needs_several
@pytest.mark.slow
def test_a_training_continues_on_fewer_devices_and_finetuning_takes_several(sound_folder, tmp_path):
    whole, continued, one, two, asked = json.loads(run(FURTHER, sound_folder, tmp_path / "checkpoints"))
    assert asked == 4
    for expected, found in ((whole, continued), (one, two)):
        assert expected.keys() == found.keys()
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, rel=1e-3), name


HOSTS = """
from audiozoo.training import join_hosts

if sys.argv[2] != "alone":
    join_hosts(sys.argv[3], number=int(sys.argv[2]), count=2)
    how["checkpoints"] = Checkpoints(sys.argv[4], minutes=0)
one = train("house_cnn", clips, Recipe(epochs=3, batch_size=4, learning_rate=1e-3, validation=0.33), **how)
print(json.dumps({"history": one.history, "scores": [one.predict(clip.path).score for clip in clips]}))
"""


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX trains on several hosts")
def test_two_hosts_train_as_one(sound_folder, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda host: json.loads(run(HOSTS, sound_folder, host, address, tmp_path / "kept")), (0, 1)))
    alone = json.loads(run(HOSTS, sound_folder, "alone"))
    assert both[0]["history"].keys() == alone["history"].keys()
    for found in both:
        for name, values in alone["history"].items():
            assert found["history"][name] == pytest.approx(values, rel=1e-3), name
        assert found["scores"] == pytest.approx(alone["scores"], abs=1e-3)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["training.npz"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--host", "1/2"], "need both the address of the first one"),
        (["--coordinator", "10.0.0.1:1234"], "need both the address of the first one"),
        (["--coordinator", "10.0.0.1:1234", "--host", "1"], "such as 0/2, got '1'"),
        (["--coordinator", "10.0.0.1:1234", "--host", "0/2", "--minutes", "3"], "cannot keep to --minutes together"),
        (["--coordinator", "10.0.0.1:1234", "--host", "0/1"], "count must be a number at least 2"),
        (["--coordinator", "10.0.0.1:1234", "--host", "2/2"], "number must be"),
        (["--coordinator", "10.0.0.1", "--host", "0/2"], "HOST:PORT, such as"),
    ],
)
def test_wrong_hosts(audiozoo, sound_folder, tmp_path, words, reason):
    status, _, err = audiozoo("train", sound_folder, "-o", tmp_path / "my.audiozoo", *words)
    assert (status, reason in err) == (2, True), err


@pytest.mark.skipif(BACKEND == "jax", reason="about other backends")
def test_hosts_need_jax():
    with pytest.raises(ValueError, match="set KERAS_BACKEND=jax"):
        join_hosts("10.0.0.1:1234", number=0, count=2)


def test_a_last_batch_is_filled_and_its_loss_stays_the_same(sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    clips = [replace(clip, weight=1 + place / 7) for place, clip in enumerate(clips)]
    labels = ("high", "low", "noise")
    targets = targets_of(clips, labels)
    frontend = LogMel(sample_rate=8_000, duration=0.5, n_mels=8, n_fft=256, hop_length=128)
    examples = Examples(clips, extract(clips, frontend), targets, np.arange(len(clips)))
    recipe = Recipe(batch_size=13)
    losses = []
    for whole in (False, True):
        with Batches(examples, recipe, Scaler.identity(), frontend, 3, 1, whole=whole).stream() as stream:
            first, last = next(stream), next(stream)
        assert (len(first[0]), len(last[0])) == (13, 13 if whole else 5)
        x, y, weights = last
        losses.append((weights * x.mean(axis=(1, 2, 3)) * y.argmax(axis=1)).mean())
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize("wanted", ["two", 0, -1, "1.5"])
def test_devices_are_all_or_a_number(wanted):
    with pytest.raises(ValueError, match="devices must be 'all' or a number of devices, got "):
        chosen_devices(wanted)


def test_one_device_needs_nothing_special():
    assert chosen_devices(None) is chosen_devices(1) is chosen_devices("1") is None


@needs_several
def test_more_devices_than_there_are(sound_folder):
    with pytest.raises(ValueError, match=r"there are 1 devices \(.*\), got devices=2"):
        train("feature_mlp", load_dataset("folder", root=sound_folder).clips, devices=2)
    assert chosen_devices("all") is None  # there is one


@pytest.mark.skipif(SEVERAL, reason="about other backends")
def test_other_backends_name_those_that_can():
    with pytest.raises(ValueError, match="set KERAS_BACKEND=jax or tensorflow"):
        chosen_devices("all")


def test_a_batch_must_be_divisible(sound_folder):
    start = Registered(model_info("feature_mlp"), {}, 3, (8,), seed=0)
    with pytest.raises(ValueError, match="3 devices need a batch_size that is a multiple of 3, such as 33; it is 32"):
        Run(start, Recipe(batch_size=32), LogMel(), ("a", "b", "c"), devices=Devices(("x", "y", "z")))
