"""Ensembles: means of classifiers with frontends of their own, fitted, saved, loaded and exported."""

import io
import json
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
import soundfile
from conftest import tone
from scipy.optimize import minimize
from typer.testing import CliRunner

import audiozoo
from audiozoo import crossval, export
from audiozoo.classifier import Answer, Classifier, Ensemble, KerasScorer, TrainingFacts
from audiozoo.classifier.facts import fingerprints_of
from audiozoo.cli import app
from audiozoo.datasets import Clip, load_dataset
from audiozoo.features import LogMel, Scaler, Waveform
from audiozoo.training import fit_ensemble
from audiozoo.training.blending import learnt_weights

LABELS = ("high", "low", "noise")
MEL = LogMel(sample_rate=8_000, duration=0.25, n_fft=256, hop_length=128, n_mels=16)
WAVE = Waveform(sample_rate=4_000, duration=1.0)


def dense(frontend, labels, *, seed=0, activation="softmax", **rest):
    inputs = keras.Input(frontend.shape)
    embedding = keras.layers.Dense(4, name="embedding")(keras.layers.Flatten()(inputs))
    logits = keras.layers.Dense(len(labels), activation=activation)(embedding)
    model, rng = keras.Model(inputs, logits), np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.05, weight.shape) for weight in model.get_weights()])
    return Classifier(frontend, Scaler.identity(), KerasScorer(model), tuple(labels), **rest)


@pytest.fixture(scope="module")
def mel():
    return dense(MEL, LABELS)


@pytest.fixture(scope="module")
def wave():
    """Another rate, one window where `mel` has several, and the labels in another order."""
    return dense(WAVE, ("noise", "high", "low"), seed=1, temperature=0.5, pooling="max")


@pytest.fixture
def sound():
    return tone(300, 1.0, 8_000) + tone(1_900, 1.0, 8_000, level=0.2)


def test_scores_are_the_weighted_mean_in_the_order_of_the_first(mel, wave, sound):
    both = Ensemble((mel, wave), (3, 1))
    assert both.labels == LABELS
    assert both.weights == (0.75, 0.25)
    first, second = (one.predict(sound, sample_rate=8_000) for one in (mel, wave))
    expected = {label: 0.75 * first.scores[LABELS.index(label)] for label in LABELS}
    for label, score in zip(wave.labels, second.scores, strict=True):
        expected[label] += 0.25 * score
    found = both.predict(sound, sample_rate=8_000)
    assert dict(zip(found.labels, found.scores, strict=True)) == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(
        both.embed(sound, sample_rate=8_000), np.concatenate([one.embed(sound, sample_rate=8_000) for one in both.members])
    )


def test_an_open_file_is_read_for_each_member(mel, wave, sound, write_sound):
    both, path = Ensemble((mel, wave)), write_sound(sound, subtype="FLOAT")
    with open(path, "rb") as file:
        opened = both.predict(file)
    assert np.array_equal(opened.scores, both.predict(path).scores)
    assert opened.source == str(path)


def test_windows_are_those_of_the_member_with_the_longest(mel, wave):
    both = Ensemble((mel, wave))
    sound = np.concatenate([tone(300, 1.0, 8_000), tone(3_000, 1.0, 8_000)])
    found = both.timeline(sound, sample_rate=8_000)
    assert found.starts.tolist() == [0, 0.5, 1]
    assert found.ends.tolist() == [1, 1.5, 2]
    short, long = mel.timeline(sound, sample_rate=8_000), wave.timeline(sound, sample_rate=8_000)
    inside = short.ends <= 1
    assert (len(inside), inside.sum()) == (15, 7)
    by_hand = 0.5 * short.scores[inside].mean(axis=0) + 0.5 * long.scores[0][[1, 2, 0]]
    assert found.scores[0] == pytest.approx(by_hand, abs=1e-6)
    assert [window.label for window in both.predict_windows(sound, sample_rate=8_000)] == [
        LABELS[best] for best in found.scores.argmax(axis=1)
    ]
    assert len(both.timeline(sound, sample_rate=8_000, hop=1.0).starts) == 2
    with pytest.raises(ValueError, match="hop"):
        both.predict(sound, sample_rate=8_000, hop=1.1)


