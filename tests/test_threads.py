import os

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import audiozoo
from audiozoo.classifier import Classifier
from audiozoo.features import LogMel
from audiozoo.threads import one_blas_thread, thread_count


def blas_threads():
    return [library["num_threads"] for library in ThreadpoolController().select(internal_api="openblas").info()]


def test_products_use_one_thread_inside_and_as_many_as_before_afterwards():
    with ThreadpoolController().limit(limits=2):
        with one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {2}


def test_classification_of_many_files_uses_one_thread_for_products(monkeypatch, write_sound):
    seen = []
    compute = LogMel._compute
    monkeypatch.setattr(LogMel, "_compute", lambda self, columns: seen.append(blas_threads()) or compute(self, columns))
    frontend = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)
    model = audiozoo.build("house_cnn", 2, input_shape=frontend.shape, filters=(4, 8))
    classifier = Classifier.from_keras(model, frontend, ["a", "b"])
    path = str(write_sound(np.zeros(4_000, np.float32)))
    with ThreadpoolController().limit(limits=2):
        list(classifier.predict_many([path]))
        assert set(seen[-1]) == {1}
        assert set(blas_threads()) == {2}


def test_the_number_of_threads():
    assert thread_count(3) == 3
    assert 1 <= thread_count(-1) <= os.cpu_count()
    for jobs in (0, -2):
        with pytest.raises(ValueError, match=rf"positive number of threads, or -1 for one per core, got {jobs}"):
            thread_count(jobs)
