"""The manual has every page, model, verb and public name; its links resolve, and the site loads nothing from other hosts."""

import importlib
import inspect
import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer

import audiozoo
from audiozoo import cli

ROOT = Path(__file__).resolve().parents[1]
LINKS, FAMILIES, COMMANDS, PACKAGES, PICTURES = (
    runpy.run_path(str(ROOT / "docs" / "generators" / f"{name}.py"))
    for name in ("links", "families", "commands", "packages", "pictures")
)
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
READ = [*WRITTEN, *sorted((ROOT / "benchmarks").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
GROUPS = FAMILIES["families"]()


def anchors(text):
    """Return the anchors that a code host gives the headings of a text."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path, text):
    """Yield the relative links of a text that point to no file or to no heading."""
    for link in LINKS["relative_links"](text):
        target, _, anchor = link.partition("#")
        file = path.parent / unquote(target) if target else path
        if not file.exists() or (anchor and anchor not in anchors(file.read_text("utf-8") if target else text)):
            yield link


@pytest.mark.parametrize("path", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path):
    assert not list(broken(path, path.read_text(encoding="utf-8")))


def test_a_broken_link_is_found():
    text = "# One\n[a](docs/absent.md) [b](#two) [c](#one) [d](docs/training.md#absent) [e](https://a.org)\n```\n[f](absent)\n```\n"
    assert list(broken(ROOT / "README.md", text)) == ["docs/absent.md", "#two", "docs/training.md#absent"]


def test_links_of_the_site():
    rewritten = LINKS["rewritten"]
    assert rewritten("[a](../README.md#b)", "docs/training.md") == "[a](index.md#b)"
    assert rewritten("![a](docs/overview.png)", "README.md") == "![a](overview.png)"
    assert rewritten("[a](../benchmarks/README.md)", "docs/training.md") == "[a](repository/benchmarks/index.md)"
    assert rewritten("[a](../examples/your_own_model.py)", "docs/tour.md") == "[a](repository/examples/your_own_model.py.md)"
    assert rewritten("[a](../docs/tour.md)", "benchmarks/README.md") == "[a](../../tour.md)"
    assert rewritten("[a](../benchmarks/results)", "docs/tour.md") == "a (`benchmarks/results`)"
    assert rewritten("[a](https://a.org) [b](#c)", "docs/tour.md") == "[a](https://a.org) [b](#c)"
    assert rewritten("```\n[a](../README.md)\n```", "docs/tour.md") == "```\n[a](../README.md)\n```"


def test_files_that_pages_link_to_are_copied():
    copied = LINKS["copied"]()
    assert {"README.md", "benchmarks/results/features.md", "examples/frontends/logmel.png", "CONTRIBUTING.md"} <= set(copied)
    assert "import audiozoo" in LINKS["copy_of"]("examples/your_own_model.py")


def test_the_navigation_has_every_page():
    listed = re.findall(r"^ +- (?:[\w ]+: )?(\w+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    pages = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert sorted(listed) == sorted([*pages, "index.md", "cli.md"])


def test_the_families_have_every_model():
    pages = {family: FAMILIES["page"](family, specs) for family, specs in GROUPS.items()}
    overview = FAMILIES["overview"]()
    for name in audiozoo.list_models():
        spec = audiozoo.model_info(name)
        [section] = re.findall(rf"^## {name} {{.*?(?=^## |\Z)", pages[spec.family], re.M | re.S)
        facts = [spec.description, spec.paper, *spec.aliases, *(weights.licence for weights in spec.weights.values())]
        facts += [f"`{option}`" for option in (*spec.options, *spec.frontend.to_config())]
        assert not [fact for fact in facts if fact not in section]
        assert f"{spec.reference.parameters:,} |" in pages[spec.family]
        assert f"({spec.family}.md#{name})" in overview


def test_a_page_has_its_trained_classifiers_and_scores():
    assert "`house_cnn/esc10`, licence" in FAMILIES["page"]("house_cnn", GROUPS["house_cnn"])
    page = FAMILIES["page"]("efficientat", GROUPS["efficientat"])
    assert "0.471 mAP on AudioSet" in page
    assert "| 541.1 M |" in page


@pytest.mark.parametrize("family", ["panns", "house_cnn"])
def test_a_picture_names_the_models_of_its_family(family):
    specs = [spec for members in GROUPS.values() for spec in members]
    picture = PICTURES["scatter"](specs, family).decode()
    assert re.findall(r">(\w+)</", picture).count(GROUPS[family][0].name) == 1
    assert "yamnet" not in picture
    assert picture == PICTURES["scatter"](specs, family).decode()


def leaves(command, name=""):
    for verb, nested in command.commands.items():
        yield f"{name}{verb}", nested
        if hasattr(nested, "commands"):
            yield from leaves(nested, f"{name}{verb} ")


def test_the_command_line_page_has_every_verb_and_option():
    page = COMMANDS["page"]()
    found = dict(leaves(typer.main.get_command(cli.app)))
    assert {"train", "cache clear"} <= set(found)
    for name, command in found.items():
        [section] = re.findall(rf"^###? {name} {{.*?(?=^##|\Z)", page, re.M | re.S)
        options = [option for given in command.params if not given.hidden for option in given.opts if option.startswith("-")]
        assert not [option for option in options if f"`{option}`" not in section and option != "--help"]
        assert f"audiozoo {name}" in section


@pytest.mark.parametrize("package", PACKAGES["packages"]())
def test_the_python_pages_have_every_public_name(package):
    page, objects = PACKAGES["page"](package), PACKAGES["public_objects"](package)
    for name, path in objects.items():
        assert (f"::: {path}\n" in page) != (f"[`{name}`](" in page)
    modules = {name for name in audiozoo.__all__ if inspect.ismodule(getattr(audiozoo, name))}
    public = {name for name in importlib.import_module(package).__all__ if not name.startswith("__")}
    assert set(objects) == public - (modules if package == "audiozoo" else set())


def documented(value):
    """Return the names that the section Args of a docstring has."""
    found = re.search(r"^Args:\n((?: .*\n|\n)+)", f"{inspect.getdoc(value) or ''}\n", re.M)
    lines = re.findall(r"^    (?! )([*\w, ]+):", found[1], re.M) if found else []
    return {name.strip(" *") for line in lines for name in line.split(",")}


@pytest.mark.parametrize("package", PACKAGES["packages"]())
def test_documented_parameters_exist(package):
    module = importlib.import_module(package)
    for name in PACKAGES["public_objects"](package):
        value = getattr(module, name)
        if callable(value) and documented(value):
            assert documented(value) <= set(inspect.signature(value).parameters), name


class Assets(HTMLParser):
    """Collect the addresses that a browser loads with a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.found.append(given.get("href"))
        if tag in ("script", "img", "iframe", "source", "audio", "video"):
            self.found.append(given.get("src"))
        if "mermaid" in (given.get("class") or "").split():
            self.found.append("https://mermaid")  # the theme's script fetches a library for such a diagram


def loaded(html):
    assets = Assets()
    assets.feed(html)
    return [address for address in assets.found if address and urlsplit(address).netloc]


def test_an_asset_of_another_host_is_found():
    html = '<script src="https://a.org/b.js"></script><img src="c.png"><a href="https://d.org">d</a><pre class="mermaid"></pre>'
    assert loaded(html) == ["https://a.org/b.js", "https://mermaid"]


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_other_hosts(tmp_path):
    for needed in ("mkdocs", "material", "mkdocstrings", "mkdocs_gen_files"):
        pytest.importorskip(needed)
    quiet = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **quiet}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(GROUPS) + len(PACKAGES["packages"]()) + len(list((ROOT / "docs").glob("*.md")))
    assert not [(page.name, found) for page in pages if (found := loaded(page.read_text(encoding="utf-8")))]
    styles = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.css")]
    assert not [found for style in styles for found in re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)]*", style)]
