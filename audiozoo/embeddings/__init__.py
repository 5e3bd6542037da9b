"""Embeddings of many sounds: files of them, similar sounds, near copies, and a projection to two dimensions."""

from audiozoo.embeddings.files import SUFFIXES, read_embeddings, suffix_of, write_embeddings
from audiozoo.embeddings.labels import folder_labels, table_labels
from audiozoo.embeddings.neighbours import THRESHOLD, Neighbour, near_copies, nearest
from audiozoo.embeddings.projection import Projection, project
from audiozoo.embeddings.store import EmbeddingFacts, Embeddings, embed_files

__all__ = [
    "SUFFIXES",
    "THRESHOLD",
    "EmbeddingFacts",
    "Embeddings",
    "Neighbour",
    "Projection",
    "embed_files",
    "folder_labels",
    "near_copies",
    "nearest",
    "project",
    "read_embeddings",
    "suffix_of",
    "table_labels",
    "write_embeddings",
]
