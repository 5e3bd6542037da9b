"""How good the models are on UrbanSound8K's ten official folds.

python benchmarks/urbansound8k.py UrbanSound8K/
"""

from compare import compare

if __name__ == "__main__":
    compare("urbansound8k", ["feature_mlp", "dcase2018_baseline", "sb_cnn", "subspectralnet", "house_cnn"])
