"""Train a scikit-learn classifier for your own classes on YAMNet embeddings; a few clips of each class are enough.

    python examples/yamnet_embeddings.py my-sounds/

`my-sounds` contains one folder of sounds for each class. The first run downloads Google's weights (15 MB).
"""

import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import audiozoo


def main(folder, weights_file=None):
    yamnet = audiozoo.pretrained_classifier("yamnet", weights_file=weights_file)
    data = audiozoo.load_dataset("folder", root=folder).with_folds(5)
    _, train, test = next(data.splits())
    embeddings = {clip: yamnet.embed(clip.path) for clip in data.clips}  # (1024,), the mean over the clip

    mine = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1_000))
    mine.fit(np.stack([embeddings[clip] for clip in train]), [clip.label for clip in train])
    for clip in test:
        print(f"{clip.label:12} predicted as", mine.predict([embeddings[clip]])[0])


if __name__ == "__main__":
    main(sys.argv[1])
