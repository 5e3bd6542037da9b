"""Each command in the README and in docs/ has options that exist; the tour and the guides run as printed."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from conftest import python_blocks

from audiozoo import cli
from audiozoo.datasets.synthetic import synthetic

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [(page.name, line) for page in PAGES for line in re.findall(r"^    (audiozoo .*)$", page.read_text("utf-8"), re.M)]


def parse(words):
    """Parse the words of a command line, without running it."""
    command, context = typer.main.get_command(cli.app), None
    while hasattr(command, "resolve_command"):
        context = command.make_context(command.name, list(words), parent=context)
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    return command.make_context(name, list(words), parent=context)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_printed_command_has_options_that_exist(page, line):
    parse(shlex.split(line, comments=True)[1:])


def test_a_wrong_option_would_be_found():
    with pytest.raises(Exception, match="No such option"):
        parse(["train", "sounds/", "--model", "lstm", "--minuets", "2"])


def steps(guide) -> Iterator[tuple[str, str]]:
    """Yield the commands and the blocks of Python of a page, in the order of the page."""
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    for block, command in re.findall(r"```python\n(.*?)```|^    (audiozoo [^\n]*)$", text, re.DOTALL | re.MULTILINE):
        yield ("python", block) if block else ("command", command)


def run(guide, audiozoo, left_out=r"$^"):
    """Run a page in the current folder; all blocks of Python share their names."""
    names = {}
    for kind, text in steps(guide):
        if kind == "python":
            exec(compile(text, f"{guide}.md", "exec", dont_inherit=True), names)
        elif not re.search(left_out, text):
            status, _, err = audiozoo(*shlex.split(text)[1:])
            assert status == 0, f"{text}\n{err}"
    return names


@pytest.mark.slow
def test_the_tour_runs_as_printed(audiozoo, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    run("tour", audiozoo)
    events = Path("street.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[3] for line in events[1:]] == ["rain", "bird_chirp", "footsteps", "bell"]
    assert all(
        Path(name).stat().st_size > 1_000 for name in ("bell.png", "confusion.png", "why.png", "deciding.wav", "report.html")
    )


@pytest.mark.slow
def test_the_guide_for_students_runs(audiozoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("student", audiozoo, left_out="audiozoo demo")
    assert Path("accuracy.png").exists()
    assert len(list(Path("changed").rglob("*.wav"))) == 4


def test_the_code_for_millions_of_files_runs(audiozoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("scale", audiozoo, left_out="audiozoo")
    assert Path("answers/manifest.json").exists()


def test_the_code_for_researchers_runs(audiozoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("researcher", audiozoo, left_out="audiozoo")
    assert Path("lstm.audiozoo").exists()


@pytest.mark.slow
def test_the_guide_for_engineers_runs_with_short_trainings(audiozoo, tmp_path, monkeypatch):
    import audiozoo as package

    monkeypatch.chdir(tmp_path)
    how = {"folds": 2, "duration": 0.5}
    clips = synthetic("sounds", clips_per_class=12, **how).clips
    for seed, folder in enumerate(("test-sounds", "more-sounds", "other-sounds"), 1):
        new = synthetic(folder, clips_per_class=2, seed=seed, **how).clips
    for name in ("new.wav", "street.wav"):
        shutil.copy(new[0].path, name)
    lines = [
        f"{Path(clip.path).relative_to('sounds')},{clip.label}{';far' * (number % 3 == 0)}" for number, clip in enumerate(clips)
    ]
    Path("labels.csv").write_text("\n".join(["file,label", *lines]) + "\n", encoding="utf-8")
    monkeypatch.setattr(package, "Budget", lambda minutes: package.training.Budget(minutes=minutes / 10))

    def shortened(*words):
        if words[0] == "ensemble":
            for name in ("a", "b"):
                shutil.copy("my.audiozoo", f"{name}.audiozoo")
        return audiozoo(*words, *(["--epochs", 1, "--no-refit"] if words[0] == "train" else []))

    names = run("engineer", shortened, left_out="yamnet")
    assert names["prediction"].label in {clip.label for clip in clips}
    assert all(Path(name).exists() for name in ("confusion.png", "reliability.png", "tags.audiozoo", "both.audiozoo"))


def test_the_models_page_runs():
    [block] = python_blocks(ROOT / "docs" / "models.md")
    exec(compile(block, "models.md", "exec", dont_inherit=True), {})
