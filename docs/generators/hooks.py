"""Hooks of mkdocs: the links of the files in docs/, and the navigation of generated pages."""

import families
import links
import packages

GENERATED = {
    f"{families.FOLDER}/": lambda: ["index.md", *(f"{family}.md" for family in families.families())],
    f"{packages.FOLDER}/": lambda: [f"{package}.md" for package in packages.packages()],
}


def on_config(config):
    """Replace each folder of generated pages in the navigation, such as "api/", by its pages."""
    config.nav = [_filled(entry) for entry in config.nav]
    return config


def _filled(entry):
    [(title, content)] = entry.items()
    if not (isinstance(content, str) and content in GENERATED):
        return entry
    return {title: [f"{content}{name}" for name in GENERATED[content]()]}


def on_page_markdown(markdown, page, **_):
    """Give the files of docs/ the links of the site; generated pages have them."""
    path = f"docs/{page.file.src_uri}"
    return links.rewritten(markdown, path) if (links.ROOT / path).is_file() else None
