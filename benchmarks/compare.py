"""A comparison of models as `audiozoo benchmark` makes it, its rows kept beside this file.

Every script of a dataset here takes the dataset's folder, then whatever else `audiozoo benchmark` takes; an option given there
outdoes the script's own.
"""

import os
import sys
from pathlib import Path

from audiozoo import cli

HERE = Path(__file__).parent


def compare(dataset, models, *, name=None, options=()):
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: python {sys.argv[0]} FOLDER [OPTION ...], the folder into which {dataset} was unpacked")
    root, *given = sys.argv[1:]
    # Relative, so that the command which each row keeps says nothing of this machine.
    output = os.path.relpath(HERE / "results" / (name or dataset))
    words = ["--dataset", dataset, "--root", root, "--models", ",".join(models), "--output", output, *options, *given]
    sys.argv = ["audiozoo", "benchmark", *words]
    cli.main()
