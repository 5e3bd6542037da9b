"""Write all generated pages of the manual; mkdocs runs this file once per build."""

import sys
from pathlib import Path

import mkdocs_gen_files

sys.path.insert(0, str(Path(__file__).parent))
import commands
import families
import links
import packages
import pictures


def write(path, content):
    """Add a file to the site."""
    with mkdocs_gen_files.open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def write_families():
    """Add the pages and the pictures of the families."""
    groups = families.families()
    specs = [spec for members in groups.values() for spec in members]
    write(f"{families.FOLDER}/index.md", families.overview())
    write(f"{families.FOLDER}/all.svg", pictures.scatter(specs))
    for family, members in groups.items():
        write(f"{families.FOLDER}/{family}.md", families.page(family, members))
        write(f"{families.FOLDER}/{family}.svg", pictures.scatter(specs, family))


def write_copies():
    """Add the files outside docs/ that pages link to."""
    for path in links.copied():
        picture = path.endswith((".png", ".svg"))
        write(links.page_of(path), (links.ROOT / path).read_bytes() if picture else links.copy_of(path))


write_families()
write_copies()
write("cli.md", commands.page())
for package in packages.packages():
    write(f"{packages.FOLDER}/{package}.md", packages.page(package))
