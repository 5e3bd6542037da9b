"""The progress callback, with which long-running functions report what they have done.

A long-running function has an argument ``progress: Progress | None = None`` and calls it after each step.

>>> def show(stage, done, total, figures):
...     print(f"{stage}: {done} of {total}")
>>> show("features", 3, 18, {})
features: 3 of 18
"""

from collections.abc import Callable, Mapping
from typing import Any

Progress = Callable[[str, int, int, Mapping[str, float]], Any]
"""A callback that receives the stage (such as "features" or "training"), the steps done, the steps in all, and the latest
figures by name (such as the loss), which may be empty. With a `Budget`, training also calls it at the stages "measuring" and
"planned": the latter has the number of epochs chosen, that of the recipe, and the figures "minutes", "step_seconds", "seconds"
(expected duration) and "refit" (1 or 0). Its return value is ignored; an exception from it stops the work."""
