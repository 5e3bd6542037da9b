"""Safe readers of weights that PyTorch and safetensors wrote. They need neither package and run nothing from a file."""

from audiozoo.checkpoints.reading import is_checkpoint, read_checkpoint

__all__ = ["is_checkpoint", "read_checkpoint"]