def test_a_hop_longer_than_a_window_leaves_no_gap_for_the_others(mel, wave, sound):
    both = Ensemble((mel, wave))
    own = mel.predict(sound, sample_rate=8_000, hop=0.25).scores + wave.predict(sound, sample_rate=8_000).scores[[1, 2, 0]]
    assert both.predict(sound, sample_rate=8_000, hop=0.9).scores == pytest.approx(own / 2, abs=1e-6)


def test_familiarity_is_that_of_the_members_that_have_one(mel, wave):
    both = Ensemble((mel, wave), (0.75, 0.25))
    answers = [Answer(np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.3, 0.2]), None) for _ in range(2)]
    assert both.combine(answers).familiarity is None
    own = both.combine([answers[0]._replace(familiarity=0.2), answers[1]])
    assert own.familiarity == pytest.approx(0.75 * 0.2 + 0.25 * own.scores.max())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda mel, wave: [mel], "2 to 16 members, got 1"),
        (lambda mel, wave: [mel] * 17, "2 to 16 members, got 17"),
        (lambda mel, wave: [mel, Ensemble((mel, wave))], "a member is an ensemble itself"),
        (lambda mel, wave: [mel, "b.audiozoo"], "members must be classifiers, got str"),
        (lambda mel, wave: [mel, dense(MEL, ("high", "low"))], "same classes, in any order; member 2 lacks the classes noise$"),
        (lambda mel, wave: [mel, dense(MEL, (*LABELS, "voice"))], "only member 2 has the classes voice$"),
        (lambda mel, wave: [mel, dense(MEL, LABELS, activation="sigmoid")], "one label a clip.*and others several"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(mel, wave, change, reason):
    with pytest.raises(ValueError, match=reason):
        Ensemble(tuple(change(mel, wave)))


@pytest.mark.parametrize("weights", [(1,), (0, 0), (-1, 2), (float("nan"), 1), (float("inf"), 1)])
def test_weights_are_checked(mel, wave, weights):
    with pytest.raises(ValueError, match="weights must be 2 numbers of at least 0"):
        Ensemble((mel, wave), weights)


def test_thresholds_are_the_mean_of_the_members():
    first = dense(MEL, LABELS, activation="sigmoid", thresholds=(0.2, 0.4, 0.6))
    second = dense(MEL, LABELS[::-1], activation="sigmoid", thresholds=(0.9, 0.5, 0.1))
    assert Ensemble((first, second)).thresholds == pytest.approx((0.15, 0.45, 0.75))
    assert Ensemble((first, dense(MEL, LABELS, activation="sigmoid"))).thresholds is None


@pytest.fixture
def saved(mel, wave, tmp_path):
    path = tmp_path / "both.audiozoo"
    about = TrainingFacts(notes={"by": "me"})
    Ensemble((mel, wave), (0.6, 0.4), temperature=0.8, rejection=0.4, history={"loss": [1.0]}, about=about).save(path)
    return path


def test_a_saved_ensemble_answers_the_same(mel, wave, saved, sound):
    again = audiozoo.load_classifier(saved)
    assert isinstance(again, Ensemble)
    assert (again.weights, again.temperature, again.rejection) == ((0.6, 0.4), 0.8, 0.4)
    assert (again.history, again.about.notes) == ({"loss": [1.0]}, {"by": "me"})
    before = Ensemble((mel, wave), (0.6, 0.4), temperature=0.8, rejection=0.4).predict(sound, sample_rate=8_000)
    after = again.predict(sound, sample_rate=8_000)
    assert after.scores == pytest.approx(before.scores, abs=1e-6)
    assert after.label == before.label


def rewritten(path, change):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def with_card(**changes):
    def change(files):
        card = json.loads(files["card.json"])
        files["card.json"] = json.dumps({**card, **changes}).encode()

    return change


def nested(files):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    files["member-1.audiozoo"] = inner.getvalue()


HOSTILE = {
    "a member is missing": (lambda files: files.pop("member-1.audiozoo"), "member-1.audiozoo is missing"),
    "a member too many": (
        lambda files: files.update({"member-2.audiozoo": files["member-0.audiozoo"]}),
        "'member-2.audiozoo' is not one of the allowed members",
    ),
    "a part of a classifier": (lambda files: files.update({"scaler.npz": b""}), "'scaler.npz' is not one of the allowed"),
    "an ensemble in an ensemble": (nested, "member-1.audiozoo: not a classifier"),
    "a damaged member": (lambda files: files.update({"member-0.audiozoo": b"PK"}), "member-0.audiozoo: .*not a ZIP archive"),
    "many members": (with_card(members=10**9), "members must be a number from 2 to 16"),
    "no number of members": (with_card(members="2"), "members must be a whole number"),
    "weights beyond their range": (with_card(weights=[1e300, 1]), "a weight must be a number from 0 to 1"),
    "weights of another number": (with_card(weights=[1.0]), "weights must be a list of 2 numbers"),
    "no temperature": (with_card(temperature=None), "temperature must be a number"),
    "a level beyond its range": (with_card(rejection=2), "rejection must be a number from 0 to 1"),
    "thresholds of another number": (with_card(thresholds=[0.1]), "one threshold for each label"),
    "a newer schema": (with_card(schema=99), "saved in schema 99"),
    "another kind": (with_card(kind="flock"), "card.json has no 'about'|not one of the allowed|has no"),
    "no history": (with_card(history=[]), "history must be an object"),
}


@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(saved, change, reason):
    rewritten(saved, change)
    with pytest.raises(ValueError, match=reason) as caught:
        audiozoo.load_classifier(saved)
    assert str(saved) in str(caught.value)


def test_a_member_in_the_file_of_a_classifier_is_refused(mel, tmp_path):
    mel.save(path := tmp_path / "mel.audiozoo")
    rewritten(path, lambda files: files.update({"member-0.audiozoo": b""}))
    with pytest.raises(ValueError, match=r"'member-0\.audiozoo' is not one of the allowed members"):
        audiozoo.load_classifier(path)


def test_a_member_that_decompresses_beyond_the_limit_is_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        card = archive.read("card.json")
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", card)
        archive.writestr("member-0.audiozoo", bytes(100 * 2**20))
    with pytest.raises(ValueError, match="may hold at most"):
        audiozoo.load_classifier(saved)


def test_what_would_not_be_loaded_is_not_saved(mel, wave, tmp_path):
    with pytest.raises(ValueError, match="only JSON data"):
        Ensemble((mel, wave), history={"loss": [object()]}).save(tmp_path / "x.audiozoo")
    assert not list(tmp_path.iterdir())


def test_learnt_weights_have_the_lowest_loss(rng):
    scores = [rng.dirichlet(np.ones(4), 300) for _ in range(3)]
    truth = np.array([rng.choice(4, p=0.8 * one + 0.2 * two) for one, two in zip(*scores[:2], strict=True)])
    weights = learnt_weights(scores, truth)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0

    def loss(free):
        shares = np.exp(free) / np.exp(free).sum()
        return -np.log(np.tensordot(shares, np.stack(scores), axes=1)[np.arange(300), truth]).mean()

    best = minimize(loss, np.zeros(3))
    assert loss(np.log(np.maximum(weights, 1e-12))) == pytest.approx(best.fun, abs=1e-5)
    hot = np.eye(4, dtype=int)[truth]
    assert sum(learnt_weights(scores, hot)) == pytest.approx(1)
    # A member that is always right beats one that is always wrong.
    assert learnt_weights([np.eye(4)[truth], np.eye(4)[(truth + 1) % 4]], truth)[0] > 0.99


def trained_on(folder, member):
    clips = load_dataset("folder", root=folder).clips
    return replace(member, about=TrainingFacts(fingerprints=fingerprints_of(clip.path for clip in clips)))


def test_an_ensemble_is_fitted_and_evaluated_like_a_classifier(mel, wave, sound_folder, tmp_path):
    clips = load_dataset("folder", root=sound_folder).clips
    # A file that cannot be read is left out for every member.
    (sound_folder / "low" / "bad.wav").write_bytes(b"no sound")
    both = Ensemble((mel, wave))
    fitted = fit_ensemble(both, load_dataset("folder", root=sound_folder).clips)
    assert sum(fitted.weights) == pytest.approx(1)
    equal = fit_ensemble(both, clips, weights=False)
    assert equal.weights == (0.5, 0.5)
    assert 0.05 <= fitted.temperature <= 20
    before, after = (crossval.evaluate(one, clips) for one in (both, fitted))
    assert after.measures.log_loss <= before.measures.log_loss
    assert np.sum(after.measures.confusion) == 18
    scored = fitted.score_clips(load_dataset("folder", root=sound_folder).clips)
    assert len(scored.failures) == 1
    assert len(scored.index) == 18
    for clip, place in ((clips[0], 0), (clips[-1], -1)):
        assert fitted.predict(clip.path).scores == pytest.approx(scored.scores[place], abs=1e-5)


def test_clips_that_a_member_has_learnt_from_are_refused(mel, wave, sound_folder, tmp_path):
    both = Ensemble((mel, trained_on(sound_folder, wave)))
    with pytest.raises(ValueError, match=r"member 2 was trained on 18 of the 18 clips, such as .*\.wav"):
        fit_ensemble(both, load_dataset("folder", root=sound_folder).clips)
    # A copy under another name has the same sound.
    copy = tmp_path / "copies" / "low" / "another.wav"
    copy.parent.mkdir(parents=True)
    copy.write_bytes((sound_folder / "low" / "0.wav").read_bytes())
    with pytest.raises(ValueError, match="member 2 was trained on 1 of the 1 clips"):
        fit_ensemble(both, [Clip(str(copy), ("low",))])


def test_unknown_needs_enough_clips(mel, wave, sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    with pytest.raises(ValueError, match=r"unknown=0\.95 needs at least 19 held-out clips, and there are 18"):
        fit_ensemble(Ensemble((mel, wave)), clips, unknown=0.95)
    fitted = fit_ensemble(Ensemble((mel, wave)), clips, unknown=0.9)
    evaluated = crossval.evaluate(fitted, clips)
    assert evaluated.refused <= 1  # 19 * 0.1 = 1.9: all but the least familiar clip reach the level


def test_an_exported_ensemble_answers_the_same(rng):
    first, second = dense(MEL, LABELS), dense(MEL, LABELS[::-1], seed=2, temperature=2.0)
    both = Ensemble((first, second), (0.7, 0.3), temperature=0.6)
    waves = rng.uniform(-0.5, 0.5, (2, MEL.samples)).astype(np.float32)
    found = keras.ops.convert_to_numpy(export.waveform_model(both)(waves))
    expected = [both.predict(wave, sample_rate=8_000).scores for wave in waves]
    assert found == pytest.approx(np.stack(expected), abs=1e-4)


def test_an_ensemble_of_different_windows_is_not_exported(mel, wave):
    with pytest.raises(ValueError, match=r"same windows of sound, they take 8000 Hz, 2000 samples, 1 chan.*; 4000"):
        export.waveform_model(Ensemble((mel, wave)))


@pytest.fixture
def files(mel, wave, sound_folder, tmp_path):
    trained_on(sound_folder, mel).save(tmp_path / "a.audiozoo")
    wave.save(tmp_path / "b.audiozoo")
    return tmp_path, sound_folder


def call(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def test_the_command_combines_and_the_others_take_the_result(files):
    folder, sounds = files
    made = folder / "c.audiozoo"
    status, text = call("ensemble", folder / "a.audiozoo", folder / "b.audiozoo", "-o", made, "--weights", "0.6,0.2")
    assert (status, "a.audiozoo 0.750, b.audiozoo 0.250" in text) == (0, True), text
    status, text = call("predict", made, sounds / "low" / "0.wav", "--json")
    assert (status, set(json.loads(text)[0]["scores"])) == (0, set(LABELS))
    status, text = call("evaluate", made, sounds)
    assert (status, "18 clips" in text, "expected calibration error" in text) == (0, True, True)


def test_the_command_learns_weights_on_other_sounds(files, rng):
    folder, sounds = files
    both = [folder / "a.audiozoo", folder / "b.audiozoo", "-o", folder / "c.audiozoo", "--weights", "learn"]
    status, text = call("ensemble", *both, "--on", sounds)
    assert (status, "member 1 was trained on 18 of the 18 clips" in " ".join(text.split())) == (2, True)
    for label in LABELS:
        for number in range(7):
            path = folder / "other" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.uniform(-0.5, 0.5, 4_000), 8_000)
    status, text = call("ensemble", *both, "--on", folder / "other", "--unknown", "0.95")
    assert (status, "temperature" in text) == (0, True), text
    assert audiozoo.load_classifier(folder / "c.audiozoo").rejection is not None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--weights", "learn"), "--weights learn needs --on DIR"),
        (("--unknown", "0.95"), "--unknown needs --on DIR"),
        (("--weights", "a,b"), "--weights must be numbers such as 0.6,0.4"),
    ],
)
def test_the_command_says_what_is_missing(files, options, reason):
    folder, _ = files
    status, text = call("ensemble", folder / "a.audiozoo", folder / "b.audiozoo", "-o", folder / "c.audiozoo", *options)
    assert (status, reason in " ".join(text.split())) == (2, True), text


