import copy
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from audiozoo import audio, load_classifier
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.datasets import hold_out
from audiozoo.features import FeatureCache, LogMel, Scaler, Waveform
from audiozoo.sklearn import SoundClassifier
from audiozoo.sklearn import estimator as module
from audiozoo.training import Recipe

# The checks make tables of a few columns, which are sounds of a few milliseconds at this rate.
SHORT = Waveform(sample_rate=1_000, duration=0.01)
QUICK = Recipe(epochs=20, batch_size=4, learning_rate=0.005, validation=0.0)


def nearest_centre(name, examples, classes, recipe, frontend, **rest):
    """Train a linear layer in closed form. The checks fit a hundred times, which gradient descent makes minutes of."""
    scaler = Scaler.fit(examples.features.values, index=examples.window_index, per="all")
    first = [examples.features.windows(number).start for number in examples.index]
    x = scaler(examples.features.values[first]).reshape(len(first), -1)
    targets = examples.targets[examples.index]
    centres = np.stack([x[targets == number].mean(axis=0) for number in range(len(classes))])
    inputs = keras.Input(frontend.shape)
    outputs = keras.layers.Dense(len(classes), activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    model.set_weights([centres.T, -0.5 * (centres**2).sum(axis=1)])
    model.run_eagerly = True
    return Classifier(frontend, scaler, KerasScorer(model), tuple(classes))


@pytest.mark.slow
@parametrize_with_checks([SoundClassifier(sample_rate=1_000, frontend=SHORT)])
def test_contract_of_scikit_learn(estimator, check, monkeypatch):
    monkeypatch.setattr("audiozoo.training.fit.train_examples", nearest_centre)
    check(estimator)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Paths of twelve half-second tones, low and high, their waveforms, labels and groups of two."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(3)
    labels = np.array(["low", "high"] * 6)
    hertz = np.where(labels == "low", rng.uniform(150, 400, 12), rng.uniform(1_500, 3_000, 12))
    waves = (0.5 * np.sin(2 * np.pi * hertz[:, None] * np.arange(4_000) / 8_000)).astype(np.float32)
    paths = [str(folder / f"{number}.wav") for number in range(12)]
    for path, wave in zip(paths, waves, strict=True):
        soundfile.write(path, wave, 8_000, subtype="FLOAT")
    return paths, waves, labels, np.arange(12) // 2


def quick(**further):
    return SoundClassifier("feature_mlp", recipe=QUICK, **further)


@pytest.fixture(scope="module")
def fitted(sounds):
    paths, _, labels, _ = sounds
    return quick(options={"dropout": 0.0}).fit(paths, labels)


def test_paths(fitted, sounds, tmp_path):
    paths, _, labels, _ = sounds
    assert fitted.classes_.tolist() == ["high", "low"]
    assert fitted.score(paths, labels) == 1
    scores = fitted.predict_proba([Path(path) for path in paths[:3]])
    assert scores.shape == (3, 2)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert not hasattr(fitted, "n_features_in_")
    # The estimator holds an ordinary classifier, with the same scores.
    fitted.classifier_.save(tmp_path / "tones.audiozoo")
    single = load_classifier(tmp_path / "tones.audiozoo").predict(paths[0])
    assert single.scores == pytest.approx(scores[0], abs=1e-5)
    assert single.label == labels[0]


def test_every_form_of_the_same_sounds_gives_the_same_scores(fitted, sounds):
    paths, waves, _, _ = sounds
    expected = fitted.predict_proba(paths)
    estimator = copy.copy(fitted).set_params(sample_rate=8_000)
    forms = (np.array(paths), np.array(paths, object)[:, None], [Path(path).read_bytes() for path in paths], waves, list(waves))
    for form in (*forms, waves[..., None], waves.astype(np.float64)):
        assert estimator.predict_proba(form) == pytest.approx(expected, abs=1e-6)


def test_sounds_of_several_lengths(fitted, sounds):
    _, waves, _, _ = sounds
    estimator = copy.copy(fitted).set_params(sample_rate=8_000)
    assert estimator.predict([waves[0], waves[1][:2_500], np.tile(waves[2], 5)]).tolist() == ["low", "high", "low"]


def test_pickling_keeps_the_scores(fitted, sounds):
    paths = sounds[0]
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict_proba(paths) == fitted.predict_proba(paths)).all()
    assert again.classifier_.labels == fitted.classifier_.labels
    assert not hasattr(clone(again), "classifier_")
    assert isinstance(fitted.classifier_, Classifier)


@pytest.fixture
def solved(monkeypatch):
    """Replace gradient descent, and keep the arguments of the trainings."""
    calls = []

    def train_examples(name, examples, classes, recipe, frontend, **rest):
        calls.append((name, examples, recipe, rest))
        return nearest_centre(name, examples, classes, recipe, frontend)

    monkeypatch.setattr("audiozoo.training.fit.train_examples", train_examples)
    return calls


MEL = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=512, n_mels=16)


def test_cross_validation_search_and_pipeline(solved, sounds):
    paths, waves, labels, groups = sounds
    estimator = SoundClassifier(frontend=MEL, sample_rate=8_000)
    scores = cross_val_score(estimator, paths, labels, groups=groups, cv=GroupKFold(3), params={"groups": groups})
    assert scores.tolist() == [1, 1, 1]
    search = GridSearchCV(estimator, {"frontend": [MEL, SHORT], "epochs": [1]}, cv=2).fit(waves, labels)
    assert search.best_params_["frontend"] == MEL
    assert search.predict(waves).tolist() == labels.tolist()
    louder = make_pipeline(FunctionTransformer(lambda x: 1.5 * x), estimator).fit(waves, labels)
    assert louder.score(waves, labels) == 1
    assert louder.predict_proba(waves[:2]).shape == (2, 2)


