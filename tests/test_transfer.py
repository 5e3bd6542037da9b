"""Probes, fine-tuning and extension on a small network and made sounds."""

import io
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
import soundfile
from conftest import SHARED, tone, write_sound_folder

import audiozoo
from audiozoo.classifier import Classifier, KerasScorer, ProbeHead, ProbeScorer, clip_statistics
from audiozoo.classifier.familiarity import ClassDirections
from audiozoo.datasets import Clip, load_dataset
from audiozoo.features import FeatureCache, LogMel, Scaler
from audiozoo.training import extend, finetune, probe
from audiozoo.training.embeddings import network_of
from audiozoo.training.finetuning import FINETUNING, chosen_layers, dense_weights
from audiozoo.training.logistic import fitted_heads, row_space
from audiozoo.training.probes import starting_point

FRONTEND = LogMel(sample_rate=8_000, duration=0.25, n_fft=256, hop_length=128, n_mels=16)
QUICK = replace(FINETUNING, epochs=2, validation=0.3)


def network(classes=4, seed=3):
    model = audiozoo.build("house_cnn", classes, input_shape=FRONTEND.shape, filters=(8, 16), seed=seed)
    scaler = Scaler(np.float32(-40), np.float32(20))
    return Classifier(FRONTEND, scaler, KerasScorer(model), tuple("abcdefgh"[:classes]))


@pytest.fixture(scope="module")
def start():
    return network()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = write_sound_folder(tmp_path_factory.mktemp("probed") / "sounds", np.random.default_rng(7))
    return load_dataset("folder", root=folder).clips


@pytest.fixture(scope="module")
def probed(start, clips):
    return probe(start, clips)


def accuracy(classifier, clips):
    return np.mean([classifier.predict(clip.path).label == clip.label for clip in clips])


def test_a_probe_separates_three_sounds_and_is_an_ordinary_classifier(probed, clips, start, tmp_path):
    assert accuracy(probed, clips) > 0.9
    assert probed.labels == ("high", "low", "noise")
    assert set(probed.about.validation) == {"val_accuracy", "val_loss"}
    assert probed.about.training_clips == 18
    assert probed.about.notes["probe"]["C"] > 0
    probed.save(tmp_path / "my.audiozoo")
    again = audiozoo.load_classifier(tmp_path / "my.audiozoo")
    for clip in clips[::7]:
        assert np.allclose(again.predict(clip.path).scores, probed.predict(clip.path).scores, atol=1e-5)
        assert np.allclose(again.embed(clip.path), start.embed(clip.path), atol=1e-5)
    assert (again.temperature, again.about) == (probed.temperature, probed.about)
    assert len(again.predict_windows(clips[0].path)) > 1


def test_a_probe_looks_at_all_windows_of_a_clip(probed, start):
    wave = np.concatenate([tone(300, 0.5, 8_000), tone(2_000, 0.5, 8_000, level=0.1)])
    vectors = start.embed(wave, sample_rate=8_000, statistic="windows")
    outputs = np.concatenate([probed.scorer.outputs(probed.scaler(np.stack([x for _, x in FRONTEND.windows(wave)])))])
    assert np.allclose(outputs, vectors, atol=1e-5)
    shuffled = probed.pool(outputs[::-1])
    assert np.allclose(shuffled, probed.pool(outputs), atol=1e-5)
    assert not np.allclose(probed.pool(outputs), np.mean([probed.pool(one[None]) for one in outputs], axis=0), atol=1e-3)


def test_the_deviation_of_a_single_window_is_unknown():
    head = ProbeHead(np.array([1.0, 2, 3]), np.array([1.0, 1, 2]), np.eye(3), np.zeros(3), "sigmoid")
    one, two = clip_statistics(np.array([[0.5]], np.float32)), clip_statistics(np.array([[0.5], [0.5]], np.float32))
    assert np.isnan(one[2])
    assert two[2] == 0
    assert head.standardised(np.stack([one, two]))[:, 2].tolist() == [0, -1.5]
    assert np.isnan(head.standardised(np.array([[np.nan, 1, 1]]))[0, 0])


