"""Migration of rows of schema 1, which are flat JSON objects without a schema number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from audiozoo.config import digest, named_classes
from audiozoo.crossval.identity import differing
from audiozoo.files import fingerprint
from audiozoo.registry import current_options, model_info
from audiozoo.training import trained_options

if TYPE_CHECKING:
    from audiozoo.crossval.foldjob import FoldJob
    from audiozoo.datasets import Clip

_KEPT = (
    *("metric", "labels", "parameters", "training_clips", "test_clips", "best_epoch", "validation"),
    *("train_seconds", "feature_seconds", "ms_per_clip"),
)
_MEASURES = {name: name for name in ("accuracy", "macro_accuracy", "log_loss", "confusion")} | {"map_at_3": "map@3"}
_KNOWN = {
    *("key", "dataset", "fold", "model", "options", "frontend", "recipe", "seed", "versions", "command"),
    *_KEPT,
    *_MEASURES.values(),
}


def migrated(old: Mapping[str, Any], job: FoldJob | None = None) -> dict[str, Any]:
    """Convert a row of schema 1 to the JSON data of a `Row`.

    Args:
        old: JSON data of the old row. The oldest rows have the names of classes under "kind".
        job: Job that the row may belong to, see `read_row`.

    Returns:
        JSON data for `Row.from_config`. Unknown keys are kept in the notes.

    Raises:
        ValueError: A value is missing or of the wrong type, or the model is unknown.
    """
    if missing := sorted((_KNOWN - {"seed", "command"}) - old.keys()):
        raise ValueError(f"it lacks {', '.join(missing)}")
    if not all(isinstance(old[name], dict) for name in ("options", "versions")):
        raise ValueError(f"options and versions must be objects, got {old['options']!r} and {old['versions']!r}")
    defaults = trained_options(model_info(old["model"]))
    request = {
        "class": "Request",
        "dataset": old["dataset"],
        "content": job.request.content if job and old["key"] in _first_keys(job, old) else "",
        "fold": old["fold"],
        "model": old["model"],
        "options": differing(current_options(old["model"], old["options"]), defaults),
        "defaults": defaults,  # the current defaults, because old rows record only the options that were given
        "frontend": named_classes(old["frontend"]),
        "recipe": named_classes(old["recipe"]),
    }
    return {
        "class": "Row",
        "request": request,
        **{name: old[name] for name in _KEPT},
        "measures": {"class": "Measures", **{name: old[source] for name, source in _MEASURES.items()}},
        "provenance": {"class": "Provenance", "versions": old["versions"], "command": old.get("command", "")},
        "notes": {name: value for name, value in old.items() if name not in _KNOWN and value is not None},
    }


def _first_keys(job: FoldJob, old: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that schema 1 may have given to a row of the job.

    A key was a hash of all values: either the values in the row, or, for files that were renamed when a class got a new
    field, the values after loading by a later version.
    """
    spec = model_info(old["model"])
    # Schema 1 is older than the current names of renamed options.
    first_names = {current: former for former, current in spec.renamed_options.items()}
    options = {first_names.get(name, name): value for name, value in {**spec.options, **job.options}.items()}
    for frontend, recipe in ((old["frontend"], old["recipe"]), (job.frontend.to_config(), job.recipe.to_config())):
        described = {
            "version": old["versions"].get("audiozoo"),
            "backend": old["versions"].get("backend"),
            **{name: old[name] for name in ("dataset", "metric", "labels", "fold", "model")},
            # The option `auxiliary`, which `train` switches on, was not part of the key, because it is no option of the job.
            "options": options,
            "frontend": frontend,
            "recipe": recipe,
            "train": [_described(clip) for clip in job.train],
            "test": [_described(clip) for clip in job.test],
        }
        yield digest(described)


def _described(clip: Clip) -> list[Any]:
    return [fingerprint(clip.path), clip.labels, clip.group, clip.start, clip.end, clip.weight]
