"""Audio classifiers as estimators of scikit-learn, for pipelines, cross-validation and searches.

Only this package imports scikit-learn when it is loaded; ``import audiozoo`` does not load it.
"""

from audiozoo.sklearn.estimator import SoundClassifier

__all__ = ["SoundClassifier"]
