"""Export of a classifier to a single Keras model that takes waveforms, for use without audiozoo.

Frontend and scaler become layers and operations of Keras itself. If the network has no layer of this package either,
``keras.saving.load_model`` alone can load the saved model, in safe mode and on any backend.
"""

from __future__ import annotations

import warnings
from functools import singledispatch
from typing import Any

import numpy as np

from audiozoo import spectrum
from audiozoo.classifier import Classifier, Ensemble, KerasScorer
from audiozoo.features import MFCC, Frontend, LogMel, Scale, Scaler, Spectrogram, Stack, Statistics, Waveform
from audiozoo.features.bands import with_deltas
from audiozoo.layers import Activation, keras


def waveform_model(classifier: Classifier | Ensemble) -> keras.Model:
    """Combine frontend, scaler, network and temperature into one model.

    Args:
        classifier: Classifier with a `KerasScorer`, or an ensemble of such classifiers whose windows have the same rate,
            length and channels. The new model shares the weights of the networks and keeps only the first output of each.

    Returns:
        A model from whole windows at the frontend's sample rate, float32 ``(batch, samples)`` for mono or
        ``(batch, samples, channels)``, to probabilities ``(batch, classes)``. It does not cut clips into windows, pad short
        clips or pool the probabilities of several windows.

    Raises:
        ValueError: The frontend cannot be exported, the scorer is not a Keras model, a temperature other than 1 is used with a
            network whose last layer is not a softmax or sigmoid, or the windows of an ensemble's members differ.
    """
    if isinstance(classifier, Ensemble):
        return _ensemble_model(classifier)
    if not isinstance(classifier.scorer, KerasScorer):
        raise ValueError(
            f"only a classifier with a KerasScorer can be exported, this one has a {type(classifier.scorer).__name__}; "
            "a probe looks at all windows of a clip at once: fine-tune it (audiozoo.training.finetune) to get a single network"
        )
    frontend, network = frontend_model(classifier.frontend), classifier.scorer.model
    network = _for_use(network)
    scores = network(_standardised(frontend.output, classifier.scaler))
    if classifier.temperature != 1:
        scores = _tempered(scores, classifier.temperature, classifier.activation)
    return keras.Model(frontend.input, scores, name=f"{network.name}_from_waveform")


def _ensemble_model(ensemble: Ensemble) -> keras.Model:
    windows = [(one.frontend.sample_rate, one.frontend.samples, one.frontend.channels) for one in ensemble.members]
    if len(set(windows)) > 1:
        found = "; ".join(f"{rate} Hz, {samples} samples, {channels} channel(s)" for rate, samples, channels in windows)
        raise ValueError(
            f"the members of an exported ensemble must take the same windows of sound, they take {found}: export each member, "
            "or train with frontends of one rate, duration and number of channels"
        )
    models = [waveform_model(member) for member in ensemble.members]
    wave = keras.Input(models[0].input.shape[1:], name="waveform")
    # A matrix brings the scores of a member into the order of the ensemble's labels and weighs them.
    parts = [
        _linear(model(wave), weight * np.eye(len(order))[order])
        for model, order, weight in zip(models, ensemble.orders, ensemble.weights or (), strict=True)
    ]
    scores = keras.layers.Add()(parts)
    if ensemble.temperature != 1:
        scores = _tempered(scores, ensemble.temperature, ensemble.activation)
    return keras.Model(wave, scores, name="ensemble_from_waveform")


def _for_use(network: Any) -> Any:
    """Remove everything that only training needs: compilation, further outputs, a reconstruction and its loss."""
    from audiozoo.keras_layers import ReconstructionLoss

    inputs, outputs = network.inputs[0], network.outputs[0]
    for layer in network.layers:
        if isinstance(layer, ReconstructionLoss):
            # The layer passes its first input through: one model ends there, and the other continues from there.
            passed = keras.Model(inputs, layer.input[0])
            outputs = keras.Model(layer.output, outputs)(passed(inputs))
    return keras.Model(inputs, outputs, name=network.name)


