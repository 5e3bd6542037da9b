"""Compare models on the five official folds of ESC-10.

python benchmarks/esc10.py ESC-50/
python benchmarks/esc10.py ESC-50/ --models lstm,cldnn --seeds 0,1,2 --jobs 2
"""

from compare import compare

if __name__ == "__main__":
    compare("esc10", ["feature_mlp", "dcase2018_baseline", "subspectralnet", "house_cnn"], recipes=True)
