"""The one reader of all formats: it tells them apart by their first bytes."""

from __future__ import annotations

import os

import numpy as np

from audiozoo.bounded import refusing
from audiozoo.checkpoints.pytorch import LEGACY_START, read_legacy_format, read_zip_format
from audiozoo.checkpoints.safetensors import read_safetensors


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the tensors of a file that PyTorch or safetensors wrote, without either package and without running anything.

    A state dict may be nested under "model", "state_dict" or "model_state_dict". Everything else in the file is skipped.

    Args:
        path: Path of the file: safetensors, or what `torch.save` wrote, in the ZIP format or the one before PyTorch 1.6.

    Returns:
        Arrays by the names of the tensors, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has another format, is damaged, declares more than it holds, names something other than tensors,
            or a tensor holds NaN or infinity; the message names the file and the tensor.
    """
    with open(path, "rb") as file, refusing(path, "not a checkpoint that can be read"):
        start = file.read(len(LEGACY_START))
        if start.startswith(b"PK"):
            arrays = read_zip_format(file)
        elif start == LEGACY_START:
            arrays = read_legacy_format(file)
        elif start[8:9] == b"{":
            arrays = read_safetensors(file)
        else:
            raise ValueError(
                "it is neither a safetensors file nor one that torch.save wrote since PyTorch 0.2. A file of another format is "
                "converted by loading it where it was made and saving it with torch.save(model.state_dict(), path)"
            )
        _check_finite(arrays)
    return arrays


def _check_finite(arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; the training that wrote it failed, or the file is damaged")
