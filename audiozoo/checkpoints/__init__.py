"""Safe readers of weights that PyTorch and safetensors wrote. They need neither package and run nothing from a file."""

from audiozoo.checkpoints.reading import read_checkpoint

__all__ = ["read_checkpoint"]
