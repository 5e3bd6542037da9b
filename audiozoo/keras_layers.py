"""Keras layers of this package: attention over frames, tokens of a transformer, normalisations, and a reconstruction loss.

The module imports Keras, so builders import it inside their functions. Saved models refer to these layers, so import the module
before you load a saved model with Keras; `load_classifier` does this.
"""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="audiozoo")
class FrameAttention(keras.layers.Layer):
    """Additive attention: multiplies each frame by the softmax over time of ``tanh(x W + b)``.

    `W` has the shape ``(features, 1)`` and `b` the shape ``(frames, 1)``, one bias for each frame, so the number of frames is
    fixed.

    Args:
        return_sequences: Whether to return the weighted frames ``(batch, frames, features)`` or their sum
            ``(batch, features)``.
        **kwargs: Arguments of every Keras layer.

    Source: wubinbai/Audio-Classification-Models (2020).
    """

    def __init__(self, *, return_sequences: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.return_sequences = return_sequences

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for ``(batch, frames, features)``."""
        # The initialisers are those of the source.
        _, frames, features = input_shape
        self.kernel = self.add_weight(shape=(features, 1), initializer="random_normal", name="kernel")
        self.bias = self.add_weight(shape=(frames, 1), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Multiply each frame by its weight."""
        energy = keras.ops.tanh(keras.ops.matmul(inputs, self.kernel) + self.bias)
        weighted = inputs * keras.ops.softmax(energy, axis=1)
        return weighted if self.return_sequences else keras.ops.sum(weighted, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input, without the frames if the layer sums them."""
        return tuple(input_shape) if self.return_sequences else (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "return_sequences": self.return_sequences}


@keras.saving.register_keras_serializable(package="audiozoo")
class SelfAttention(keras.layers.Layer):
    """Additive self-attention: each output frame is a weighted mean of all input frames.

    The energy of frames `t` and `s` is ``sigmoid(v . tanh(x_t W_q + x_s W_k + b) + c)``; the softmax of the energies over `s`
    gives the weights. Memory grows with the square of the number of frames.

    Args:
        units: Number of units of the hidden layer that compares two frames.
        **kwargs: Arguments of every Keras layer.

    Source: Bahdanau, Cho, Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", arXiv:1409.0473. The
    form and the defaults are those of the package keras-self-attention.
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
        """Compute the weighted means."""
        # The singleton axes broadcast every query frame against every key frame: (batch, frames, frames, units).
        query = keras.ops.expand_dims(keras.ops.matmul(inputs, self.query_kernel), 2)
        key = keras.ops.expand_dims(keras.ops.matmul(inputs, self.key_kernel), 1)
        hidden = keras.ops.tanh(query + key + self.hidden_bias)
        energy = keras.ops.sigmoid(keras.ops.matmul(hidden, self.energy_kernel) + self.energy_bias)
        return keras.ops.matmul(keras.ops.softmax(keras.ops.squeeze(energy, -1), axis=-1), inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="audiozoo")
class ClassTokens(keras.layers.Layer):
    """Puts two learnt tokens, of the class and of the distillation, before a sequence and adds a learnt position to each token.

    The positions are learnt for each token, so the number of tokens is fixed.

    Args:
        **kwargs: Arguments of every Keras layer.

    Source: Touvron et al., "Training data-efficient image transformers & distillation through attention", arXiv:2012.12877.
    """

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Create the weights for ``(batch, tokens, features)``."""
        _, tokens, features = input_shape
        # The names are those of the published weights.
        for name, count in (("cls_token", 1), ("distillation_token", 1), ("position_embeddings", tokens + 2)):
            initial = keras.initializers.TruncatedNormal(stddev=0.02)
            setattr(self, name, self.add_weight(shape=(1, count, features), initializer=initial, name=name))

    def call(self, inputs: Any) -> Any:
        """Return ``(batch, 2 + tokens, features)``."""
        first = keras.ops.concatenate([self.cls_token, self.distillation_token], axis=1)
        first = keras.ops.broadcast_to(first, (keras.ops.shape(inputs)[0], *first.shape[1:]))
        return keras.ops.concatenate([first, inputs], axis=1) + self.position_embeddings

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the input with two tokens more."""
        batch, tokens, features = input_shape
        return (batch, tokens + 2, features)


@keras.saving.register_keras_serializable(package="audiozoo")
class ReconstructionLoss(keras.layers.Layer):
    """Adds the mean squared error of a reconstruction to the loss of the model, and passes a third tensor through.

    The layer lets a model with one output train on a reconstruction too, because `fit` then needs no second target.

    Args:
        weight: Weight of the error in the loss.
        **kwargs: Arguments of every Keras layer.
    """

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, inputs: tuple[Any, Any, Any]) -> Any:
        """Add the loss for ``(passed, original, reconstruction)`` and return `passed` unchanged."""
        passed, original, reconstruction = inputs
        # In half precision, the square of a small error underflows to zero.
        error = keras.ops.cast(original, "float32") - keras.ops.cast(reconstruction, "float32")
        self.add_loss(self.weight * keras.ops.mean(keras.ops.square(error)))
        return passed

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of `passed`."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "weight": self.weight}


@keras.saving.register_keras_serializable(package="audiozoo")
class SubSpectralNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with statistics of its own for each channel in each of several equal groups of bands.

    Args:
        groups: Number of groups; it must divide the number of bands.
        **kwargs: Arguments of ``keras.layers.BatchNormalization``.

    Raises:
        ValueError: The bands of the input do not form `groups` equal groups.

    Source: Chang et al., "Subspectral Normalization for Neural Audio Data Processing", ICASSP 2021, arXiv:2103.13620.
    """

    def __init__(self, groups: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the weights for ``(batch, bands, frames, channels)``: the channels of the lowest group come first."""
        batch, bands, frames, channels = input_shape
        if bands % self.groups:
            raise ValueError(f"the number of bands must be a multiple of groups={self.groups}, got {bands} bands")
        super().build((batch, bands // self.groups, frames, self.groups * channels))
        self.input_spec = None  # Keras would expect inputs with the channels of all groups

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalise each group."""
        _, bands, frames, channels = inputs.shape
        size = bands // self.groups
        x = keras.ops.reshape(inputs, (-1, self.groups, size, frames, channels))
        # With a group's channels beside those of the others, they all are channels of one normalisation.
        x = keras.ops.reshape(keras.ops.transpose(x, (0, 2, 3, 1, 4)), (-1, size, frames, self.groups * channels))
        x = keras.ops.reshape(super().call(x, training=training), (-1, size, frames, self.groups, channels))
        return keras.ops.reshape(keras.ops.transpose(x, (0, 3, 1, 2, 4)), (-1, bands, frames, channels))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package="audiozoo")
class ResponseNormalization(keras.layers.Layer):
    """Global response normalisation: adds each channel again, in proportion to its norm relative to that of the others.

    The output is ``x + gamma * x * n + beta``, where `n` is the channel's L2 norm over bands and frames, divided by the mean
    norm of all channels. `gamma` and `beta` are single numbers that begin at 0, so the layer begins as the identity.

    Args:
        epsilon: Summand of the mean norm, against a division by zero.
        **kwargs: Arguments of every Keras layer.

    Source: Woo et al., "ConvNeXt V2", arXiv:2301.00808, with the single scale and offset of CP-Mobile (Schmid et al., DCASE
    Workshop 2023).
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.gamma = self.add_weight(shape=(1,), initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=(1,), initializer="zeros", name="beta")

    def call(self, inputs: Any) -> Any:
        """Normalise ``(batch, bands, frames, channels)``."""
        # In half precision the sum of squares overflows. Without the tiny summand, the root of silence has no gradient.
        squares = keras.ops.square(keras.ops.cast(inputs, "float32"))
        norms = keras.ops.sqrt(keras.ops.sum(squares, axis=(1, 2), keepdims=True) + 1e-12)
        relative = norms / (keras.ops.mean(norms, axis=-1, keepdims=True) + self.epsilon)
        return inputs + self.gamma * inputs * keras.ops.cast(relative, inputs.dtype) + self.beta

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}
