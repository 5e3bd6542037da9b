"""The networks of the zoo, small and written as text, with an independent count of their parameters.

`python benchmarks/generate.py models` writes `architectures.json` with this module. The counts in the file come from formulas
(`expected_parameters`), so that the tests compare the weights that Keras made with a second opinion.
"""

import functools
import json
import math
import re
from pathlib import Path

import keras
import numpy as np

import audiozoo

FILE = Path(__file__).with_name("architectures.json")
REGENERATE = "run `python benchmarks/generate.py models` and look at the difference"

# Options without which a network cannot be made small, or cannot be tested.
OPTIONS = {
    **{name: {"width": 24, "depth": 2, "heads": 3} for name in ("ast", "ast_speech_commands")},
    # The published initial deviation is so small that one step changes the loss by less than a float can tell.
    "freesound2018_baseline": {"initial_deviation": 0.1},
    **{name: {"filters": (8, 8, 8, 16, 16, 32)} for name in ("cnn14", "cnn14_16k")},
    "mn10": {"width": 0.4},
    **{name: {"filters": (8, 8, 16, 16)} for name in ("cnn6", "cnn10")},
    "subspectral_cnn": {"sub_band_size": 16, "sub_band_step": 16},
}

# Networks whose training takes seconds although they are small: attention is slow without compilation.
SLOW = {"a_crnn", "acdnet", "ast_small", "subspectral_cnn", "yamnet"}


