"""Export of classifiers to Keras models, ONNX, LiteRT, SavedModel and TorchScript, and prediction with exported files."""

from audiozoo.export.card import PRECISIONS, ExportCard
from audiozoo.export.export import LEAST_AGREEMENT, Exported, export_classifier
from audiozoo.export.formats import FORMATS
from audiozoo.export.frontend import frontend_model
from audiozoo.export.graph import features_model, waveform_model
from audiozoo.export.header import c_header
from audiozoo.export.proof import MOST_DIFFERENCE, Proof
from audiozoo.export.runtime import is_exported, load_exported

__all__ = [
    "FORMATS",
    "LEAST_AGREEMENT",
    "MOST_DIFFERENCE",
    "PRECISIONS",
    "ExportCard",
    "Exported",
    "Proof",
    "c_header",
    "export_classifier",
    "features_model",
    "frontend_model",
    "is_exported",
    "load_exported",
    "waveform_model",
]