def test_single_windows_are_scored_as_clips(probed, rng):
    windows = rng.normal(size=(3, *FRONTEND.shape)).astype(np.float32)
    alone = [probed.scorer.pooled(probed.scorer.outputs(windows[i : i + 1]), "mean") for i in range(3)]
    assert np.allclose(probed.scorer.scores(windows), alone, atol=1e-5)
    assert np.allclose(np.sum(alone, axis=1), 1, atol=1e-5)


def test_the_second_probe_computes_no_embedding(start, clips, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path)
    first = probe(start, clips, cache=cache)
    calls = []
    inner = KerasScorer.embed
    monkeypatch.setattr(KerasScorer, "embed", lambda scorer, windows: calls.append(len(windows)) or inner(scorer, windows))
    second = probe(start, clips, cache=cache)
    assert not calls
    assert np.allclose(first.scorer.head.kernel, second.scorer.head.kernel)
    probe(network(seed=4), clips, cache=cache)
    assert sum(calls) == 18 * 3
    calls.clear()
    probe(replace(start, scaler=Scaler.identity()), clips, cache=cache)
    assert calls
    calls.clear()
    probe(replace(start), clips[:9] + clips[10:], cache=cache)
    assert not calls


def test_the_strength_is_chosen_on_recordings_that_are_held_out(start, clips, monkeypatch):
    fits = []

    def heads(statistics, targets, strengths, **rest):
        fits.append((len(statistics), tuple(strengths)))
        return fitted_heads(statistics, targets, strengths, **rest)

    monkeypatch.setattr("audiozoo.training.probes.fitted_heads", heads)
    grouped = [replace(clip, group=f"{clip.label}{number // 2}") for number, clip in enumerate(clips)]
    found = probe(start, grouped, validation=0.3)
    (learnt, path), (everything, chosen) = fits
    assert (learnt, everything) == (12, 18)
    assert chosen == tuple(one for one in path if one <= found.about.notes["probe"]["C"])
    without = probe(start, clips, validation=0)
    assert without.about.validation is None
    assert without.temperature == 1


def test_several_labels_make_independent_classes(start, clips):
    both = [replace(clip, labels=("loud", clip.label)) if number % 2 else clip for number, clip in enumerate(clips)]
    found = probe(start, both)
    assert found.activation == "sigmoid"
    assert found.labels == ("high", "loud", "low", "noise")
    scores = found.predict(clips[1].path).scores
    assert scores[found.labels.index(clips[1].label)] > 0.5
    with pytest.raises(ValueError, match="'loud' is not one of the classes"):
        probe(start, both, labels=("high", "low", "noise"))


def test_a_class_of_every_clip_or_of_none_gets_a_bias(rng):
    x = rng.normal(size=(8, 6)).astype(np.float32)
    targets = np.array([[1, 0, i % 2] for i in range(8)])
    [head] = fitted_heads(x, targets, [0.1])
    assert head.scores(x)[:, 0] == pytest.approx(8.5 / 9)
    assert head.scores(x)[:, 1] == pytest.approx(0.5 / 9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("clips", [12, 60])
def test_the_rotation_does_not_change_the_solution(rng, classes, clips, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr("audiozoo.training.logistic._TOLERANCE", 1e-6)
    monkeypatch.setattr("audiozoo.training.logistic._ITERATIONS", 10_000)
    x, y = rng.normal(size=(clips, 30)) * 3 + 1, np.arange(clips) % classes
    [head] = fitted_heads(x.astype(np.float32), y, [0.1])
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    plain = LogisticRegression(C=0.1, tol=1e-6, max_iter=10_000).fit(standard, y)
    assert np.allclose(head.scores(x.astype(np.float32)), plain.predict_proba(standard), atol=1e-3)
    basis = row_space(standard)
    assert basis.shape[1] <= min(x.shape)
    assert np.allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-4)


def test_a_constant_statistic_has_no_influence(rng):
    x = np.hstack([rng.normal(size=(10, 2)), np.full((10, 1), 5.0)]).astype(np.float32)
    [head] = fitted_heads(x, np.arange(10) % 2, [1.0])
    assert head.deviation[2] == 1
    assert np.allclose(head.kernel[2], 0)


def test_what_cannot_be_probed_is_refused(start, clips, tmp_path):
    with pytest.raises(ValueError, match="house_cnn has no published weights"):
        probe("house_cnn", clips)
    with pytest.raises(ValueError, match="has weights of its own"):
        probe(start, clips, weights="audioset")
    with pytest.raises(ValueError, match="at least two classes"):
        probe(start, [clip for clip in clips if clip.label == "low"])
    with pytest.raises(ValueError, match="no clips of silence"):
        probe(start, clips, labels=("high", "low", "noise", "silence"))
    with pytest.raises(ValueError, match="validation must be a number"):
        probe(start, clips, validation=1.5)
    with pytest.raises(ValueError, match="adapt one to the other"):
        probe(start, clips, frontend=replace(FRONTEND, n_mels=20))
    spoilt = tmp_path / "spoilt.wav"
    spoilt.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"spoilt\.wav"):
        probe(start, [*clips, Clip(str(spoilt), ("low",))])
    lenient = probe(start, [*clips, Clip(str(spoilt), ("low",))], strict=False)
    assert "spoilt.wav" in lenient.about.failures[0]
    assert lenient.about.training_clips == 18


