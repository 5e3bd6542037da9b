"""Folders of Parquet parts that grow during a run: the manifest that lists the parts, and safe reading of their columns."""

from audiozoo.parts.manifest import MANIFEST, Manifest, Part, Table, checked_request, has_manifest, read_manifest
from audiozoo.parts.parquet import check_columns, opened, pyarrow_for, stored_text, texts

__all__ = [
    "MANIFEST",
    "Manifest",
    "Part",
    "Table",
    "check_columns",
    "checked_request",
    "has_manifest",
    "opened",
    "pyarrow_for",
    "read_manifest",
    "stored_text",
    "texts",
]