def frontend_model(frontend: Frontend) -> keras.Model:
    """Build a frontend as a model.

    Args:
        frontend: `Waveform`, `Spectrogram`, `LogMel` without PCEN, `MFCC`, or `Statistics`, `Stack` or `Scale` of these;
            without cleaning steps.

    Returns:
        A model from whole windows ``(batch, samples)`` or ``(batch, samples, channels)`` to ``(batch, *frontend.shape)``.
        The output for a window depends on that window alone. Spectra are less exact on GPUs that convolve in TensorFloat-32.

    Raises:
        ValueError: The frontend, or one of its settings, cannot be exported.
    """
    if frontend.prepare:
        steps = ", ".join(type(step).__name__ for step in frontend.prepare)
        raise ValueError(f"cleaning steps cannot be exported, this frontend has prepare=({steps}): train without them")
    mono = frontend.channels == 1
    windows = keras.Input((frontend.samples,) if mono else (frontend.samples, frontend.channels), name="waveform")
    waves = keras.ops.expand_dims(windows, -1) if mono else windows
    if frontend.layout == "mid_side" and not mono:
        waves = _linear(waves, np.array([[0.5, 0.5], [0.5, -0.5]]))
    return keras.Model(windows, _features(frontend, waves), name="frontend")


@singledispatch
def _features(frontend: Frontend, waves: Any) -> Any:
    """Build a frontend on ``(batch, samples, channels)``; the result is ``(batch, *frontend.shape)``."""
    possible = sorted(kind.__name__ for kind in _features.registry if kind is not object)
    raise ValueError(f"{type(frontend).__name__} cannot be exported: train with one of {', '.join(possible)}")


@_features.register
def _(frontend: Waveform, waves: Any) -> Any:
    if frontend.scaling is None:
        return waves
    if frontend.scaling == "minmax":
        scaled = _min_max(waves)
        # The largest scaled value is 1, or 0 if the wave is constant, which must stay at 0.
        return scaled - 0.5 * _of_window("max", scaled)
    if frontend.scaling == "peak":
        return _divided(waves, _of_window("max", keras.ops.absolute(waves)))
    return _divided(waves, keras.ops.sqrt(_of_window("mean", keras.ops.square(waves))))


@_features.register
def _(frontend: Spectrogram, waves: Any) -> Any:
    parts = _fit_frames(frontend, _transformed(frontend, waves))[..., frontend.first_bin :]
    if frontend.representation != "real_imaginary":
        magnitude = _power(frontend, parts)
        # Silence has phase zero. A sum of zeros can be -0, whose phase would be pi.
        phase = keras.ops.arctan2(parts[:, :, :, 1], parts[:, :, :, 0]) * keras.ops.sign(magnitude)
        magnitude = _compressed(frontend, magnitude)
        parts = magnitude if frontend.representation == "magnitude" else keras.ops.stack([magnitude, phase], axis=3)
    # The two parts of a channel become neighbouring channels.
    return _bands_first(keras.ops.reshape(parts, (-1, frontend.shape[1], frontend.shape[2], frontend.shape[0])))


@_features.register
def _(frontend: LogMel, waves: Any) -> Any:
    if frontend.compression == "pcen":
        raise ValueError("PCEN cannot be exported: train with LogMel(compression='db'), 'log' or None")
    return _with_deltas(frontend, _compressed(frontend, _bands(frontend, waves)))


@_features.register
def _(frontend: MFCC, waves: Any) -> Any:
    levels = _decibels(_raised(_bands(frontend, waves), 2 / frontend.power), top_db=frontend.top_db)
    return _with_deltas(frontend, _linear(levels, frontend.cosines.T))


@_features.register
def _(frontend: Statistics, waves: Any) -> Any:
    reductions = {"mean": "mean", "deviation": "std", "minimum": "min", "maximum": "max", "median": "median"}
    parts = [_features(inner, waves) for inner in frontend.inner]
    columns = [getattr(keras.ops, reductions[name])(part, axis=2) for part in parts for name in frontend.reduce]
    if frontend.form == "table":
        values = keras.ops.stack(columns, axis=2)
    else:
        values = keras.ops.concatenate([keras.ops.reshape(x, (-1, x.shape[1] * x.shape[2])) for x in columns], axis=-1)
    return _divided(values, _of_window("max", keras.ops.absolute(values))) if frontend.scale == "max" else values


