"""Every model of the registry on ESC-10's first fold by one short recipe: that it learns, not how well it could.

    python benchmarks/every_model.py ESC-50/
"""

from compare import HERE, compare

from audiozoo import list_models

if __name__ == "__main__":
    options = ["--folds", "1", "--recipe", str((HERE / "short_recipe.json").relative_to(HERE.parent))]
    compare("esc10", list_models(), name="every_model", options=options)
