"""Files of weights from PyTorch and safetensors: read without either, and what lies or tries to run something is refused."""

import collections
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from test_bounded import cheaply, declaring
from torchfiles import (
    Named,
    Raw,
    Storage,
    pickled,
    safetensors,
    save_legacy,
    save_torch,
    with_zip64_end,
    write_zip,
)

from audiozoo.checkpoints import read_checkpoint

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv.bias": np.ones(2, np.float16),
    "bn.num_batches_tracked": np.array(7),
    "empty": np.zeros((0, 3), np.float32),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "flag": np.array([True, False]),
}


def assert_same(read):
    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(read[name], array), name
        assert read[name].dtype == array.dtype


@pytest.mark.parametrize("save", [save_torch, save_legacy])
@pytest.mark.parametrize("nest", [dict, lambda a: {"model": a}, lambda a: {"state_dict": collections.OrderedDict(a), "n": 3}])
def test_files_of_pytorch_are_read(tmp_path, save, nest):
    assert_same(read_checkpoint(save(tmp_path / "a.pth", nest(ARRAYS))))


def test_safetensors_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors({name: array.copy(order="C") for name, array in ARRAYS.items()}))
    assert_same(read_checkpoint(path))


def test_bfloat16_is_read(tmp_path):
    half = np.array([1.5, -2.0], np.float32).view(np.uint16)[1::2]
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors({"a": half.view(np.float16)}, a={"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}))
    assert read_checkpoint(path)["a"].tolist() == [1.5, -2.0]


def test_tensors_share_a_storage(tmp_path):
    storage, rebuild = Storage("0", np.arange(6, dtype=np.float32)), Named("torch._utils", "_rebuild_tensor_v2")
    views = {"a": Raw(rebuild, storage, 0, (2, 2), (3, 1)), "b": Raw(rebuild, storage, 2, (4,), (1,))}
    path = write_zip(tmp_path / "a.pth", {"data.pkl": pickled(views)[0], "data/0": storage.array.tobytes()})
    read = read_checkpoint(path)
    assert (read["a"].tolist(), read["b"].tolist()) == ([[0, 1], [3, 4]], [2, 3, 4, 5])


@pytest.mark.parametrize("save", [save_torch, save_legacy])
def test_what_else_a_training_saved_is_skipped(tmp_path, save):
    array = Raw(Named("numpy.core.multiarray", "_reconstruct"), Named("numpy", "ndarray"), (0,), b"b")
    value = {"iteration": 3, "sampler": {"indexes": array}, "optimizer": {"a": np.ones(5)}, "model": {"w": np.ones(2)}}
    read = read_checkpoint(save(tmp_path / "a.pth", value))
    assert (list(read), read["w"].tolist()) == (["w"], [1, 1])


@pytest.mark.parametrize("save", [save_torch, save_legacy])
@pytest.mark.parametrize("command", [os.system, eval, os.unlink])
def test_nothing_in_a_file_runs(tmp_path, save, command):
    canary = tmp_path / "canary"
    canary.touch()
    program = {os.system: f"touch {canary}-ran", eval: f"open('{canary}-ran', 'w').close()", os.unlink: str(canary)}[command]
    path = save(tmp_path / "a.pth", {"model": {"w": np.ones(2)}, "more": Raw(command, program)})
    with pytest.raises(ValueError, match=rf"a\.pth: not a checkpoint.* names \w+\.{command.__name__}, .*nothing in the file"):
        read_checkpoint(path)
    assert sorted(tmp_path.iterdir()) == [path, canary]
    # The pickle works: Python's own reader would have run it.
    pickle.loads(pickle.dumps(Raw(command, program)))
    assert sorted(tmp_path.iterdir()) != [path, canary]


def test_names_that_a_pickle_puts_together_are_refused(tmp_path):
    together = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R."
    with pytest.raises(ValueError, match=r"names posix\.system"):
        read_checkpoint(write_zip(tmp_path / "a.pth", {"data.pkl": together}))


FLOATS, REBUILD = Storage("0", np.zeros(4, np.float32)), Named("torch._utils", "_rebuild_tensor_v2")


def viewed(*arguments, storage=FLOATS):
    return pickled({"w": Raw(REBUILD, storage, *arguments)})[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (viewed(0, (10**12,), (0,)), r"w declares the shape \(1000000000000,\) .*4 values"),
        (viewed(0, (5,), (1,)), "w declares the shape"),
        (viewed(1, (4,), (1,)), "w declares the shape"),
        (viewed(0, (2, 2), (4, 1)), "w declares the shape"),
        (viewed(-1, (1,), (1,)), "not numbers of at least 0"),
        (viewed(0, (2,), (-1,)), "not numbers of at least 0"),
        (viewed(0, (2.0,), (1,)), "not numbers of at least 0"),
        (viewed(0, (2,), (1, 1)), "longer than"),
        (viewed(0, (4,), (1,), storage=Storage("0", np.zeros(3, np.float32))), "declares 3 values of float32, and .* 16 bytes"),
        (viewed(0, (4,), (1,), storage=Storage("1", np.zeros(4, np.float32))), "data/1 is missing"),
        (viewed(0, (4,), (1,), storage="posix"), "not numbers of at least 0"),
        (pickled({"a": FLOATS, "b": Storage("0", np.zeros(2))})[0], "storage 0 in two ways"),
        (pickled({"w": 1.0})[0], "no dictionary of tensors"),
        (pickled(np.ones(2))[0], "no dictionary of tensors"),
        (pickled({(1,): 2})[0], "keys are neither text"),
        (pickled(Raw(Named("torch", "FloatStorage"), 9))[0], "calls something other"),
        (b"\x80\x02}q\x00X\x01\x00\x00\x00wK\x01s", "pickle exhausted"),
        (b"\x80\x02X\xff\xff\xff\x7fw.", "expected 2147483647 bytes"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x00.", "expected 72057594037927935 bytes"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "no dictionary of tensors"),
        (b"\x80\x02)R.", "pop from empty"),
        (b"\x80\x02t.", "did not begin"),
        (b"I1\n.", "operation INT"),
        (b"", "pickle exhausted"),
    ],
)
def test_pickles_that_lie_are_refused(tmp_path, content, reason):
    path = write_zip(tmp_path / "a.pth", {"data.pkl": content, "data/0": bytes(16)})
    with cheaply(), pytest.raises(ValueError, match=rf"a\.pth: not a checkpoint.*{reason}"):
        read_checkpoint(path)


def test_a_pickle_of_too_many_operations_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("audiozoo.checkpoints.pickled._MOST_OPERATIONS", 100)
    with pytest.raises(ValueError, match="more than 100 operations"):
        read_checkpoint(write_zip(tmp_path / "a.pth", {"data.pkl": b"\x80\x02" + b"]" * 101 + b"."}))
    monkeypatch.setattr("audiozoo.checkpoints.pytorch._LARGEST_PICKLE", 100)
    with pytest.raises(ValueError, match=r"data\.pkl has 101 bytes, at most 100"):
        read_checkpoint(write_zip(tmp_path / "a.pth", {"data.pkl": b"." * 101}))


def test_zip_archives_that_lie_are_refused(tmp_path):
    path = save_torch(tmp_path / "a.pth", ARRAYS)
    content = path.read_bytes()
    for changed, reason in [
        (content[:-50], "truncated"),
        (content[:-70] + struct.pack("<Q", 2**40) + content[-62:], "more than 4 GiB"),
        (content[:100] + content[-98:], "not a complete ZIP archive|damaged"),
        (declaring(content[:-98] + content[-22:], 2**31), "declare"),
    ]:
        path.write_bytes(changed)
        with cheaply(), pytest.raises(ValueError, match=rf"a\.pth: not a checkpoint.*({reason})"):
            read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.keras", b"")
    with pytest.raises(ValueError, match=r"without the one data\.pkl .* holds model\.keras"):
        read_checkpoint(path)
    path.write_bytes(with_zip64_end(path.read_bytes()))
    with pytest.raises(ValueError, match=r"holds model\.keras"):
        read_checkpoint(path)
    with pytest.raises(ValueError, match="big-endian"):
        read_checkpoint(write_zip(path, {"data.pkl": viewed(0, (1,), (1,)), "byteorder": b"big"}))


def test_legacy_files_that_lie_are_refused(tmp_path):
    path = save_legacy(tmp_path / "a.pth", {"w": np.ones(4)})
    content = path.read_bytes()
    for changed, reason in [
        (content[:-1], "storage 0 declares 4 values, and the file has 4 or ends"),
        (content[:-40] + struct.pack("<q", 2**40) + content[-32:], "the file has 1,099,511,627,776"),
        (content[:-60], "pickle exhausted"),
        (content.replace(b"little_endian", b"little_endiaN"), "protocol"),
        (content.replace(pickled(["0"])[0], pickled(["1"])[0]), "storages that it lists"),
    ]:
        path.write_bytes(changed)
        with cheaply(), pytest.raises(ValueError, match=rf"a\.pth: not a checkpoint.*{reason}"):
            read_checkpoint(path)


def test_other_formats_are_refused_with_a_way_out(tmp_path):
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w") as archive:  # what torch.save wrote before version 0.2
        archive.add(__file__, "storages")
    with pytest.raises(ValueError, match=r"old\.pth: .*torch\.save\(model\.state_dict\(\), path\)"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(ValueError, match="neither a safetensors file nor"):
        read_checkpoint(path)
    with pytest.raises(FileNotFoundError, match=r"gone\.pth"):
        read_checkpoint(tmp_path / "gone.pth")


W = np.ones((2, 2), np.float32)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (safetensors({"w": W})[:-1], "tensors declare 16 bytes, and the file holds 15"),
        (safetensors({"w": W}) + b"\0", "tensors declare 16 bytes, and the file holds 17"),
        (safetensors({"w": W})[:40], "header declares .* truncated"),
        (struct.pack("<Q", 2**60) + b"{}", "header declares 1,152,921,504,606,846,976 bytes"),
        (safetensors({"w": W}, w={"dtype": "F32", "shape": [10**12], "data_offsets": [0, 16]}), "declares the shape"),
        (safetensors({"w": W}, w={"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 2**40]}), "declare 1,099,511,627,776"),
        (safetensors({"w": W}, w={"dtype": "F32", "shape": [4], "data_offsets": [4, 16]}), "begins at byte 4"),
        (safetensors({"w": W}, v={"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}), "v begins at byte 8"),
        (safetensors({"w": W}, w={"dtype": "F4", "shape": [4], "data_offsets": [0, 16]}), "w has a type"),
        (safetensors({"w": W}, w={"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}), "w has a type"),
        (safetensors({"w": W}, w=3), "w has a type"),
        (struct.pack("<Q", 9) + b'{"a":{"a"', "delimiter"),
        (struct.pack("<Q", 40) + b'{"w":{},"w":{}}'.ljust(40), "two equal keys"),
    ],
)
def test_safetensors_that_lie_are_refused(tmp_path, content, reason):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with cheaply(), pytest.raises(ValueError, match=rf"a\.safetensors: not a checkpoint.*{reason}"):
        read_checkpoint(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, bad):
    arrays = {"fine": np.ones(2), "broken": np.array([0, bad])}
    with pytest.raises(ValueError, match=r"a\.pth: .*broken holds NaN or infinity"):
        read_checkpoint(save_torch(tmp_path / "a.pth", arrays))


@pytest.mark.slow  # in the continuous integration, PyTorch is there when the slow tests run
@pytest.mark.parametrize("zipped", [True, False])
def test_what_pytorch_itself_writes_is_read(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 5))
    more = {"turned": torch.arange(6.0).reshape(2, 3).t(), "brain": torch.tensor([1.5, -2]).bfloat16()}
    saved = {**network.state_dict(), **more, "own": torch.nn.Parameter(torch.ones(3))}
    sampler = {"indexes": np.arange(1_000), "last": np.int64(3)}
    path = tmp_path / "a.pth"
    whole = {"iteration": 3, "model": saved, "sampler": sampler}
    torch.save(whole, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert list(read) == list(saved)
    for name, tensor in saved.items():
        expected = tensor.detach().float().numpy() if name == "brain" else tensor.detach().numpy()
        assert np.array_equal(read[name], expected), name
        assert read[name].shape == expected.shape
    torch.save(network, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"names torch\.nn\.modules\.container\.Sequential"):
        read_checkpoint(path)
