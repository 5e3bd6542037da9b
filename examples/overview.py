"""Draw a sound, its log-mel spectrogram and the five highest scores of a classifier (the picture in the README).

python examples/overview.py [PICTURE]
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import audiozoo
from audiozoo.features import LogMel
from audiozoo.files import replacing


def trained(data, epochs):
    """Train on all folds but the last, which contains the sound in the picture."""
    clips = [clip for clip in data.clips if clip.fold != data.folds[-1]]
    recipe = audiozoo.recipe_for("dcase2018_baseline", epochs=epochs, refit=False)
    return audiozoo.train("dcase2018_baseline", clips, recipe)


def draw(clip, classifier, path):
    wave, rate = audiozoo.audio.read(clip.path)
    answer = classifier.predict(clip.path)
    frontend = LogMel(sample_rate=rate, duration=len(wave) / rate, n_mels=64)
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    samples, bands, scores = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
    samples.plot(np.arange(len(wave)) / rate, wave, linewidth=0.4)
    samples.set(title="a sound", xlabel="seconds", xlim=(0, len(wave) / rate))
    bands.imshow(frontend(wave)[..., 0], origin="lower", aspect="auto", cmap="magma", extent=(0, len(wave) / rate, 0, 64))
    bands.set(title="its log-mel spectrogram", xlabel="seconds", ylabel="mel band")
    labels, values = zip(*reversed(answer.top(5)), strict=True)
    scores.barh(labels, values)
    scores.set(title="answer of dcase2018_baseline", xlabel="score", xlim=(0, 1))
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main(path, epochs=30):
    data = audiozoo.load_dataset("synthetic")
    data = data if data.folds else data.with_folds(5)
    clip = next(clip for clip in data.clips if clip.fold == data.folds[-1])
    draw(clip, trained(data, epochs), path)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/overview.png")
