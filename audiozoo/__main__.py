"""``python -m audiozoo`` is ``audiozoo``."""

from audiozoo.cli import main

if __name__ == "__main__":
    main()
