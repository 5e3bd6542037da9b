"""``audiozoo cache``: show or delete the feature cache."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import out

if TYPE_CHECKING:
    from audiozoo.features import CacheInfo

EXAMPLE = "audiozoo cache info"

app = typer.Typer(help="Show or delete the feature cache.", no_args_is_help=True)


@app.command()
def info(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the folder of the feature cache, the number of clips in it and its size.

    The environment variable AUDIOZOO_CACHE sets the folder, and AUDIOZOO_CACHE_LIMIT the maximum size, such as 500MB.
    """
    from audiozoo.features import FeatureCache

    kept = FeatureCache().info()
    if as_json:
        # Not `out`, which would colour the JSON and wrap long paths.
        print(json.dumps(asdict(kept)))
        return
    out.print(f"{kept.folder}: {_described(kept)}, at most {_size(kept.limit_bytes)}", soft_wrap=True)


@app.command()
def clear() -> None:
    """Delete all cached features; they are computed again when needed."""
    from audiozoo.features import FeatureCache

    cache = FeatureCache()
    kept = cache.info()
    cache.clear()
    out.print(f"{kept.folder}: deleted {_described(kept)}", soft_wrap=True)


def _described(kept: CacheInfo) -> str:
    return f"{kept.packs} pack(s) with the features of {kept.clips} clips, {_size(kept.bytes)}"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