def test_a_class_with_one_clip_is_learnt(start, clips):
    few = [clip for clip in clips if clip.label != "high"] + [next(clip for clip in clips if clip.label == "high")]
    assert probe(start, few).labels == ("high", "low", "noise")


def test_silent_clips_can_be_probed(start, tmp_path):
    for name in "abcd":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(3_000, np.float32), 8_000)
    clips = [Clip(str(tmp_path / f"{name}.wav"), ("x" if name in "ab" else "y",)) for name in "abcd"]
    assert probe(start, clips).predict(clips[0].path).scores == pytest.approx([0.5, 0.5], abs=0.01)


def spoilt(probed, tmp_path, **changes):
    """Save a probe whose head has other arrays, or other bytes."""
    path = tmp_path / "my.audiozoo"
    probed.save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    if "content" in changes:
        files["probe.npz"] = changes["content"]
    else:
        arrays = {**np.load(io.BytesIO(files["probe.npz"])), **changes}
        content = io.BytesIO()
        np.savez(content, **{name: array for name, array in arrays.items() if array is not None})
        files["probe.npz"] = content.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in files.items():
            if value is not None:
                archive.writestr(name, value)
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"content": b"garbage"}, "not a ZIP"),
        ({"content": None}, r"probe\.npz is missing"),
        ({"kernel": None}, r"probe\.npz has no kernel"),
        ({"kernel": np.zeros((48, 4), np.float32)}, "needs a bias for each class"),
        ({"kernel": np.zeros((47, 3), np.float32)}, "a probe with a kernel"),
        ({"kernel": np.zeros(48, np.float32)}, "a probe with a kernel"),
        ({"kernel": np.full((48, 3), np.nan, np.float32)}, "finite values"),
        ({"deviation": np.zeros(48, np.float32)}, "positive deviations"),
        ({"mean": np.full(48, np.inf, np.float32)}, "finite values"),
        ({"bias": np.zeros((3, 1), np.float32)}, "needs a bias for each class"),
        ({"bias": np.array(["a", "b", "c"])}, "must hold numbers"),
        ({"further": np.zeros(3)}, "not one of the allowed members"),
        ({"sigmoid": np.array(2)}, "sigmoid must be 0 or 1"),
        ({"sigmoid": np.zeros(4)}, "sigmoid must be 0 or 1"),
        ({"sigmoid": np.array(True)}, "activation must be that of the model, 'sigmoid'"),
        (
            {name: np.ones((45, *rest), np.float32) for name, rest in (("mean", ()), ("deviation", ()), ("kernel", (3,)))},
            "45 statistics does not fit embeddings of 16 numbers",
        ),
        (
            {"kernel": np.zeros((48, 4), np.float32), "bias": np.zeros(4, np.float32)},
            "the card states|the probe has 4 outputs",
        ),
    ],
)
def test_a_file_of_a_probe_is_not_believed(probed, tmp_path, changes, reason):
    path = spoilt(probed, tmp_path, **changes)
    with pytest.raises(ValueError, match=rf"my\.audiozoo: not a classifier that this version reads: (.|\n)*({reason})"):
        audiozoo.load_classifier(path)


