"""Links between the pages of the manual, and from them to other files of the repository.

The Markdown files link to each other as files of the repository, so that a code host shows them too. In the site, the README is
the home page, the files of docs/ are at the top, and each other file that a page links to becomes a page or a picture under
``repository/``. What cannot be a page, such as a folder, is shown as its path.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME, COPIES = "index.md", "repository"
_SOURCES = {".py": "python", ".json": "json"}
_PICTURES = (".png", ".svg")
_LINK = re.compile(r"(?P<before>!?\[(?P<text>[^\]]*)\]\()(?P<target>[^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def relative_links(text: str) -> Iterator[str]:
    """Yield the targets of the relative links of a Markdown text, without those in its code."""
    for link in _LINK.finditer(_CODE.sub(_blank_fence, text)):
        if not _is_outside(link["target"]):
            yield link["target"]


def _blank_fence(code: re.Match[str]) -> str:
    return "" if code[0].startswith("```") else code[0]


def _is_outside(target: str) -> bool:
    return re.match(r"[a-z]+:", target) is not None


def page_of(path: str) -> str | None:
    """Return the place in the site of a file of the repository; `None` if it has none."""
    suffix = posixpath.splitext(path)[1]
    if path == "README.md":
        return HOME
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if not (ROOT / path).is_file():
        return None
    if suffix == ".md" or suffix in _PICTURES:
        return f"{COPIES}/{path.replace('README.md', 'index.md')}"
    return f"{COPIES}/{path}.md" if suffix in _SOURCES else None


def rewritten(text: str, path: str) -> str:
    """Return the Markdown of a file of the repository with the links of the site.

    Args:
        text: Markdown text.
        path: Path of the file in the repository.

    Returns:
        The text; a link to a place that is not in the site is its text, or the path as code.
    """
    here = posixpath.dirname(page_of(path) or HOME) or "."

    def replaced(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if not target or _is_outside(link["target"]):
            return link[0]
        found = resolved(target, path)
        page = page_of(found)
        if page is None:
            return f"{link['text'].strip('`')} (`{found}`)"
        return f"{link['before']}{posixpath.relpath(page, here)}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _LINK.sub(replaced, part) for part in parts)


def resolved(target: str, path: str) -> str:
    """Return the path in the repository that a relative link of a file points to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target.partition("#")[0]))


def copied() -> list[str]:
    """Return the paths of the files outside docs/ that the pages link to, directly or through other such files."""
    waiting = ["README.md", *(str(path.relative_to(ROOT).as_posix()) for path in sorted(ROOT.glob("docs/*.md")))]
    found = list(waiting)
    while waiting:
        path = waiting.pop()
        for link in relative_links(_text(path)):
            target = resolved(link, path)
            if target not in found and not target.startswith("docs/") and page_of(target) is not None:
                found.append(target)
                waiting += [target] if target.endswith(".md") else []
    return [path for path in found if not path.startswith("docs/")]


def copy_of(path: str) -> str:
    """Return the page of a text file outside docs/: its Markdown, or its source with a heading."""
    suffix = posixpath.splitext(path)[1]
    if suffix == ".md":
        return rewritten(_text(path), path)
    return f"# {path}\n\n```{_SOURCES[suffix]}\n{_text(path)}```\n"


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
