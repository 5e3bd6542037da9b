"""Run `audiozoo benchmark` on the models of a script, and keep the rows in `results/`.

Each script of a dataset takes the folder of the dataset and then any options of `audiozoo benchmark`, which override the
options of the script. With `recipes`, models get the settings of `recipes.py`.
"""

import os
import sys
from pathlib import Path

from audiozoo import cli

HERE = Path(__file__).parent


def compare(dataset, models, *, name=None, options=(), recipes=False):
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: python {sys.argv[0]} FOLDER [OPTION ...], the folder into which you unpacked {dataset}")
    root, *given = sys.argv[1:]
    # Each row records the command, so the path is relative: it is the same on every machine.
    output = os.path.relpath(HERE / "results" / (name or dataset))
    tuned = ["--recipes", os.path.relpath(HERE / "recipes.py")] if recipes else []
    words = ["--dataset", dataset, "--root", root, "--models", ",".join(models), "--output", output, *tuned, *options, *given]
    sys.argv = ["audiozoo", "benchmark", *words]
    cli.main()