def test_a_network_without_embedding_is_refused(probed):
    inputs = keras.Input(FRONTEND.shape)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match="unknown layer 'embedding'"):
        ProbeScorer(KerasScorer(model), probed.scorer.head)
    two = keras.Model(inputs, keras.layers.Activation("relu", name="embedding")(inputs))
    with pytest.raises(ValueError, match="must give a vector for each window"):
        ProbeScorer(KerasScorer(two), probed.scorer.head)


def test_an_exported_probe_answers_for_one_window(probed, rng):
    model = audiozoo.export.waveform_model(probed)
    waves = rng.uniform(-0.5, 0.5, (3, FRONTEND.samples)).astype(np.float32)
    expected = [probed.predict(wave, sample_rate=FRONTEND.sample_rate).scores for wave in waves]
    assert np.ptp(expected) > 0.1
    assert np.allclose(np.asarray(model.predict_on_batch(waves)), expected, atol=1e-4)


def test_a_probe_that_refuses_sounds_by_its_familiarity_is_not_exported(probed, tmp_path):
    directions = ClassDirections.fit(np.eye(18, probed.scorer.network.embedding_width), np.arange(18) % 3)
    scorer = ProbeScorer(probed.scorer.network, probed.scorer.head, directions)
    refusing = replace(probed, scorer=scorer, rejection=0.5)
    with pytest.raises(ValueError, match="train it without --unknown"):
        audiozoo.export.export_classifier(refusing, tmp_path / "my.keras")
    assert list(tmp_path.iterdir()) == []


def test_embeddings_have_statistics(start):
    wave = np.concatenate([tone(300, 0.5, 8_000), tone(2_000, 0.4, 8_000)])
    windows = start.embed(wave, sample_rate=8_000, statistic="windows")
    assert windows.shape == (len(list(FRONTEND.windows(wave))), 16)
    parts = {"mean": windows.mean(axis=0), "max": windows.max(axis=0), "deviation": windows.std(axis=0)}
    for name, expected in parts.items():
        assert np.allclose(start.embed(wave, sample_rate=8_000, statistic=name), expected, atol=1e-5)
    assert np.allclose(start.embed(wave, sample_rate=8_000), parts["mean"], atol=1e-5)
    assert np.allclose(start.embed(wave, sample_rate=8_000, statistic="all"), np.concatenate(list(parts.values())), atol=1e-5)
    with pytest.raises(ValueError, match="unknown statistic 'median'; did you mean 'mean'"):
        start.embed(wave, sample_rate=8_000, statistic="median")


def weights_by_layer(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def changed(before, after):
    return {name for name in before if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))}


def test_fine_tuning_trains_the_chosen_layers_alone(start, clips, tmp_path):
    before = weights_by_layer(start.scorer.model)
    layers = [name for name in before if name != "logits"]
    tuned = finetune(start, clips, QUICK, unfreeze=layers[-1])
    assert changed({name: before[name] for name in layers}, weights_by_layer(tuned.scorer.model)) == {layers[-1]}
    assert not changed(before, weights_by_layer(start.scorer.model))
    assert isinstance(tuned.scorer, KerasScorer)
    assert tuned.about.notes["finetune"] == {"unfreeze": layers[-1], "layers": [layers[-1]]}
    assert tuned.labels == ("high", "low", "noise")
    assert np.array_equal(tuned.scaler.mean, start.scaler.mean)
    tuned.save(tmp_path / "my.audiozoo")
    again = audiozoo.load_classifier(tmp_path / "my.audiozoo")
    assert np.allclose(again.predict(clips[0].path).scores, tuned.predict(clips[0].path).scores, atol=1e-5)
    # A classifier that was fine-tuned, or a probe, is a start like any other, and all layers can train again.
    further = finetune(tmp_path / "my.audiozoo", clips, QUICK, unfreeze=1.0)
    assert changed({name: before[name] for name in layers}, weights_by_layer(further.scorer.model)) == set(layers)


