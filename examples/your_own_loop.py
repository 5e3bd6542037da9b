"""Train a model of the zoo with your own Keras code, then make a classifier from it.

python examples/your_own_loop.py
"""

import numpy as np

import audiozoo
from audiozoo.features import LogMel, extract


def main(epochs=20):
    data = audiozoo.load_dataset("synthetic")
    frontend = LogMel(sample_rate=16_000, duration=2.0, n_fft=512, hop_length=320, n_mels=40)
    x = extract(data.clips, frontend).values
    y = np.array([data.labels.index(clip.label) for clip in data.clips])
    scaler = audiozoo.features.Scaler.fit(x)

    model = audiozoo.build("house_cnn", len(data.labels), input_shape=frontend.shape, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(scaler(x), y, epochs=epochs, batch_size=16)

    classifier = audiozoo.Classifier.from_keras(model, frontend, data.labels, scaler=scaler)
    print(classifier.predict(data.clips[0].path).top(3), "is a", data.clips[0].label)


if __name__ == "__main__":
    main()
