"""Augment in a tf.data pipeline, in parallel and repeatably.

python examples/augment_with_tensorflow.py
"""

import numpy as np
import tensorflow as tf

import audiozoo
from audiozoo.augment import AddNoise, Compose, Gain, TimeMask, TimeShift

RATE, SEED = 16_000, 0


def main(epochs=2):
    data = audiozoo.load_dataset("synthetic")
    clips = [clip for clip in data.clips if clip.fold == 1]
    waves = np.stack([audiozoo.audio.fit(audiozoo.audio.load(clip.path, sample_rate=RATE), 2 * RATE) for clip in clips])
    labels = np.array([data.labels.index(clip.label) for clip in clips])
    augment = Compose([Gain(), TimeShift(), AddNoise(p=0.5), TimeMask(p=0.5)])

    def changed(number, wave):
        epoch, clip = divmod(int(number), len(waves))
        return augment(wave, sample_rate=RATE, rng=(SEED, epoch, clip))

    # tf.numpy_function loses the shape, which batching needs.
    def mapped(number, example):
        wave, label = example
        wave = tf.ensure_shape(tf.numpy_function(changed, [number, wave], tf.float32), wave.shape)
        return wave, label

    sounds = tf.data.Dataset.from_tensor_slices((waves, labels)).repeat(epochs).enumerate()
    batches = sounds.map(mapped, num_parallel_calls=tf.data.AUTOTUNE).batch(16).prefetch(tf.data.AUTOTUNE)
    levels = [float(tf.reduce_mean(tf.square(x))) for x, _ in batches]
    print(f"{len(levels)} batches of {data.labels[0]}, ..., mean level {10 * np.log10(np.mean(levels)):.2f} dB")


if __name__ == "__main__":
    main()