def test_groups_are_kept_together(solved, sounds):
    paths, waves, labels, groups = sounds
    for X in (paths, waves):
        SoundClassifier(frontend=MEL, sample_rate=8_000).fit(X, labels, groups=groups)
        _, examples, recipe, _ = solved.pop()
        held_out = hold_out(examples.clips, 0.3, seed=recipe.seed)
        assert 0 < held_out.sum() < 12
        assert not set(groups[held_out]) & set(groups[~held_out])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SoundClassifier(frontend=MEL).fit(paths, labels, groups=groups[:-1])


def test_parameters_reach_the_training(solved, sounds, tmp_path, monkeypatch):
    paths, _, labels, _ = sounds
    kept = FeatureCache(tmp_path)
    given = SoundClassifier("feature_mlp", recipe=Recipe(min_steps=90), epochs=3, random_state=5, frontend=MEL, cache=kept)
    given.set_params(options={"dropout": 0.1}).fit(paths, labels)
    name, _, recipe, rest = solved.pop()
    assert (name, recipe.epochs, recipe.min_steps, recipe.seed) == ("feature_mlp", 3, 0, 5)
    assert rest["options"] == {"dropout": 0.1}
    assert kept.info().clips == 12
    # A generator gives another seed for each fit, and `None` the recipe's own.
    given.set_params(random_state=np.random.RandomState(0)).fit(paths, labels).fit(paths, labels)
    assert solved.pop()[2].seed != solved.pop()[2].seed
    given.set_params(random_state=None, recipe=Recipe(seed=8)).fit(paths, labels)
    assert solved.pop()[2].seed == 8


def test_a_budget_or_a_probe_replaces_the_recipe_in_full(solved, sounds, monkeypatch):
    paths, _, labels, _ = sounds
    SoundClassifier("feature_mlp", minutes=3, frontend=MEL).fit(paths, labels)
    assert solved.pop()[3]["clock"].minutes == 3
    asked = {}
    monkeypatch.setattr("audiozoo.sklearn.estimator.probe", lambda name, clips, **rest: asked.update(rest, name=name))
    SoundClassifier("yamnet", probe=True, random_state=4, weights_file="x.npz").fit(paths, labels)
    assert (asked["name"], asked["seed"], asked["weights_file"]) == ("yamnet", 4, "x.npz")


def test_labels_keep_their_type(solved, sounds):
    paths, _, labels, _ = sounds
    estimator = SoundClassifier(frontend=MEL).fit(paths, np.where(labels == "low", 7, 3))
    assert estimator.classifier_.labels == ("3", "7")
    assert estimator.predict(paths[:2]).tolist() == [7, 3]


def test_large_inputs_are_scored_in_parts(solved, sounds, monkeypatch):
    paths, _, labels, _ = sounds
    estimator = SoundClassifier(frontend=MEL).fit(paths, labels)
    expected = estimator.predict_proba(paths)
    monkeypatch.setattr(module, "_CHUNK", 5)
    assert estimator.predict_proba(paths) == pytest.approx(expected, abs=1e-6)


def test_progress_is_printed(sounds, capsys):
    paths, _, labels, _ = sounds
    quick(epochs=2, verbose=True).fit(paths, labels)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["features 12/12", "training 1/2", "training 2/2"]
    assert "loss" in lines[-1]


@pytest.mark.parametrize(
    ("X", "reason"),
    [
        ("dog.wav", "sequence of sounds, got the single file dog.wav"),
        (["dog.wav", np.zeros(3)], "either paths or arrays, got a path and ndarray"),
        (["no such.wav", "no such either.wav"], "no such.wav"),
        (np.full((2, 300), 3_000, np.int16), "divide 16-bit samples by 32768"),
        (np.zeros((2, 300)), "need a sample rate"),
        ([np.zeros(200), np.zeros(300)], "need a sample rate"),
        ([np.zeros(200), np.full(300, np.nan)], "need a sample rate"),
    ],
)
def test_refused_sounds(X, reason):
    with pytest.raises(ValueError, match=reason):
        SoundClassifier("feature_mlp").fit(X, ["a", "b"])


def test_refused_arrays_and_labels(solved, sounds):
    paths, waves, labels, _ = sounds
    estimator = SoundClassifier(frontend=MEL, sample_rate=8_000)
    for X, y, reason in (
        (paths, None, "requires y"),
        (paths, labels[:-1], "inconsistent numbers of samples"),
        (paths, ["low"] * 12, "at least two classes, got 1 class: low"),
        (paths, np.linspace(0, 1, 12), "Unknown label type"),
        ([wave.copy() for wave in waves[:1]] + [np.full(10, np.nan)], ["a", "b"], "NaN"),
    ):
        with pytest.raises(ValueError, match=reason):
            estimator.fit(X, y)
    with pytest.raises(ValueError, match="expecting 4000 features"):
        estimator.fit(waves, labels).predict(waves[:, :100])
    with pytest.raises(ValueError, match=r"whole number of hertz.*got 8000\.5"):
        estimator.set_params(sample_rate=8_000.5).fit(waves, labels)


@pytest.mark.parametrize("shape", [(1,), (50,), (50, 2)])
def test_encoded_waveforms_are_read_bit_for_bit(rng, shape):
    wave = rng.normal(scale=100, size=shape).astype(np.float32)
    wave.flat[0] = -1e-40
    content = audio.encode(wave, 50)
    read, rate = audio.read(content)
    assert rate == 50
    assert read.tobytes() == wave.tobytes()
    assert read.shape == shape
    assert content == audio.encode(wave.copy(), 50)
