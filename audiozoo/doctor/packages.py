"""Versions of Python and of packages, and conflicts between them."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from audiozoo._version import __version__
from audiozoo.doctor.finding import Finding
from audiozoo.doctor.probing import probe

_OLDEST_PYTHON = (3, 11)
_NAME = "audiozoo"

_RIVALS = (
    ("tensorflow", "tensorflow-cpu"),
    ("tensorflow", "tensorflow-intel"),
    ("opencv-python", "opencv-python-headless"),
)
"""Packages that install the same modules, so that removing one breaks the other."""

_MODULES = {
    "scipy.signal": "scipy",
    "sklearn.linear_model": "scikit-learn",
    "librosa.core.audio": "librosa numba",
    "librosa.effects": "librosa numba",
    "matplotlib.figure": "matplotlib",
    "noisereduce": "noisereduce",
    "joblib": "joblib",
    "pooch": "pooch",
    "h5py": "h5py",
}
"""Modules that audiozoo loads when it needs them, and the packages to install again if one does not load."""

_IMPORTS = """
import importlib, json
failed = {}
for name in %r:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(failed))
"""


def check_python() -> Iterator[Finding]:
    """Check the version of Python."""
    detail = f"{_NAME} {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        least = ".".join(map(str, _OLDEST_PYTHON))
        yield Finding("python", "broken", detail, f"make an environment with Python {least} or newer")
    else:
        yield Finding("python", "ok", detail)


def check_required() -> Iterator[Finding]:
    """Check that every package that audiozoo needs is there in a version that fits."""
    needed = _requirements(_NAME)
    if needed is None:
        yield Finding(
            "packages",
            "missing",
            f"{_NAME} is not installed and runs from a folder, so the versions of its packages are not checked",
            "pip install -e FOLDER, where FOLDER contains pyproject.toml",
        )
        return
    wrong = [problem for requirement in needed if (problem := _problem(_NAME, requirement))]
    yield from wrong or [Finding("packages", "ok", f"all {len(needed)} packages that {_NAME} needs have versions that fit")]


def check_imports() -> Iterator[Finding]:
    """Load the libraries that audiozoo loads when it needs them; an installed package may still not fit the others."""
    failed = probe(_IMPORTS % list(_MODULES))
    for name, reason in failed.items():
        fix = f"pip install --upgrade --force-reinstall {_MODULES[name]}"
        yield Finding("libraries", "broken", f"{name} cannot be loaded: {reason}", fix)
    if not failed:
        yield Finding("libraries", "ok", f"{', '.join(dict.fromkeys(name.split('.')[0] for name in _MODULES))} can be loaded")


def check_conflicts() -> Iterator[Finding]:
    """Check the packages that audiozoo needs for what they need themselves, and for rivals."""
    checked, waiting, found = {_NAME}, [str(each.name) for each in _requirements(_NAME) or []], list[Finding]()
    while waiting:
        name = _plain(waiting.pop())
        if name in checked:
            continue
        checked.add(name)
        for requirement in _requirements(name) or []:
            waiting.append(requirement.name)
            if problem := _problem(name, requirement):
                found.append(problem)
    for pair in _RIVALS:
        if all(_version(name) for name in pair):
            fix = f"pip uninstall -y {' '.join(pair)}, then pip install {pair[0]}"
            found.append(Finding("conflicts", "broken", f"{' and '.join(pair)} install the same modules", fix))
    yield from found or [Finding("conflicts", "ok", f"none among {len(checked) - 1} packages")]


def check_extras() -> Iterator[Finding]:
    """Name the optional parts that are not installed."""
    for extra in sorted((metadata.metadata(_NAME).get_all("Provides-Extra") or []) if _version(_NAME) else []):
        if extra in ("test", "dev"):
            continue
        needed = [each for each in _requirements(_NAME, extra) or [] if f'extra == "{extra}"' in str(each.marker)]
        absent = [each.name for each in needed if not _version(each.name)]
        if absent:
            detail = f"not installed: {', '.join(absent)}"
            yield Finding(f"extra {extra}", "missing", detail, f"pip install '{_NAME}[{extra}]'")
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(f"{each.name} {_version(each.name)}" for each in needed))


def _problem(name: str, requirement: Any) -> Finding | None:
    """Return the finding about a requirement of a package that is not met."""
    installed, needed = _version(requirement.name), f"{requirement.name}{requirement.specifier}"
    if installed is None:
        return Finding("packages", "broken", f"{name} needs {needed}, which is not installed", f"pip install '{needed}'")
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    detail = f"{name} needs {needed}, and {requirement.name} {installed} is installed"
    return Finding("packages" if name == _NAME else "conflicts", "broken", detail, f"pip install '{needed}'")


def _requirements(name: str, extra: str = "") -> list[Any] | None:
    """Return what a package needs here, with one of its extras; `None` if it is not installed."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return None
    every = map(Requirement, texts)
    return [each for each in every if each.marker is None or each.marker.evaluate({"extra": extra})]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