def test_the_last_layer_starts_from_logistic_regression(start, clips):
    slow = replace(QUICK, epochs=1, learning_rate=1e-9, validation=0.0)
    tuned = finetune(probe(start, clips), clips, slow, unfreeze=0)
    assert accuracy(tuned, clips) > 0.9
    two = [clip for clip in clips if clip.label != "noise"]
    assert accuracy(finetune(start, two, slow, unfreeze=0), two) > 0.9


def test_held_out_clips_do_not_reach_the_first_stage(start, clips, monkeypatch):
    sizes = []

    def heads(statistics, *rest, **options):
        sizes.append(len(statistics))
        return fitted_heads(statistics, *rest, **options)

    monkeypatch.setattr("audiozoo.training.finetuning.fitted_heads", heads)
    finetune(start, clips, replace(QUICK, refit=True, epochs=1), unfreeze=0)
    assert sizes == [12, 18]


def test_dense_weights_need_no_standardisation(rng):
    head = ProbeHead(rng.normal(size=3), np.array([0.5, 1, 2]), rng.normal(size=(3, 2)), rng.normal(size=2), "sigmoid")
    x = rng.normal(size=(4, 3)).astype(np.float32)
    kernel, bias = dense_weights(head)
    assert np.allclose(1 / (1 + np.exp(-(x @ kernel + bias))), head.scores(x), atol=1e-5)


