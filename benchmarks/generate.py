"""Write what is generated from the models and the frontends, after either has changed.

    python benchmarks/generate.py [PART ...]

The parts are `table` (the table in docs/models.md), `models` (tests/architectures.json), `frontends` (the pictures and the
page of examples/frontends/) and `overview` (docs/overview.png, which trains a small model first). Without a part, all of them
are written. Look at the difference before you commit it; tests/test_generated.py fails while a part is out of date.
"""

import json
import re
import runpy
import sys
from pathlib import Path

import audiozoo
from audiozoo.checks import refuse_unknown
from audiozoo.cli.list_ import models_table
from audiozoo.files import replacing

ROOT = Path(__file__).resolve().parents[1]
TABLE = re.compile(r"^\| name \| input \| parameters \|.*\n(?:\|.*\n)+", re.MULTILINE)


def script(path):
    return runpy.run_path(str(ROOT / path))


def write(path, text):
    with replacing(ROOT / path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def page(text):
    """Return the text of docs/models.md with today's table of models."""
    found = TABLE.findall(text)
    if len(found) != 1:
        raise ValueError(
            f"docs/models.md must have one table that starts with '| name | input | parameters |', got {len(found)}"
        )
    return TABLE.sub(lambda _: models_table(audiozoo.list_models()) + "\n", text)


def write_table():
    write("docs/models.md", page((ROOT / "docs" / "models.md").read_text(encoding="utf-8")))


def write_models():
    described = script("tests/architectures.py")["described"]
    networks = {name: described(name) for name in audiozoo.list_models()}
    write("tests/architectures.json", json.dumps(networks, indent=1) + "\n")


def write_frontends():
    script("examples/frontends/draw.py")["main"]()


def write_overview():
    script("examples/overview.py")["main"](ROOT / "docs" / "overview.png")


PARTS = {"table": write_table, "models": write_models, "frontends": write_frontends, "overview": write_overview}


def main(parts):
    refuse_unknown("part", parts, PARTS)
    for part in parts or PARTS:
        print(part, flush=True)
        PARTS[part]()


if __name__ == "__main__":
    main(sys.argv[1:])