def test_many_files_have_the_answers_of_one_at_a_time(mel, wave, write_sound):
    both = Ensemble((mel, wave), (3, 1), rejection=0.4)
    paths = [str(write_sound(tone(300 + 200 * n, 0.4 + 0.3 * n, 8_000), name=f"{n}.wav")) for n in range(4)]
    paths.insert(2, str(paths[0]) + ".missing.wav")
    answers = list(both.predict_many(iter(paths)))
    assert [type(answer).__name__ for answer in answers] == ["Prediction", "Prediction", "Failure", "Prediction", "Prediction"]
    vectors = list(both.embed_many(paths, statistic="all"))
    for path, answer, vector in zip(paths, answers, vectors, strict=True):
        if "missing" not in path:
            alone = both.predict(path)
            assert np.allclose(answer.scores, alone.scores, atol=1e-5)
            assert answer.label == alone.label
            assert np.allclose(vector, both.embed(path, statistic="all"), atol=1e-4)
    with pytest.raises(FileNotFoundError):
        list(both.predict_many(paths, strict=True))
    with pytest.raises(ValueError, match="expected several paths"):
        list(both.predict_many(paths[0]))
    with pytest.raises(ValueError, match="unknown statistic 'windows'"):
        both.embed(paths[0], statistic="windows")


def test_an_ensemble_of_several_labels_gets_thresholds(mixtures):
    data = load_dataset("folder", root=mixtures.parent, table=mixtures)
    members = [dense(MEL, LABELS, seed=seed, activation="sigmoid") for seed in (0, 1)]
    fitted = fit_ensemble(Ensemble(tuple(members)), data.clips)
    assert len(fitted.thresholds) == 3
    assert crossval.evaluate(fitted, data.clips).measures.thresholds == fitted.thresholds
    with pytest.raises(ValueError, match="the members give each clip one"):
        fit_ensemble(Ensemble((dense(MEL, LABELS), dense(MEL, LABELS, seed=1))), data.clips)
