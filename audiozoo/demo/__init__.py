"""A page in the browser that classifies sounds and shows why. Gradio comes with the extra ``demo``."""

from audiozoo.demo.showing import Showing, demo_app

__all__ = ["Showing", "demo_app"]
