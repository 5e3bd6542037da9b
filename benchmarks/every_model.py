"""Every model of the registry on ESC-10's first fold by one short recipe: that it learns, not how well it could.

python benchmarks/every_model.py ESC-50/
"""

import os

from compare import HERE, compare

from audiozoo import list_models

if __name__ == "__main__":
    options = ["--folds", "1", "--recipe", os.path.relpath(HERE / "short_recipe.json")]
    compare("esc10", list_models(), name="esc10-every-model", options=options)
