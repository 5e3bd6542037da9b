"""Augment in a PyTorch DataLoader: the samples change in each epoch and do not depend on the number of workers.

python examples/augment_with_torch.py
"""

import numpy as np
import torch

import audiozoo
from audiozoo.augment import AddNoise, Compose, Gain, TimeMask, TimeShift

RATE = 16_000


class Sounds(torch.utils.data.Dataset):
    """Waveforms and class numbers; call `set_epoch` before each epoch."""

    def __init__(self, waves, labels, augment, seed=0):
        self.waves, self.labels, self.augment, self.seed, self.epoch = waves, labels, augment, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.waves)

    def __getitem__(self, clip):
        # The random numbers depend on seed, epoch and clip only. With a global generator, every worker would draw the same.
        wave = self.augment(self.waves[clip], sample_rate=RATE, rng=(self.seed, self.epoch, clip))
        return torch.from_numpy(wave), self.labels[clip]


def main(epochs=2, workers=2):
    data = audiozoo.load_dataset("synthetic")
    clips = [clip for clip in data.clips if clip.fold == 1]
    waves = [audiozoo.audio.fit(audiozoo.audio.load(clip.path, sample_rate=RATE), 2 * RATE) for clip in clips]
    augment = Compose([Gain(), TimeShift(), AddNoise(p=0.5), TimeMask(p=0.5)])
    sounds = Sounds(waves, [data.labels.index(clip.label) for clip in clips], augment)
    loader = torch.utils.data.DataLoader(sounds, batch_size=16, num_workers=workers)
    for epoch in range(epochs):
        sounds.set_epoch(epoch)
        levels = [float(x.square().mean()) for x, _ in loader]
        print(
            f"epoch {epoch}: {len(levels)} batches of {data.labels[0]}, ..., mean level {10 * np.log10(np.mean(levels)):.2f} dB"
        )


if __name__ == "__main__":
    main()
