"""Compare frontends: `feature_mlp` on statistics of log-mel bands instead of the mean spectrum, on ESC-10.

python benchmarks/esc10_statistics.py ESC-50/
"""

import os

from compare import HERE, compare

if __name__ == "__main__":
    frontend = os.path.relpath(HERE / "frontends" / "logmel_statistics.json")
    compare("esc10", ["feature_mlp"], name="esc10-statistics", options=["--frontend", frontend])
