"""Files of weights as PyTorch and safetensors write them, made here without either package."""

import collections
import io
import json
import pickle
import struct
import zipfile

import numpy as np

KINDS = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte", "b1": "Bool"}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """A name of another module, which the pickle states and nothing here imports."""

    def __init__(self, module, name):
        self.line = f"c{module}\n{name}\n".encode()

    def __call__(self):
        raise AssertionError("pickle only asks whether this could be called")


class Raw:
    """A call that the pickle states: a name and its arguments."""

    def __init__(self, name, *arguments):
        self.call = name, arguments

    def __reduce__(self):
        return self.call


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class Pickler(pickle._Pickler):
    """Python's own pickler, which can also write names of modules that are not installed."""

    def __init__(self, file, *, legacy=False):
        super().__init__(file, protocol=2)
        self.legacy, self.storages = legacy, []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        kind = Named("torch", f"{KINDS[value.array.dtype.str[1:]]}Storage")
        return ("storage", kind, value.key, "cpu", value.array.size, *((None,) if self.legacy else ()))

    def save(self, value, *rest, **how):
        if isinstance(value, Named):
            self.write(value.line)
        elif isinstance(value, np.ndarray):
            storage = Storage(str(len(self.storages)), value.ravel(order="K"))
            self.storages.append(storage)
            strides = tuple(stride // value.itemsize for stride in value.strides)
            rebuild = Named("torch._utils", "_rebuild_tensor_v2")
            super().save(Raw(rebuild, storage, 0, value.shape, strides, False, collections.OrderedDict()), *rest, **how)
        else:
            super().save(value, *rest, **how)


def pickled(value, **how):
    file = io.BytesIO()
    pickler = Pickler(file, **how)
    pickler.dump(value)
    return file.getvalue(), pickler.storages


def with_zip64_end(content):
    """Add the 64-bit record and its locator, which PyTorch writes even for small files."""
    end = content[-22:]
    count, size, offset = struct.unpack("<HII", end[10:20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return content[:-22] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 22, 1) + end


def write_zip(path, members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(f"{path.stem}/{name}", content)
    path.write_bytes(with_zip64_end(file.getvalue()))
    return path


def save_torch(path, value):
    """Write a file as torch.save does; arrays in `value` become tensors."""
    content, storages = pickled(value)
    members = {"data.pkl": content, "byteorder": b"little", "version": b"3\n"}
    return write_zip(path, members | {f"data/{storage.key}": storage.array.tobytes() for storage in storages})


def save_legacy(path, value):
    """Write a file as torch.save did before PyTorch 1.6."""
    content, storages = pickled(value, legacy=True)
    system = {"protocol_version": 1_001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with path.open("wb") as file:
        for part in (LEGACY_MAGIC, 1_001, system):
            file.write(pickled(part)[0])
        file.write(content + pickled([storage.key for storage in storages])[0])
        for storage in storages:
            file.write(struct.pack("<q", storage.array.size) + storage.array.tobytes())
    return path


SAFETENSORS = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL"}


def safetensors(arrays, **changed):
    """Return the content of a safetensors file; `changed` replaces entries of its header."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        kind = SAFETENSORS[array.dtype.str[1:]]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end := end + array.nbytes]}
    text = json.dumps(header | changed).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values())
