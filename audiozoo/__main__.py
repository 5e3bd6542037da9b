"""Entry point of ``python -m audiozoo``, which runs the same commands as ``audiozoo``."""

from audiozoo.cli import script

if __name__ == "__main__":
    script()
