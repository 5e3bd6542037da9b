"""The models on FSDKaggle2018's official test set, by MAP@3.

    python benchmarks/freesound2018.py FSDKaggle2018/

Published on the private test clips (add `--option usage=private`): the baseline 0.694, the winner 0.954.
"""

from compare import compare

if __name__ == "__main__":
    compare("freesound2018", ["feature_mlp", "freesound2018_baseline", "wave_cnn", "mel_cnn", "house_cnn"])
