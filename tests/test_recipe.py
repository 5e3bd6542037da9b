import dataclasses
import subprocess
import sys

import pytest

import audiozoo
from audiozoo import Recipe
from audiozoo.augment import Compose, Gain, Mixup, SpecAugment


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"seed": -1}, "seed"),
        ({"patience": 0}, "patience"),
        ({"label_smoothing": 2}, "label_smoothing"),
        ({"mix": "Mixup"}, "mix must be None or a mix"),
        ({"augment_wave": Compose([Gain(), SpecAugment()])}, "augment_wave changes waveforms, but SpecAugment changes"),
        ({"weight_decay": 0.1, "optimizer": "adam"}, "adamw"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"validation": 1.0}, "validation"),
        ({"refit": True, "validation": 0}, "refit"),
        ({"optimizer": "lion"}, "optimizer must be one of"),
        ({"standardize": "row"}, "standardize"),
    ],
)
def test_a_recipe_refuses(values, reason):
    with pytest.raises(ValueError, match=reason):
        Recipe(**values)


def test_is_one_class_under_three_names_below_the_models():
    assert audiozoo.Recipe is audiozoo.training.Recipe is Recipe
    assert Recipe.__module__ == "audiozoo.recipe"
    code = "import sys, audiozoo.recipe; print([name for name in sys.modules if name.startswith('audiozoo.registry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", audiozoo.list_models())
def test_every_model_is_registered_with_one(name):
    assert isinstance(audiozoo.model_info(name).recipe, Recipe)
    assert audiozoo.recipe_for(name) == audiozoo.model_info(name).recipe


def test_models_and_changes():
    assert audiozoo.recipe_for("house_cnn").optimizer == "adamw"
    assert audiozoo.recipe_for("house_cnn", epochs=3) == dataclasses.replace(audiozoo.recipe_for("house_cnn"), epochs=3)
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        audiozoo.recipe_for("house_cnn", epoch=3)


def test_knows_whether_it_augments():
    assert not Recipe().augments
    assert Recipe(mix=Mixup()).augments