@_features.register
def _(frontend: Stack, waves: Any) -> Any:
    return keras.ops.concatenate([_features(inner, waves)[:, :, : frontend.shape[1]] for inner in frontend.of], axis=-1)


@_features.register
def _(frontend: Scale, waves: Any) -> Any:
    inner = _features(frontend.of, waves)
    return frontend.gain * (_min_max(inner) if frontend.by == "minmax" else inner) + frontend.offset


# From here on spectra are (batch, frames, channels, bands), because a dense layer multiplies the last axis.


def _transformed(frontend: Any, waves: Any) -> Any:
    """Compute real and imaginary parts ``(batch, frames, channels, 2, bins)`` of the frames that lie in the window."""
    stft = frontend.stft
    frames = min(frontend.natural_frames, frontend.frame_count)
    # Keras requires frames at least as long as the hop and at most as long as the FFT.
    length = max(stft.win_length, stft.hop_length)
    if frames < 1 or length > stft.n_fft:
        raise ValueError(
            "export needs at least one frame in a window and hop_length <= n_fft, got "
            f"{frames} frames, hop_length={stft.hop_length} and n_fft={stft.n_fft}"
        )
    waves = _at_frames(waves, stft, (frames - 1) * stft.hop_length + length)
    parts = _with_weights(_stft_layer(stft, length), waves, _kernels(stft, length))
    return keras.ops.reshape(parts, (-1, frames, frontend.channels, 2, 1 + stft.n_fft // 2))


def _at_frames(waves: Any, stft: spectrum.Stft, needed: int) -> Any:
    """Pad and cut waves to the `needed` samples that begin with the first sample under the first frame's window function."""
    before = stft.n_fft // 2 - stft.margin if stft.framing == "center" else 0
    if stft.edges == "reflect":
        half = stft.n_fft // 2
        waves, before = keras.ops.pad(waves, [[0, 0], [half, half], [0, 0]], mode="reflect")[:, stft.margin :], 0
    after = needed - before - waves.shape[1]
    return keras.ops.pad(waves, [[0, 0], [before, max(after, 0)], [0, 0]])[:, :needed]


def _stft_layer(stft: spectrum.Stft, length: int) -> Any:
    with warnings.catch_warnings():
        # Keras recommends a power of two for speed, but the frontend defines the length of the FFT.
        warnings.filterwarnings("ignore", message=".*power of two")
        # Not mode="magnitude", which has a floor of -70 dB. No window, because it is part of the kernels set later.
        return keras.layers.STFTSpectrogram(
            mode="stft",
            frame_length=length,
            frame_step=stft.hop_length,
            fft_length=stft.n_fft,
            window=None,
            scaling=None,
            data_format="channels_last",
            trainable=False,
            dtype="float32",
        )


def _kernels(stft: spectrum.Stft, length: int) -> list[np.ndarray]:
    """Return the windowed cosines and sines of an FFT, each ``(length, 1, 1 + n_fft // 2)``.

    They replace the kernels of the Keras layer, whose single precision is wrong by 3e-4 in the high bins: 0.15 dB at 80 dB
    below the peak.
    """
    turns = np.outer(stft.margin + np.arange(stft.win_length), np.arange(1 + stft.n_fft // 2)) % stft.n_fft
    waves = np.exp(-2j * np.pi / stft.n_fft * turns) * spectrum.window(stft.window, stft.win_length)[:, None]
    # Where the FFT is real the sines must be exactly zero, or the phase there would be pi or -pi by chance.
    sines = np.where(2 * turns % stft.n_fft == 0, 0, waves.imag)
    return [np.pad(part, ((0, length - stft.win_length), (0, 0)))[:, None] for part in (waves.real, sines)]


def _linear(x: Any, matrix: np.ndarray) -> Any:
    """Multiply the last axis by a constant matrix ``(out, in)``."""
    layer = keras.layers.Dense(len(matrix), use_bias=False, trainable=False, dtype="float32")
    return _with_weights(layer, x, [matrix.T])


def _with_weights(layer: Any, x: Any, weights: list[np.ndarray]) -> Any:
    out = layer(x)
    layer.set_weights(weights)
    return out


def _power(frontend: Any, parts: Any) -> Any:
    return _raised(keras.ops.sum(keras.ops.square(parts), axis=3), frontend.power / 2)


def _raised(x: Any, exponent: float) -> Any:
    return x if exponent == 1 else x**exponent


def _bands(frontend: Any, waves: Any) -> Any:
    return _fit_frames(frontend, _linear(_power(frontend, _transformed(frontend, waves)), frontend.filterbank.matrix))


def _fit_frames(frontend: Any, x: Any) -> Any:
    """Append frames of silence if the frontend has more frames than the window."""
    missing = frontend.frame_count - x.shape[1]
    return keras.ops.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (len(x.shape) - 2)) if missing else x


def _bands_first(x: Any) -> Any:
    return keras.ops.transpose(x, (0, 3, 1, 2))


def _with_deltas(frontend: Any, x: Any) -> Any:
    x = _bands_first(x)
    if not frontend.deltas:
        return x
    # A derivative is linear in the frames, so the derivatives of the unit vectors are the columns of its matrix.
    responses = with_deltas(np.eye(frontend.frame_count)[..., None], frontend.deltas, width=frontend.delta_width)
    parts = [
        keras.ops.swapaxes(_linear(keras.ops.swapaxes(x, 2, 3), responses[..., order].T), 2, 3)
        for order in range(1, 1 + frontend.deltas)
    ]
    return keras.ops.concatenate([x, *parts], axis=-1)


def _compressed(frontend: LogMel | Spectrogram, x: Any) -> Any:
    if frontend.compression == "db":
        return _decibels(_raised(x, 2 / frontend.power), reference=frontend.reference, top_db=frontend.top_db)
    return keras.ops.log(x + frontend.offset) if frontend.compression == "log" else x


def _decibels(power: Any, *, top_db: float | None, reference: float | str = 1.0) -> Any:
    levels, largest = (_levels(x) for x in (power, _of_window("max", power)))
    levels = levels - (largest if reference == "max" else 10 * np.log10(max(spectrum.LEAST_POWER, float(reference))))
    return levels if top_db is None else keras.ops.maximum(levels, _of_window("max", levels) - top_db)


def _levels(power: Any) -> Any:
    return keras.ops.log(keras.ops.maximum(power, spectrum.LEAST_POWER)) * float(10 / np.log(10))


def _of_window(reduction: str, x: Any) -> Any:
    return getattr(keras.ops, reduction)(x, axis=tuple(range(1, len(x.shape))), keepdims=True)


def _divided(x: Any, size: Any) -> Any:
    """Divide by a size that is not negative; zero divided by zero is zero."""
    return x / keras.ops.maximum(size, float(np.finfo(np.float32).tiny))


def _min_max(x: Any) -> Any:
    low, high = _of_window("min", x), _of_window("max", x)
    return _divided(x - low, high - low)


def _standardised(x: Any, scaler: Scaler) -> Any:
    # Two layers, as the scaler has two operations. keras.layers.Normalization would limit deviations to 1e-7.
    centred = keras.layers.Rescaling(1.0, offset=-scaler.mean, dtype="float32")(x)
    return keras.layers.Rescaling(1 / scaler.deviation, dtype="float32")(centred)


def _tempered(scores: Any, temperature: float, activation: Activation) -> Any:
    """Divide the logits by the temperature, as the classifier itself does."""
    if activation is None:
        raise ValueError(
            f"export with a temperature ({temperature}) needs a network whose last layer has the activation softmax or "
            "sigmoid: add such a layer, or set the temperature to 1"
        )
    present, absent = (keras.ops.log(keras.ops.maximum(p, 1e-12)) / temperature for p in (scores, 1 - scores))
    return keras.ops.softmax(present) if activation == "softmax" else keras.ops.sigmoid(present - absent)