@functools.cache
def known():
    """Return what the file says about each network."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def small(name, *, input_shape=None, **options):
    """Build a small model, with deep supervision if it has any."""
    supervised = {"auxiliary": True} if "auxiliary" in audiozoo.model_info(name).options else {}
    options = {**OPTIONS.get(name, {}), **supervised, **options}
    return audiozoo.build(name, 3, input_shape=input_shape or small_shape(name), seed=0, **options)


@functools.cache
def shared(name):
    """Build a model once for all tests that only look at it."""
    return small(name)


def small_shape(name):
    assert name in known(), f"{name} is not in {FILE.name}: {REGENERATE}"
    return tuple(known()[name]["input"])


def is_heavy(name):
    """Say whether the small model still has so many layers or weights that a test of it takes seconds, or repeats another."""
    if any(one["layers"] == _lines(name) for other, one in known().items() if other < name):
        return True
    return name in SLOW or _layer_count(name) > 100 or sum(_number(line, "parameters") for line in _lines(name)) > 8e6


def _lines(name):
    return known().get(name, {}).get("layers", [])


def _layer_count(name):
    return sum(_number(line, "layers") or 1 for line in _lines(name))


def is_large_relative(name):
    """Say whether a model has many layers or weights and its family a smaller model, which the quick tests build instead."""
    family = audiozoo.list_models(family=audiozoo.model_info(name).family)
    smallest = min(family, key=lambda other: audiozoo.model_info(other).reference.parameters)
    return name != smallest and (is_heavy(name) or _layer_count(name) > 60)


def _number(line, key):
    found = re.search(rf" {key}=(\d+)", line)
    return int(found[1]) if found else 0


def find_small_shape(name):
    """Choose a small input: the published one if it is small, else one of usual size, or what the network's error asks for.

    A recurrent network gets few time steps, which cost time, but more than one: a single step would not reach all weights.
    """
    spec = audiozoo.model_info(name)
    if spec.input == "vector":
        return (30,)
    *published, channels = spec.reference.input_shape
    channels = channels if channels <= 3 else 2
    large = spec.reference.parameters > 2e6
    usual, few = ((4_000,), (4_000,)) if spec.input == "waveform" else ((32, 16) if large else (40, 50), (16, 8))
    usual = tuple(published) if max(published) <= 64 else usual
    smallest = _smallest(name, channels)
    axes = usual if all(map(int.__le__, smallest, usual)) else smallest
    model = small(name, input_shape=(*axes, channels))
    if any(isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional) for layer in model.layers):
        axes = tuple(max(size, 2 * least) for size, least in zip(few, smallest, strict=True))
    return (*axes, channels)


def _smallest(name, channels):
    axes = (1,) * (len(audiozoo.model_info(name).frontend.shape) - 1)
    try:
        small(name, input_shape=(*axes, channels))
    except ValueError as error:
        if not (asked := re.search(r"at least \(([\d, ]+)\)", str(error))):
            raise
        return tuple(int(size) for size in asked[1].split(",") if size.strip())
    return axes


def described(name):
    """Describe a network for the file; every count of parameters is by formula."""
    reference = audiozoo.model_info(name).reference
    published = audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
    shape = find_small_shape(name)
    return {
        "input": list(shape),
        "parameters": expected_parameters(published),
        "layers": layer_lines(small(name, input_shape=shape), expected_parameters),
    }


_TOLD = (
    *("filters", "units", "kernel_size", "strides", "padding", "pool_size", "size", "dims", "axis", "merge_mode"),
    *("rate", "dropout", "recurrent_dropout", "return_sequences", "reset_after", "negative_slope", "max_value", "momentum"),
    *("activation", "recurrent_activation", "use_bias", "kernel_initializer", "kernel_regularizer", "bias_regularizer"),
    *("beta_initializer", "gamma_initializer", "beta_regularizer", "gamma_regularizer", "scale", "offset", "weight"),
)
# Told only where they differ from what most layers have.
_USUAL = {"dilation_rate": {1}, "groups": {1}, "epsilon": {1e-3}}


def _told(value):
    if isinstance(value, dict):
        known = (*_TOLD, "l1", "l2", "value", "mean", "stddev")
        values = [f"{key}={_told(item)}" for key, item in sorted(value.get("config", {}).items()) if key in known]
        return f"{value['class_name']}({', '.join(values)})" if "class_name" in value else str(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def layer_lines(model, count):
    """Write each layer with its settings and its number of parameters, counted by a function of the layer."""
    # Among the operations are those that are no layers, such as the mean over an axis.
    return [_line(layer, count) for layer in model.operations if type(layer).__name__ not in ("InputLayer", "GetItem")]


def _line(layer, count):
    kind, config = type(layer).__name__, layer.get_config()
    if isinstance(layer, keras.Model):
        facts = [f"layers={len(layer.layers)}"]  # a backbone of keras.applications
    else:
        # The settings of a bidirectional layer are those of the layer that it runs both ways.
        config = {**config.get("layer", {}).get("config", {}), **config} if kind == "Bidirectional" else config
        facts = [f"{key}={_told(config[key])}" for key in _TOLD if key in config]
        unusual = {key: config[key] for key, usual in _USUAL.items() if key in config and {*np.ravel(config[key])} != usual}
        facts += [f"{key}={_told(value)}" for key, value in unusual.items()]
    parameters = count(layer) if isinstance(layer, keras.Layer) else 0
    return " ".join([kind, *facts, *([f"parameters={parameters}"] if parameters else [])])


def expected_parameters(layer):
    """Count the weights of a layer or a model by the formula of its kind, from its settings and the shape of its input."""
    if isinstance(layer, keras.Model):
        return sum(expected_parameters(part) for part in layer.layers)
    formula = _FORMULAS.get(type(layer).__name__)
    return int(formula(layer.get_config(), layer.input.shape)) if formula else 0


def _convolution(config, shape):
    return (math.prod(config["kernel_size"]) * shape[-1] // config["groups"] + config["use_bias"]) * config["filters"]


def _depthwise(config, shape):
    return (math.prod(config["kernel_size"]) + config["use_bias"]) * shape[-1] * config["depth_multiplier"]


def _dense(config, shape):
    return (shape[-1] + config["use_bias"]) * config["units"]


def _normalization(config, shape):
    # Moving mean and variance, and the learnt scale and offset.
    return (2 + config["scale"] + config["center"]) * shape[config["axis"]]


def _sub_spectral_normalization(config, shape):
    return (2 + config["scale"] + config["center"]) * shape[-1] * config["groups"]


def _layer_normalization(config, shape):
    return (config["scale"] + config["center"]) * shape[-1]


def _response_normalization(config, shape):
    return 2


def _layer_scale(config, shape):
    return shape[-1]


def _lstm(config, shape):
    return 4 * config["units"] * (shape[-1] + config["units"] + config["use_bias"])


def _gru(config, shape):
    # A GRU that resets after the product has one bias for the input and one for the state.
    biases = config["use_bias"] * (2 if config["reset_after"] else 1)
    return 3 * config["units"] * (shape[-1] + config["units"] + biases)


def _bidirectional(config, shape):
    inner = config["layer"]
    return 2 * _FORMULAS[inner["class_name"]](inner["config"], shape)


def _frame_attention(config, shape):
    return shape[-1] + shape[1]


def _self_attention(config, shape):
    # Query and key kernels, the hidden bias, the kernel of the energy and its bias.
    return 2 * shape[-1] * config["units"] + 2 * config["units"] + 1


def _class_tokens(config, shape):
    # Two tokens, and the positions of these and of the patches.
    return (2 + 2 + shape[1]) * shape[-1]


_FORMULAS = {
    "BatchNormalization": _normalization,
    "Bidirectional": _bidirectional,
    "ClassTokens": _class_tokens,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "FrameAttention": _frame_attention,
    "GRU": _gru,
    "LSTM": _lstm,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "ResponseNormalization": _response_normalization,
    "SelfAttention": _self_attention,
    "SubSpectralNormalization": _sub_spectral_normalization,
}
