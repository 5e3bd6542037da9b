"""Train every model of the registry on the first fold of ESC-10 with one short recipe.

The results show that each model learns from its frontend, not how accurate it can become.

python benchmarks/every_model.py ESC-50/
"""

import os

from compare import HERE, compare

from audiozoo import list_models

if __name__ == "__main__":
    options = ["--folds", "1", "--recipe", os.path.relpath(HERE / "short_recipe.json")]
    compare("esc10", list_models(), name="esc10-every-model", options=options)
