"""Compare models on the five official folds of ESC-50.

python benchmarks/esc50.py ESC-50/
"""

from compare import compare

if __name__ == "__main__":
    compare("esc50", ["feature_mlp", "dcase2018_baseline", "subspectralnet", "house_cnn"], recipes=True)
