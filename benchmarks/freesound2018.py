"""Compare models on the official test set of FSDKaggle2018 by MAP@3.

    python benchmarks/freesound2018.py FSDKaggle2018/

Published results on the private test clips (option `--option usage=private`): 0.694 for the baseline, 0.954 for the winner.
"""

from compare import compare

if __name__ == "__main__":
    compare("freesound2018", ["feature_mlp", "freesound2018_baseline", "wave_cnn", "mel_cnn", "house_cnn"], recipes=True)
