"""The examples and the documents' code run as they stand, only shorter."""

import re
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, python_blocks

import audiozoo
from audiozoo import registry

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("train_and_predict", marks=pytest.mark.slow),
        pytest.param("your_own_loop", marks=pytest.mark.slow),
        "your_own_model",
    ],
)
def test_examples_run(name, capsys, monkeypatch):
    audiozoo.list_models()
    monkeypatch.setattr(registry.table, "_SPECS", dict(registry.table._SPECS))
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"](epochs=1)
    assert any(label in capsys.readouterr().out for label in audiozoo.load_dataset("synthetic").labels)


@pytest.fixture
def yamnet_weights(tmp_path):
    """Find YAMNet's weights, or make some of the same shapes."""
    if (real := SHARED / "weights" / "yamnet" / "yamnet.npz").is_file():
        return real
    layers = {"classifier" if layer.name == "logits" else layer.name: layer for layer in audiozoo.build("yamnet", 521).layers}
    arrays = {
        f"{name}/{weight.name}": array
        for name, layer in layers.items()
        for weight, array in zip(layer.weights, layer.get_weights(), strict=True)
    }
    np.savez(tmp_path / "yamnet.npz", **arrays)
    return tmp_path / "yamnet.npz"


def test_the_example_of_embeddings_runs(yamnet_weights, sound_folder, capsys):
    runpy.run_path(str(ROOT / "examples" / "yamnet_embeddings.py"))["main"](sound_folder, weights_file=yamnet_weights)
    answers = [line.split(" predicted as ") for line in capsys.readouterr().out.splitlines()]
    assert {label.strip() for label, _ in answers} == {"low", "high", "noise"}
    assert {heard for _, heard in answers} <= {"low", "high", "noise"}


def test_the_examples_of_augmentation_run(capsys):
    runpy.run_path(str(ROOT / "examples" / "augment_with_numpy.py"))["main"](copies=1)
    said = capsys.readouterr().out
    assert "whistle 0: peak" in said
    assert "Compose(" in said
    runpy.run_path(str(ROOT / "examples" / "augment_with_tensorflow.py"))["main"](epochs=1)
    assert "2 batches" in capsys.readouterr().out


@pytest.mark.slow
def test_the_picture_of_the_readme_is_drawn(tmp_path):
    runpy.run_path(str(ROOT / "examples" / "overview.py"))["main"](tmp_path / "overview.png", epochs=1)
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_the_example_of_a_torch_loader_gives_the_same_with_any_number_of_workers(capsys):
    pytest.importorskip("torch")
    main = runpy.run_path(str(ROOT / "examples" / "augment_with_torch.py"))["main"]
    main(epochs=2, workers=0)
    alone = capsys.readouterr().out
    assert alone.count("mean level") == 2
    assert len(set(re.findall(r"mean level (\S+) dB", alone))) == 2
    with warnings.catch_warnings(action="ignore"):  # other packages of this process have threads, which a fork leaves behind
        main(epochs=2, workers=2)
    assert capsys.readouterr().out == alone


def test_every_example_is_run():
    # SubSpectralNet's runs on a miniature of its dataset, in test_published.py.
    names = {
        "overview",
        "train_and_predict",
        "your_own_loop",
        "your_own_model",
        "yamnet_embeddings",
        "subspectralnet_as_published",
    }
    names |= {"augment_with_numpy", "augment_with_torch", "augment_with_tensorflow"}
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == names


def test_the_model_of_the_contributing_page_works(monkeypatch):
    audiozoo.list_models()
    monkeypatch.setattr(registry.table, "_SPECS", dict(registry.table._SPECS))
    [code] = python_blocks(ROOT / "CONTRIBUTING.md")
    exec(compile(code, "CONTRIBUTING.md", "exec", dont_inherit=True), {"__name__": "contributed"})
    spec = audiozoo.model_info("mean_model")
    model = audiozoo.build("mean_model", spec.reference.num_classes)
    assert spec.frontend.shape == spec.reference.input_shape
    assert model.count_params() == spec.reference.parameters