def test_layers_are_chosen_by_name_or_share(start):
    model = audiozoo.build("yamnet", 3)
    assert len(chosen_layers(model, "layer(1[0-4]).*")) == 10
    names = chosen_layers(model, 1.0)
    assert chosen_layers(model, 0.5) == names[-len(names) // 2 :]
    assert chosen_layers(model, 0) == []
    with pytest.raises(ValueError, match=r"no layer matches unfreeze='block\.\*'; the layers with weights are layer1_fused"):
        chosen_layers(model, "block.*")
    with pytest.raises(ValueError, match="not a regular expression"):
        chosen_layers(model, "layer(1")
    with pytest.raises(ValueError, match="unfreeze must be a number from 0 to 1"):
        chosen_layers(model, 2.0)


def chirps(folder, label, count=6, seed=5):
    """Write clips of a fourth class: tones that jump."""
    rng = np.random.default_rng(seed)
    (folder / label).mkdir(parents=True)
    for number in range(count):
        parts = [tone(hertz, 0.05, 8_000) for hertz in rng.uniform(500, 900, 10)]
        soundfile.write(folder / label / f"{number}.wav", np.concatenate(parts), 8_000)
    return [Clip(str(path), (label,)) for path in sorted((folder / label).glob("*.wav"))]


@pytest.mark.parametrize("way", ["probe", "network"])
def test_an_extended_classifier_keeps_the_old_classes(way, start, clips, probed, tmp_path):
    old = probed if way == "probe" else finetune(start, clips, replace(QUICK, epochs=1, validation=0.0), unfreeze=0)
    new = chirps(tmp_path, "jump")
    if way == "network":
        with pytest.raises(ValueError, match="a few clips of each old class too, there is none of high, low, noise"):
            extend(old, new)
    grown = extend(old, new if way == "probe" else [*new, *clips[::6]])
    assert grown.labels == ("high", "low", "noise", "jump")
    assert accuracy(grown, new) > 0.8
    assert accuracy(grown, clips) >= accuracy(old, clips) - 0.06
    before, after = old.predict(clips[0].path).scores, grown.predict(clips[0].path).scores[:3]
    assert np.allclose(before / before.sum(), after / after.sum(), atol=1e-3)
    grown.save(tmp_path / "my.audiozoo")
    again = audiozoo.load_classifier(tmp_path / "my.audiozoo")
    assert np.allclose(again.predict(new[0].path).scores, grown.predict(new[0].path).scores, atol=1e-5)
    assert old.labels == ("high", "low", "noise")


@pytest.mark.slow
def test_a_network_whose_last_layer_normalises_is_extended(clips, tmp_path, rng):
    model = audiozoo.build("cp_mobile", 3, input_shape=FRONTEND.shape, filters=8)
    model.get_layer("logits").set_weights(rng.uniform(0.5, 1, (4, 3)))
    old = Classifier(FRONTEND, Scaler(np.float32(-40), np.float32(20)), KerasScorer(model), ("high", "low", "noise"))
    grown = extend(old, [*chirps(tmp_path, "jump"), *clips[::3]])
    before, after = old.predict(clips[0].path).scores, grown.predict(clips[0].path).scores[:3]
    assert np.allclose(before / before.sum(), after / after.sum(), atol=1e-4)


def test_what_cannot_be_extended_is_refused(probed, clips, start):
    with pytest.raises(ValueError, match="nothing to extend"):
        extend(probed, clips)
    sigmoid = probe(start, [replace(clip, labels=("all", clip.label)) for clip in clips])
    with pytest.raises(ValueError, match="only classifiers with a softmax"):
        extend(sigmoid, [replace(clips[0], labels=("new",))])


def test_a_probe_tells_the_known_from_the_unknown(start, clips, tmp_path):
    trained = probe(start, clips, unknown=0.5)
    assert trained.rejection is not None
    assert trained.scorer.directions is not None
    trained.save(tmp_path / "a.audiozoo")
    again = audiozoo.load_classifier(tmp_path / "a.audiozoo")
    for clip in clips[::5]:
        one, other = trained.predict(clip.path), again.predict(clip.path)
        assert one.familiarity == pytest.approx(other.familiarity, abs=1e-5)
        assert one.known == (one.familiarity >= trained.rejection)
    with pytest.raises(ValueError, match="needs at least 19 held-out clips"):
        probe(start, clips, unknown=0.95)


def test_a_probe_of_several_labels_has_thresholds(start, mixtures):
    data = load_dataset("folder", root=mixtures.parent, table=mixtures)
    trained = probe(start, data.clips)
    assert (trained.activation, len(trained.thresholds)) == ("sigmoid", len(trained.labels))
    assert set(trained.about.validation) == {"val_loss", "val_map"}
    without = probe(start, data.clips, validation=0)
    assert without.thresholds == (0.5,) * len(without.labels)


def test_published_weights_start_a_network_for_windows_of_the_frontend():
    weights = SHARED / "weights" / "yamnet" / "yamnet.npz"
    if not weights.is_file():
        pytest.skip(f"no weights at {weights}; set AUDIOZOO_SHARED to the folder that has weights/yamnet")
    frontend = audiozoo.model_info("yamnet").frontend.adapt(duration=1.5)
    found = starting_point("yamnet", weights_file=weights, frontend=frontend)
    assert found.frontend == frontend
    assert network_of(found).model.input_shape[1:] == frontend.shape != audiozoo.model_info("yamnet").frontend.shape


def test_an_ensemble_is_no_start(start, clips):
    with pytest.raises(ValueError, match="start from one of its members"):
        probe(audiozoo.Ensemble((start, start)), clips)


@pytest.mark.slow
def test_fine_tuning_keeps_to_a_budget_and_sets_a_rejection_level(start, clips):
    tuned = finetune(start, clips, QUICK, unknown=0.5, budget=audiozoo.Budget(minutes=5))
    assert tuned.about.budget["minutes"] == 5
    assert tuned.rejection is not None
    stopped = finetune(start, clips, replace(QUICK, epochs=50), stop=lambda: True)
    assert stopped.about.stopped == "request"


def test_clips_without_differences_have_one_direction():
    assert row_space(np.zeros((4, 9), np.float32)).shape == (9, 1)
    *_, head = fitted_heads(np.ones((4, 9), np.float32), np.array([0, 1, 0, 1]), [0.1])
    assert head.scores(np.ones((1, 9), np.float32)) == pytest.approx(0.5, abs=1e-3)
