"""Train a classifier for your own classes on YAMNet embeddings; a few clips of each class are enough.

    python examples/yamnet_embeddings.py my-sounds/

`my-sounds` contains one folder of sounds for each class. The first run downloads Google's weights (15 MB); the embeddings
are cached. The same on the command line: `audiozoo train my-sounds/ --model yamnet --probe -o mine.audiozoo`.
"""

import sys

import audiozoo
from audiozoo.features import FeatureCache
from audiozoo.training import probe


def main(folder, weights_file=None):
    data = audiozoo.load_dataset("folder", root=folder).with_folds(5)
    _, train, test = next(data.splits())
    mine = probe("yamnet", train, weights_file=weights_file, cache=FeatureCache())
    for clip in test:
        print(f"{clip.label:12} predicted as", mine.predict(clip.path).label)


if __name__ == "__main__":
    main(sys.argv[1])
