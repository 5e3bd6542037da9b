import json
import subprocess
import sys

import pytest

from audiozoo.augment import Compose, Mix, Mixup, SpecAugment, TimeRoll, Transform
from audiozoo.config import Configured, digest, revive
from audiozoo.training import Recipe


def test_nested_values_survive_json():
    recipe = Recipe(epochs=3, augment_features=Compose(transforms=(TimeRoll(p=0.5), SpecAugment())), mix=Mixup(alpha=0.2))
    config = json.loads(json.dumps(recipe.to_config()))
    assert Recipe.from_config(config) == recipe
    assert revive(config) == recipe
    assert Recipe.from_config({"epochs": 3}) == Recipe(epochs=3)


def test_a_value_of_another_family_is_refused():
    with pytest.raises(ValueError, match=r"unknown recipe .class. 'Mixup'"):
        Recipe.from_config(Mixup().to_config())
    assert isinstance(Configured.from_config(Mixup().to_config()), Mixup)


def test_the_key_is_the_same_in_another_process():
    code = "from audiozoo.training import Recipe; print(Recipe(epochs=3).key)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == Recipe(epochs=3).key != Recipe(epochs=4).key
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_class_by_any_spelling_of_its_name():
    assert Mix.named("mixup", alpha=0.3) == Mixup(alpha=0.3)
    assert Transform.named("spec_augment") == Transform.named("Spec-Augment") == SpecAugment()
    with pytest.raises(ValueError, match="did you mean 'specaugment'"):
        Transform.named("spec_augmentt")
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        Mix.named("mixup", alfa=0.3)
