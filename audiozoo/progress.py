"""The progress protocol: how everything that takes long reports what it has done.

A function that takes long has an argument ``progress: Progress | None = None`` and calls it after each step.

>>> def show(stage, done, total, figures):
...     print(f"{stage}: {done} of {total}")
>>> show("features", 3, 18, {})
features: 3 of 18
"""

from collections.abc import Callable, Mapping
from typing import Any

Progress = Callable[[str, int, int, Mapping[str, float]], Any]
"""A callback that receives the stage (such as "features" or "training"), the steps done, the steps in all, and the latest
figures by name (such as the loss), which may be empty. What it returns is ignored; what it raises stops the work."""
