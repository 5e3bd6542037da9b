"""A classifier as an HTTP service: POST a sound, get JSON. FastAPI comes with the extra ``serve``."""

from audiozoo.serving.batching import Batches
from audiozoo.serving.limits import Limits
from audiozoo.serving.service import create_app
from audiozoo.serving.workers import Task, serve_workers

__all__ = ["Batches", "Limits", "Task", "create_app", "serve_workers"]
