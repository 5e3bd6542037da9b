"""Pages of the public packages, which mkdocstrings fills from the docstrings."""

from __future__ import annotations

import importlib
import inspect

import audiozoo

FOLDER = "api"


def packages() -> list[str]:
    """Return the names of the public packages, with "audiozoo" first."""
    names = [name for name in audiozoo.__all__ if inspect.ismodule(getattr(audiozoo, name))]
    return ["audiozoo", *(f"audiozoo.{name}" for name in sorted(names))]


def public_objects(package: str) -> dict[str, str]:
    """Map each public name of a package, without its subpackages, to the path of its definition."""
    module = importlib.import_module(package)
    objects = {name: getattr(module, name) for name in sorted(module.__all__) if not name.startswith("__")}
    return {name: _defined(package, name, value) for name, value in objects.items() if not inspect.ismodule(value)}


def _defined(package: str, name: str, value: object) -> str:
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{package}.{name}"


def page(package: str) -> str:
    """Return the page of a package as Markdown. An object that another page describes is a link to it there."""
    text = inspect.cleandoc(importlib.import_module(package).__doc__ or "").split("\n\n")[0].split(">>>")[0].strip()
    elsewhere = _homes() if package == packages()[0] else {}
    objects = public_objects(package)
    links = [f"- [`{name}`]({elsewhere[path]}.md#{path})" for name, path in objects.items() if path in elsewhere]
    lines = [f"# {package}", "", text, *(["", "Names of its packages, described there:", "", *links] if links else [])]
    for name, path in objects.items():
        if path not in elsewhere:
            lines += ["", f"::: {path}", "    options:", "      heading_level: 2", f'      heading: "{name}"']
    return "\n".join(lines) + "\n"


def _homes() -> dict[str, str]:
    """Map the path of each object to the package that describes it."""
    return {path: package for package in packages()[1:] for path in public_objects(package).values()}
