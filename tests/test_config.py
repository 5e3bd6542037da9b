import json
import subprocess
import sys
import types
from dataclasses import dataclass

import pytest

from audiozoo import config
from audiozoo.augment import Compose, Mix, Mixup, SpecAugment, TimeRoll, Transform
from audiozoo.config import Configured, added, digest, revive
from audiozoo.features import LogMel, Scale
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


def test_a_field_that_was_added_later_counts_only_where_it_is_used():
    def defined(**fields):
        namespace = {"__annotations__": dict.fromkeys(fields, int), **fields, "__module__": __name__, "__qualname__": "Early"}
        return dataclass(frozen=True, kw_only=True)(type("Early", (Configured,), namespace))

    before, after = defined(one=1), defined(one=1, two=added(2))
    assert after().to_config() == {**before().to_config(), "two": 2}
    assert after().key == before().key == after.from_config({"one": 1}).key
    assert after(two=3).key != after().key
    assert Scale(of=LogMel()).key == "32e41374a9596932"  # as before the first field was added


def test_a_class_by_any_spelling_of_its_name():
    assert Mix.named("mixup", alpha=0.3) == Mixup(alpha=0.3)
    assert Transform.named("spec_augment") == Transform.named("Spec-Augment") == SpecAugment()
    with pytest.raises(ValueError, match="did you mean 'specaugment'"):
        Transform.named("spec_augmentt")
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        Mix.named("mixup", alfa=0.3)


@pytest.fixture
def own_names(monkeypatch):
    """Forget the classes that a test defines."""
    monkeypatch.setattr(config, "_CLASSES", dict(config._CLASSES))
    monkeypatch.setattr(config, "_FORMER", dict(config._FORMER))


def defined(name, *, module="theirs.frontends", base=Configured, **options):
    """Define a frozen dataclass with one field as a module of another package would."""
    body = {"__annotations__": {"size": int}, "size": 1, "__module__": module, "__qualname__": name}
    return dataclass(frozen=True)(types.new_class(name, (base,), options, lambda namespace: namespace.update(body)))


def test_a_class_from_elsewhere_takes_no_built_in_name(own_names):
    saved = LogMel().to_config()
    theirs = defined("LogMel")
    assert type(Configured.from_config(saved)) is LogMel
    assert theirs().to_config() == {"class": "theirs.LogMel", "size": 1}
    assert Configured.from_config(theirs(size=3).to_config()) == theirs(size=3)


def test_a_second_class_of_a_saved_name_is_refused(own_names):
    defined("Cochleagram")
    with pytest.raises(ValueError, match=r"'theirs\.Cochleagram', .* is already taken by theirs\.frontends\.Cochleagram"):
        defined("Cochleagram", module="theirs.others")
    with pytest.raises(ValueError, match=r"'LogMel', .* is already taken by audiozoo\.features\.\w+\.LogMel"):
        defined("LogMel", module="audiozoo.stranger")


def test_a_class_that_is_defined_again_replaces_itself(own_names):
    first, second = defined("Cochleagram"), defined("Cochleagram")
    assert type(Configured.from_config({"class": "theirs.Cochleagram"})) is second is not first


def test_a_class_from_elsewhere_is_found_by_its_own_name_alone(own_names):
    theirs = defined("Cochleagram")
    assert type(Configured.from_config({"class": "Cochleagram", "size": 2})) is theirs
    assert Configured.named("cochleagram", size=2) == Configured.named("theirs.Cochleagram", size=2) == theirs(size=2)
    defined("Cochleagram", module="ours.frontends")
    with pytest.raises(ValueError, match=r"several classes, theirs\.Cochleagram, ours\.Cochleagram"):
        Configured.from_config({"class": "Cochleagram"})


def test_a_renamed_class_loads_its_old_files(own_names):
    renamed = defined("Cochleagram", formerly="Cochlea")
    assert Configured.from_config({"class": "theirs.Cochlea", "size": 2}) == renamed(size=2)
    assert Configured.named("theirs.cochlea") == renamed()
    with pytest.raises(ValueError, match="is or was the name of another class"):
        defined("Cochlea")


def test_a_bug_of_a_class_is_no_error_of_the_user(own_names):
    kind = defined("Broken")
    kind.__init__ = lambda self, size: self.missing
    with pytest.raises(AttributeError, match="missing"):
        Configured.from_config({"class": "theirs.Broken", "size": 2})
    with pytest.raises(ValueError, match="Broken: size must not be 'two'"):
        Configured.from_config({"class": "theirs.Broken", "size": "two"})
