"""`SoundClassifier`, an estimator of scikit-learn around `audiozoo.train`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from audiozoo.classifier import Classifier, load_classifier
from audiozoo.datasets import Clip
from audiozoo.features import extract
from audiozoo.sklearn.inputs import Content, Sound, as_files, as_waves, encoded, refuse_pcm
from audiozoo.training import Budget, Recipe, probe, recipe_for, train

# Clips whose features are in memory at a time: a spectrogram of 64 bands and 250 frames has 64 KB.
_CHUNK = 512


class SoundClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of sounds for scikit-learn: trains a model of the zoo in `fit`.

    `X` is one of

    - a sequence of paths or of contents of files (bytes), each a clip of any length and sample rate;
    - an array ``(clips, samples)`` or ``(clips, samples, channels)``, which needs `sample_rate`;
    - a list of arrays ``(samples,)`` or ``(samples, channels)`` of any lengths, which needs `sample_rate`.

    Args:
        model: Name of a model, see `audiozoo.list_models`.
        epochs: Exact number of epochs; `None` takes that of the recipe.
        minutes: Time that a fit may take (minutes), which may lower the number of epochs, see `audiozoo.Budget`; `None` sets no
            limit.
        probe: Whether to fit logistic regression on the embeddings of the model's published weights (or `weights_file`) instead
            of training the network, see `audiozoo.training.probe`.
        sample_rate: Sample rate of sounds in arrays (whole Hz). Files state their own.
        random_state: Random seed of the training, or a generator from which each `fit` draws one; `None` takes the seed of the
            recipe, so that a training is repeatable.
        recipe: Training settings, a `Recipe`; `None` takes the model's own.
        frontend: Frontend that computes the features; `None` takes the model's own, adapted to the clips.
        weights: Name of published initial weights, as for `audiozoo.train`.
        weights_file: Path of a file of initial weights, as for `audiozoo.train`.
        options: Options of the model's builder by name, such as ``{"dropout": 0.2}``.
        cache: `FeatureCache` that keeps features between fits, for example of a search; `None` computes them in each fit.
        verbose: Whether to print a line after each epoch.

    Attributes:
        classifier_: The trained `Classifier`; its `save` writes the file that ``audiozoo predict`` and `load_classifier` read.
        classes_: Labels in the order of the columns of `predict_proba`.
        n_features_in_: Number of samples of a clip, if `X` was an array of numbers.

    >>> SoundClassifier("feature_mlp", epochs=5)
    SoundClassifier(epochs=5, model='feature_mlp')
    """

    def __init__(
        self,
        model: str = "house_cnn",
        *,
        epochs: int | None = None,
        minutes: float | None = None,
        probe: bool = False,
        sample_rate: int | None = None,
        random_state: Any = None,
        recipe: Recipe | None = None,
        frontend: Any = None,
        weights: str | None = None,
        weights_file: Any = None,
        options: Mapping[str, Any] | None = None,
        cache: Any = None,
        verbose: bool = False,
    ) -> None:
        # scikit-learn copies estimators through these attributes, so they hold the arguments unchanged; `fit` checks them.
        self.model = model
        self.epochs = epochs
        self.minutes = minutes
        self.probe = probe
        self.sample_rate = sample_rate
        self.random_state = random_state
        self.recipe = recipe
        self.frontend = frontend
        self.weights = weights
        self.weights_file = weights_file
        self.options = options
        self.cache = cache
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any, groups: Sequence[Any] | None = None) -> Self:
        """Train on labelled sounds.

        Args:
            X: Sounds, see the class.
            y: Label of each sound.
            groups: Recording that each sound comes from. The clips that `fit` holds out to choose the epoch never share a
                recording with those that it trains on. `None` takes each file for a recording of its own.

        Returns:
            The estimator.

        Raises:
            ValueError: A sound cannot be read, there are fewer than two classes, or a parameter is wrong.
        """
        contents, labels = self._labelled(X, y)
        check_classification_targets(labels)
        classes, targets = np.unique(labels, return_inverse=True)
        names = [str(label) for label in classes.tolist()]
        if len(names) < 2:
            raise ValueError(f"SoundClassifier needs sounds of at least two classes, got 1 class: {names[0]}")
        recordings = _recordings(groups, contents)
        clips = [
            Clip(content, (names[target],), group=recording)
            for content, target, recording in zip(contents, targets, recordings, strict=True)
        ]
        self.classifier_ = self._trained(clips, names)
        self.classes_ = classes
        return self

    def _trained(self, clips: Sequence[Clip], labels: Sequence[str]) -> Classifier:
        recipe = self._recipe()
        shared: dict[str, Any] = {
            "labels": labels,
            "frontend": self.frontend,
            "weights": self.weights,
            "weights_file": self.weights_file,
            "cache": self.cache,
            "progress": _print_epoch if self.verbose else None,
        }
        if self.probe:
            return probe(self.model, clips, seed=recipe.seed, class_weight=recipe.class_weight, **shared)
        budget = None if self.minutes is None else Budget(minutes=self.minutes)
        return train(self.model, clips, recipe, budget=budget, **shared, **(self.options or {}))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the scores of each sound, ``(clips, classes)``, pooled over its windows.

        They sum to 1, unless the model has independent outputs (``activation="sigmoid"``).

        Raises:
            ValueError: A sound cannot be read, or an array has another number of samples than in `fit`.
        """
        check_is_fitted(self, "classifier_")
        contents = self._contents(X)
        parts = (contents[start : start + _CHUNK] for start in range(0, len(contents), _CHUNK))
        return np.concatenate([self._scores(part) for part in parts])

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each sound, ``(clips,)``.

        Raises:
            ValueError: See `predict_proba`.
        """
        scores = self.predict_proba(X)
        return self.classes_[scores.argmax(axis=1)]

    def _scores(self, contents: Sequence[Content]) -> np.ndarray:
        features = extract([Sound(content) for content in contents], self.classifier_.frontend, cache=self.cache)
        features.raise_failures()
        return self.classifier_.score_features(features).scores

    def _labelled(self, X: Any, y: Any) -> tuple[list[Content], np.ndarray]:
        files = self._files(X)
        if files is None:
            numbers, labels = validate_data(self, X, y, dtype=np.float32, allow_nd=True)
            return encoded(numbers, self.sample_rate), labels
        # An earlier fit on an array may have set this; files and lists have sounds of any length.
        self.__dict__.pop("n_features_in_", None)
        if y is None:
            raise ValueError("SoundClassifier requires y to be passed, but the target y is None")
        labels = column_or_1d(check_array(y, ensure_2d=False, dtype=None), warn=True)
        check_consistent_length(files, labels)
        return files, labels

    def _contents(self, X: Any) -> list[Content]:
        files = self._files(X)
        if files is not None:
            return files
        # After a fit on files there is no number of samples to compare with.
        same = hasattr(self, "n_features_in_")
        numbers = (
            validate_data(self, X, dtype=np.float32, allow_nd=True, reset=False)
            if same
            else check_array(X, dtype=np.float32, allow_nd=True)
        )
        return encoded(numbers, self.sample_rate)

    def _files(self, X: Any) -> list[Content] | None:
        """Return the files in `X`, with waveforms in a list encoded as files; `None` for an array of numbers."""
        if (files := as_files(X)) is not None:
            return files
        refuse_pcm(X)
        waves = as_waves(X)
        return None if waves is None else encoded(waves, self.sample_rate)

    def _recipe(self) -> Recipe:
        recipe = self.recipe or recipe_for(self.model)
        if self.epochs is not None:
            recipe = replace(recipe, epochs=self.epochs, min_steps=0)
        if self.random_state is None:
            return recipe
        drawn = isinstance(self.random_state, np.random.RandomState)
        seed = check_random_state(self.random_state).randint(2**31) if drawn else self.random_state
        return replace(recipe, seed=int(seed))

    def __getstate__(self) -> dict[str, Any]:
        # Keras models do not always survive pickling; the file of a classifier does, in every backend.
        state = dict(super().__getstate__())
        if "classifier_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "sound.audiozoo"
                state["classifier_"].save(path)
                state["classifier_"] = path.read_bytes()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        if "classifier_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "sound.audiozoo"
                path.write_bytes(state["classifier_"])
                state["classifier_"] = load_classifier(path)
        super().__setstate__(state)


def _recordings(groups: Sequence[Any] | None, contents: Sequence[Content]) -> list[str | None]:
    if groups is None:
        return [None] * len(contents)
    check_consistent_length(contents, groups)
    return [str(group) for group in groups]


def _print_epoch(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
    # The features are one line, because there is a step for each clip.
    if figures or done == total:
        print(f"{stage} {done}/{total}", *(f"{name} {value:.3f}" for name, value in figures.items()), sep="  ")
