"""A classifier as an HTTP service: POST a sound, get JSON. FastAPI comes with the extra ``serve``."""

from audiozoo.serving.batching import Batcher, batched_scorers
from audiozoo.serving.limits import Limits
from audiozoo.serving.service import create_app

__all__ = ["Batcher", "Limits", "batched_scorers", "create_app"]
