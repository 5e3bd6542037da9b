"""Measure the size and the speed of every model on the current Keras backend.

    python benchmarks/models.py [NAME ...]

The script prints a Markdown table: parameters, multiply-adds for one window, milliseconds for one window alone and in a batch
of 32, trained windows per second (batch of 16, compiled), and peak memory. Each model runs in a process of its own. With
`--multiply-adds`, the script prints only these, which a model's `Reference` states. With `--sub-bands`, the script compares the
training speed of several ways to build SubSpectralNet.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time

BATCH = 16


def elapsed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def median(call, times):
    call()  # the first call compiles
    return statistics.median(elapsed(call) for _ in range(times))


def multiply_adds(model):
    """Count the multiplications of convolutions, dense and recurrent layers for one window."""
    import keras
    import numpy as np

    convolutions = (
        *(keras.layers.Conv1D, keras.layers.Conv2D),
        *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    )
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        kernels = [weight for weight in layer.weights if "kernel" in weight.path.rsplit("/", 1)[-1]]
        if isinstance(layer, convolutions):
            places = np.prod(layer.output.shape[1:-1])
            total += int(places * np.prod(kernels[0].shape))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.output.shape[1:-1]) * np.prod(kernels[0].shape))
        elif isinstance(layer, (keras.layers.Bidirectional, keras.layers.RNN)) and layer._inbound_nodes:
            # The two directions of a bidirectional layer have no input of their own.
            total += layer.input.shape[1] * sum(int(np.prod(weight.shape)) for weight in kernels)
    return total


def measure(name):
    """Measure one model and print the results as a line of JSON."""
    import numpy as np

    import audiozoo

    spec = audiozoo.model_info(name)
    reference = spec.reference
    model = audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, *reference.input_shape)).astype(np.float32)
    figures = {"name": name, "parameters": model.count_params(), "multiply_adds": multiply_adds(model)}
    figures["alone_ms"] = 1e3 * median(lambda: model.predict_on_batch(x[:1]), 10)
    figures["batch_ms"] = 1e3 * median(lambda: model.predict_on_batch(x), 3) / 32
    figures["trained_per_second"] = BATCH / median(training_step(model, x[:BATCH], reference.num_classes), 3)
    figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


def print_multiply_adds(names):
    import audiozoo

    for name in names or audiozoo.list_models():
        reference = audiozoo.model_info(name).reference
        model = audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
        print(f"{name}: multiply_adds={multiply_adds(model):_}", flush=True)


def training_step(model, x, classes, **options):
    """Compile a model and return a function that trains it on one batch."""
    import numpy as np

    outputs = len(model.outputs)
    hot = np.eye(classes, dtype=np.float32)[np.arange(len(x)) % classes]
    # This loss also works for sigmoid outputs, whose sum is not 1; only the time matters here.
    loss = "categorical_crossentropy"
    model.compile("adam", [loss] * outputs if outputs > 1 else loss, **options)
    return lambda: model.train_on_batch(x, (hot,) * outputs if outputs > 1 else hot)


def table(names):
    import audiozoo

    columns = ("model", "parameters", "multiply-adds", "alone, ms", "in a batch, ms", "trained per second", "memory, MB")
    print(f"| {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) - 1)}")
    for name in names or audiozoo.list_models():
        done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True)
        if done.returncode:
            print(f"| `{name}` | failed: {done.stderr.strip().splitlines()[-1]} |", flush=True)
            continue
        row = json.loads(done.stdout.splitlines()[-1])
        millions = f"{row['multiply_adds'] / 1e6:,.1f} M"
        times = f"{row['alone_ms']:.1f} | {row['batch_ms']:.1f} | {row['trained_per_second']:.1f}"
        print(f"| `{name}` | {row['parameters']:,} | {millions} | {times} | {row['megabytes']:.0f} |", flush=True)


def plain_subspectralnet(input_shape, classes, size=20, hop=10, *, together=False, pooled_first=False):
    """Build SubSpectralNet from plain layers in a loop over the sub-bands, as the paper describes it.

    With `pooled_first`, the ReLU follows the pooling and gives the same values with less work. With `together`, one first
    convolution computes the filters of all sub-bands on all bands. Its values differ slightly, because at its edges a sub-band
    then sees the neighbouring bands instead of zeros.
    """
    import keras
    from keras import layers

    lows = range(0, input_shape[0] - size + 1, hop)
    inputs = keras.Input(input_shape)
    slight = keras.regularizers.L2(1e-4)
    convolution = {"padding": "same", "kernel_initializer": "he_normal"}
    all_filters = layers.Conv2D(32 * len(lows), 7, **convolution)(inputs) if together else None
    bands, outputs = [], []
    for index, low in enumerate(lows):
        crop = layers.Cropping2D(((low, input_shape[0] - size - low), (0, 0)))
        if together:
            x = crop(all_filters[..., 32 * index : 32 * (index + 1)])
        else:
            x = layers.Conv2D(32, 7, **convolution)(crop(inputs))
        for pool in ((size // 10, 5), (4, 100)):
            x = layers.Conv2D(64, 7, **convolution)(x) if pool == (4, 100) else x
            x = layers.BatchNormalization(axis=1, beta_regularizer=slight, gamma_regularizer=slight)(x)
            x = x if pooled_first else layers.Activation("relu")(x)
            x = layers.MaxPooling2D(pool)(x)
            x = layers.Activation("relu")(x) if pooled_first else x
            x = layers.Dropout(0.3)(x)
        x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
        bands.append(x)
        outputs.append(layers.Dense(classes, activation="softmax")(layers.Dropout(0.3)(x)))
    x = layers.Dropout(0.3)(layers.Dense(64, activation="relu")(layers.Concatenate()(bands)))
    return keras.Model(inputs, [layers.Dense(classes, activation="softmax")(x), *outputs])


def sub_bands(rounds=7):
    """Compare the training speed of ways to build and compile SubSpectralNet at 40 x 500 x 2."""
    import keras
    import numpy as np

    import audiozoo

    shape = (40, 500, 2)
    x = np.random.default_rng(0).standard_normal((BATCH, *shape)).astype(np.float32)
    ours = lambda: audiozoo.build("subspectralnet", 10, input_shape=shape, auxiliary=True)  # noqa: E731
    steps = {
        "one sub-band after the other, from plain layers": training_step(plain_subspectralnet(shape, 10), x, 10),
        "audiozoo.build": training_step(ours(), x, 10),
        "the same, ReLU after the pooling": training_step(plain_subspectralnet(shape, 10, pooled_first=True), x, 10),
        "one first convolution for all": training_step(plain_subspectralnet(shape, 10, together=True), x, 10),
    }
    if keras.backend.backend() == "tensorflow":
        steps["audiozoo.build, with XLA"] = training_step(ours(), x, 10, jit_compile=True)
        steps["audiozoo.build, without XLA"] = training_step(ours(), x, 10, jit_compile=False)
    for step in steps.values():
        step()
    times = {name: [] for name in steps}
    for _ in range(rounds):  # in turn, so that a change in the speed of the machine affects all
        for name, step in steps.items():
            times[name].append(elapsed(step))
    first = next(iter(times.values()))
    print("| SubSpectralNet 40 x 500 x 2, batch of 16 | trained per second | ratio |\n| --- | ---: | ---: |")
    for name, values in times.items():
        ratio = statistics.median(there / here for there, here in zip(first, values, strict=True))
        print(f"| {name} | {BATCH / statistics.median(values):.1f} | {ratio:.2f} |")


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    match sys.argv[1:]:
        case ["--one", name]:
            measure(name)
        case ["--multiply-adds", *names]:
            print_multiply_adds(names)
        case ["--sub-bands"]:
            sub_bands()
        case names:
            table(names)


if __name__ == "__main__":
    main()
