"""What holds for the package as a whole: who may import whom, what is public, what loads when."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

import audiozoo

PACKAGE = Path(audiozoo.__file__).parent

RANKS = {
    "files": -1,  # what fetches and saves is written through it
    "checks": -1,
    "progress": -1,
    "_version": 0,
    "audio": 0,
    "config": 0,
    "download": 0,
    "metrics": 0,
    "spectrum": 0,
    "augment": 1,
    "features": 1,
    "datasets": 1,
    "registry": 2,
    "keras_layers": 2,
    "weights": 2,
    "layers": 2,
    "models": 3,
    "classifier": 4,
    "training": 5,
    "export": 5,
    "crossval": 6,
    "report": 7,
    "cli": 8,
    "__main__": 9,
}

PUBLIC = [
    "Classifier",
    "Prediction",
    "Recipe",
    "__version__",
    "audio",
    "augment",
    "build",
    "crossval",
    "datasets",
    "export",
    "features",
    "list_models",
    "load_classifier",
    "load_dataset",
    "metrics",
    "model_info",
    "pretrained_classifier",
    "recipe_for",
    "register",
    "report",
    "train",
    "training",
]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Yield the parts of the package that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "audiozoo":
            names = [f"audiozoo.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("audiozoo."))


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_a_lower_rank(path):
    here = part_of(path)
    for there in imports(path):
        assert here == there or RANKS[there] < RANKS[here], f"{path} imports {there}"


def test_every_part_has_a_rank_and_a_test():
    parts = {part_of(path) for path in MODULES}
    assert parts == set(RANKS)
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert parts - tests == {"_version", "layers", "__main__"}


def test_public_names_are_pinned():
    assert sorted(audiozoo.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(audiozoo, name) is not None


def test_import_is_light():
    code = "import sys; before = set(sys.modules); import audiozoo; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert "audiozoo" in loaded
    assert not [name for name in loaded if name.split(".")[0] in ("numpy", "scipy", "keras", "tensorflow", "librosa", "typer")]


def test_every_extra_serves_code_or_a_test():
    settings = configparser.ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg")
    tests = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    source = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, *tests])
    extras = set(settings["options.extras_require"]) - {"test", "dev"}
    assert [extra for extra in extras if not re.search(rf"\b{extra}\b", source)] == []
