"""Register your own network, so that every function (and, from an installed package, every command) accepts its name.

python examples/your_own_model.py
"""

import audiozoo
from audiozoo.features import LogMel
from audiozoo.layers import classify, keras
from audiozoo.registry import Reference, register


@register(
    frontend=LogMel(sample_rate=16_000, duration=2.0, n_fft=512, hop_length=320, n_mels=40),
    reference=Reference(input_shape=(40, 101, 1), num_classes=10, parameters=2_922),
    paper="an example",
    year=2026,
)
def two_convolutions(input_shape, num_classes, *, filters=16, activation="softmax"):
    """Two convolutions and global average pooling."""
    inputs = keras.Input(input_shape, name="features")
    x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="two_convolutions")


def main(epochs=20):
    data = audiozoo.load_dataset("synthetic")
    recipe = audiozoo.recipe_for("two_convolutions", epochs=epochs)
    classifier = audiozoo.train("two_convolutions", data.clips, recipe, filters=24)
    print(classifier.predict(data.clips[0].path).top(3), "is a", data.clips[0].label)


if __name__ == "__main__":
    main()
