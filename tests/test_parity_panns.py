"""The PANNs against their published code: features, embedding and logits from the tensors of a checkpoint."""

import pytest
from parity import assert_parity, fixture, save_checkpoint

CONSTANTS = ("spectrogram_extractor.stft.conv_real.weight", "logmel_extractor.melW")


@pytest.mark.parametrize(
    "name", ["cnn6", "cnn10", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn14", "cnn14_16k"))]
)
def test_equals_the_reference(name, tmp_path):
    facts, _ = fixture(name)
    assert_parity(name, save_checkpoint(tmp_path, facts, nested="model", constants=CONSTANTS))
