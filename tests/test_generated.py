"""What `python benchmarks/generate.py` writes is up to date with the models and the frontends."""

import runpy
from pathlib import Path

import pytest
from architectures import known

import audiozoo
from audiozoo import features
from audiozoo.features import Frontend

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "examples" / "frontends"
GENERATE = runpy.run_path(str(ROOT / "benchmarks" / "generate.py"))
DRAW = runpy.run_path(str(PICTURES / "draw.py"))


def table():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    return GENERATE["page"](text) == text


def models():
    # tests/test_models.py compares each network with the file.
    return list(known()) == audiozoo.list_models()


def frontends():
    shown = {type(frontend) for frontend in DRAW["FRONTENDS"].values()}
    ours = {getattr(features, name) for name in Frontend.names().values() if hasattr(features, name)}
    pictures = {path.stem for path in PICTURES.glob("*.png")}
    page = (PICTURES / "README.md").read_text(encoding="utf-8")
    return (shown, pictures, page) == (ours, {*DRAW["FRONTENDS"], "cleaning"}, DRAW["page"]())


def overview():
    return (ROOT / "docs" / "overview.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("current", [table, models, frontends, overview])
def test_is_up_to_date(current):
    part = current.__name__
    assert part in GENERATE["PARTS"]
    assert current(), f"run `python benchmarks/generate.py {part}` and look at the difference"


def test_every_part_is_checked():
    [mark] = test_is_up_to_date.pytestmark
    assert {current.__name__ for current in mark.args[1]} == set(GENERATE["PARTS"])


def test_the_table_is_replaced_and_nothing_else(tmp_path, monkeypatch):
    page = tmp_path / "docs" / "models.md"
    page.parent.mkdir()
    whole = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    page.write_text(whole.replace("| 564,226 |", "| 1 |").replace("| `yamnet` |", "| `old` |"), encoding="utf-8")
    monkeypatch.setitem(GENERATE["main"].__globals__, "ROOT", tmp_path)
    GENERATE["main"](["table"])
    assert page.read_text(encoding="utf-8") == whole
    with pytest.raises(ValueError, match="must have one table"):
        GENERATE["page"]("no table")
    with pytest.raises(ValueError, match="unknown part 'tables'; did you mean 'table'"):
        GENERATE["main"](["tables"])


@pytest.mark.slow
def test_a_front_end_of_a_new_class_gets_a_picture(monkeypatch, tmp_path):
    chosen = {name: frontend for name, frontend in DRAW["CHOSEN"].items() if name not in ("cqt", "scale")}
    monkeypatch.setitem(DRAW["all_frontends"].__globals__, "CHOSEN", chosen)
    found = DRAW["all_frontends"]()
    assert list(found)[-2:] == ["cqt", "scale"]
    assert found["cqt"] == features.CQT()
    assert isinstance(found["scale"].of, features.LogMel)
    DRAW["main"](tmp_path, names=["logmel"])
    assert (tmp_path / "logmel.png").read_bytes().startswith(b"\x89PNG")
    assert "![logmel](logmel.png)" in (tmp_path / "README.md").read_text(encoding="utf-8")
