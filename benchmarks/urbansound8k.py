"""Compare models on the ten official folds of UrbanSound8K.

python benchmarks/urbansound8k.py UrbanSound8K/
"""

from compare import compare

if __name__ == "__main__":
    compare("urbansound8k", ["feature_mlp", "dcase2018_baseline", "sb_cnn", "subspectralnet", "house_cnn"], recipes=True)
