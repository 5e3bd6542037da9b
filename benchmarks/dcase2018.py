"""Compare models on acoustic scenes by the protocol of DCASE 2018 task 1A.

    python benchmarks/dcase2018.py TUT-urban-acoustic-scenes-2018-development/

The protocol tests on fold 1 and chooses the epoch on 30 % of the training locations. Published results (macro accuracy): 59.7
% for the baseline; 72.18 % for SubSpectralNet, which chooses the epoch on the test clips.
"""

from compare import compare

if __name__ == "__main__":
    compare("dcase2018", ["dcase2018_baseline", "dcase_tutorial_cnn", "subspectralnet", "house_cnn"], recipes=True)
