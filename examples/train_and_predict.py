"""Train a classifier, save it to one file, load it and predict.

    python examples/train_and_predict.py

The script uses synthetic sounds. For your own, replace the dataset by `load_dataset("folder", root="my-sounds")`.
"""

import tempfile
from pathlib import Path

import audiozoo


def main(epochs=10):
    data = audiozoo.load_dataset("synthetic", clips_per_class=12)
    held_out = data.clips[::12]
    learnt = [clip for clip in data.clips if clip not in held_out]

    recipe = audiozoo.recipe_for("dcase2018_baseline", epochs=epochs)
    classifier = audiozoo.train("dcase2018_baseline", learnt, recipe)

    with tempfile.TemporaryDirectory() as folder:
        classifier.save(Path(folder) / "sounds.audiozoo")
        again = audiozoo.load_classifier(Path(folder) / "sounds.audiozoo")
    for clip in held_out:
        answer = again.predict(clip.path)
        print(f"{clip.label:12} predicted as", ", ".join(f"{label} {score:.0%}" for label, score in answer.top(3)))


if __name__ == "__main__":
    main()
