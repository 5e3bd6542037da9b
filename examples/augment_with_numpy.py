"""Augment NumPy arrays without a model: waveforms, features and batches, with a record of the parameters drawn.

python examples/augment_with_numpy.py
"""

import numpy as np

from audiozoo.augment import AddNoise, BetweenClass, ByClass, Compose, Gain, PitchShift, Reverse, SpecAugment, TimeShift

RATE = 16_000


def main(copies=3):
    seconds = np.arange(2 * RATE) / RATE
    waves = {
        "whistle": 0.3 * np.sin(2 * np.pi * 2_000 * seconds).astype(np.float32),
        "rain": np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32),
    }
    augment = Compose(
        [
            # Each class has its own transform: reversed rain still sounds like rain, and a whistle can have any pitch.
            ByClass({"rain": Reverse(p=0.5), "whistle": PitchShift(semitones=(-3, 3))}),
            Gain(gain_db=(-12, 0)),
            TimeShift(p=0.5),
            AddNoise(snr_db=(10, 30), color="pink", p=0.5),
        ]
    )
    for clip, (label, wave) in enumerate(waves.items()):
        for epoch in range(copies):
            drawn = []
            changed = augment(wave, sample_rate=RATE, label=label, rng=(7, epoch, clip), drawn=drawn)
            peak = np.abs(changed).max()
            print(f"{label} {epoch}: peak {peak:.2f}, {', '.join(one['class'] for one in drawn)}")

    spectrum = np.random.default_rng(0).normal(-40, 10, (64, 250, 1)).astype(np.float32)
    drawn = []
    SpecAugment()(spectrum, rng=7, drawn=drawn)
    print("masks of the log-mel:", drawn[0]["bands"], "bands,", drawn[0]["frames"], "frames")

    x, y = np.stack(list(waves.values())), np.eye(2, dtype=np.float32)
    _, soft = BetweenClass()(x, y, rng=7, sample_rate=RATE)
    print("labels of the mixed batch:", soft.round(2).tolist())

    # Transforms convert to JSON and back, so a result can record the augmentation it was computed with.
    assert Compose.from_config(augment.to_config()) == augment
    print(augment)


if __name__ == "__main__":
    main()
