"""The scene models by the protocol of DCASE 2018 task 1A: fold 1, the epoch chosen on 30 % of its training locations.

    python benchmarks/dcase2018.py TUT-urban-acoustic-scenes-2018-development/

Published: the baseline 59.7 % macro accuracy, SubSpectralNet 72.18 % with its epoch chosen on the test clips.
"""

from compare import compare

if __name__ == "__main__":
    compare("dcase2018", ["dcase2018_baseline", "dcase_tutorial_cnn", "subspectralnet", "house_cnn"])
