"""Our own Keras layers, which saved models refer to: attention over frames, and the loss of a reconstruction.

This module loads Keras, so builders import it inside their functions; whoever loads a saved model imports it first.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="audiozoo")
class FrameAttention(keras.layers.Layer):
    """Additive attention: each frame is weighed by the softmax over time of ``tanh(x W + b)``.

    `W` is ``(features, 1)`` and `b` ``(frames, 1)``, a bias for each place in time, so that the number of frames is fixed.

    Args:
        return_sequences: Return the weighed frames ``(batch, frames, features)``; otherwise their sum ``(batch, features)``.
        **kwargs: Of every Keras layer.

    Source: wubinbai/Audio-Classification-Models (2020).
    """

    def __init__(self, *, return_sequences: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.return_sequences = return_sequences

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for ``(batch, frames, features)``."""
        _, frames, features = input_shape
        self.kernel = self.add_weight(shape=(features, 1), initializer="random_normal", name="kernel")
        self.bias = self.add_weight(shape=(frames, 1), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Weigh the frames."""
        energy = keras.ops.tanh(keras.ops.matmul(inputs, self.kernel) + self.bias)
        weighed = inputs * keras.ops.softmax(energy, axis=1)
        return weighed if self.return_sequences else keras.ops.sum(weighed, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape, without the frames where they are summed."""
        return tuple(input_shape) if self.return_sequences else (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "return_sequences": self.return_sequences}


@keras.saving.register_keras_serializable(package="audiozoo")
class SelfAttention(keras.layers.Layer):
    """Additive self-attention: each frame becomes a mean of all, weighed by how well the pair goes together.

    The energy of a pair is ``sigmoid(v . tanh(x_t W_q + x_s W_k + b) + c)``, its weight the softmax of that over `s`. Memory
    grows with the square of the number of frames.

    Args:
        units: Width of the hidden layer that compares two frames.
        **kwargs: Of every Keras layer.

    Source: Bahdanau, Cho, Bengio, arXiv:1409.0473, in the form and with the defaults of the package keras-self-attention.
    """

    def __init__(self, units: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for ``(batch, frames, features)``."""
        features = input_shape[-1]
        self.query_kernel = self.add_weight(shape=(features, self.units), initializer="glorot_normal", name="query_kernel")
        self.key_kernel = self.add_weight(shape=(features, self.units), initializer="glorot_normal", name="key_kernel")
        self.hidden_bias = self.add_weight(shape=(self.units,), initializer="zeros", name="hidden_bias")
        self.energy_kernel = self.add_weight(shape=(self.units, 1), initializer="glorot_normal", name="energy_kernel")
        self.energy_bias = self.add_weight(shape=(1,), initializer="zeros", name="energy_bias")

    def call(self, inputs: Any) -> Any:
        """Mix the frames."""
        query = keras.ops.expand_dims(keras.ops.matmul(inputs, self.query_kernel), 2)
        key = keras.ops.expand_dims(keras.ops.matmul(inputs, self.key_kernel), 1)
        hidden = keras.ops.tanh(query + key + self.hidden_bias)
        energy = keras.ops.sigmoid(keras.ops.matmul(hidden, self.energy_kernel) + self.energy_bias)
        return keras.ops.matmul(keras.ops.softmax(keras.ops.squeeze(energy, -1), axis=-1), inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="audiozoo")
class ReconstructionLoss(keras.layers.Layer):
    """Adds the mean squared error of a reconstruction to the model's loss, and passes a third tensor through.

    Args:
        weight: Of the error beside the model's other losses.
        **kwargs: Of every Keras layer.
    """

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, inputs: tuple[Any, Any, Any]) -> Any:
        """Take ``(passed, original, reconstruction)`` and return `passed` as it is."""
        passed, original, reconstruction = inputs
        # In half precision the square of a small error is zero.
        error = keras.ops.cast(original, "float32") - keras.ops.cast(reconstruction, "float32")
        self.add_loss(self.weight * keras.ops.mean(keras.ops.square(error)))
        return passed

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of what is passed through."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "weight": self.weight}
