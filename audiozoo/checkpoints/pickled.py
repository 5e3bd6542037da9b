"""A reader of pickles that calls nothing: names in a pickle stay names, and only dictionaries, lists and tensors come out.

`pickle.Unpickler` imports what a file names and calls it, so a file can run any program. Even with a list of allowed names, a
file can change the objects that these names stand for. This reader interprets the few operations that PyTorch writes and has
no operation that imports or calls.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

_MOST_OPERATIONS = 10**6
_TENSORS = {("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2")}
_PARAMETER = ("torch._utils", "_rebuild_parameter")
_DICTIONARIES = {("collections", "OrderedDict")}
# Training scripts save the state of a sampler beside the weights. Its NumPy arrays are skipped.
_SKIPPED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
"""NumPy type of each kind of storage. NumPy has no bfloat16, whose two bytes are the upper half of a float32."""


@dataclass(frozen=True)
class Storage:
    """Reference to numbers that the file holds beside the pickle.

    Args:
        kind: Name of the storage's class, a key of `STORAGES`.
        key: Name of the storage in the file.
        size: Number of values.
    """

    kind: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """View of a storage.

    Args:
        storage: Storage with the values.
        offset: Position of the first value.
        shape: Number of values along each axis.
        strides: Distance of neighbours along each axis, in values.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    module: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.module, self.name


class _Skipped:
    """Value that the weights do not need."""


class _Mark:
    """Mark on the stack, where the items of a collection begin."""


def read_pickle(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle as data, from the current position of a file to the pickle's end.

    Args:
        file: Binary file.

    Returns:
        The value, made of dictionaries, lists, tuples, text, numbers, `None` and `Tensor`; and its storages by their keys.

    Raises:
        ValueError: The pickle is damaged, has more than a million operations, or names something other than tensors.
    """
    reader = _Reader()
    for count, (operation, value, _) in enumerate(pickletools.genops(file)):
        if count >= _MOST_OPERATIONS:
            raise ValueError(f"the pickle has more than {_MOST_OPERATIONS:,} operations")
        reader.apply(operation.name, value)
    [value] = reader.stack
    return value, reader.storages


class _Reader:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def apply(self, name: str, value: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(value)
        elif name in _MAKERS:
            self.stack.append(_MAKERS[name]())
        elif name in _TUPLES:
            length = _TUPLES[name]
            self.stack[-length:] = [tuple(self.stack[-length:])]
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, value)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"the pickle has the operation {name}, which files of weights do not need")

    def marked(self) -> list[Any]:
        last = next((place for place in reversed(range(len(self.stack))) if isinstance(self.stack[place], _Mark)), None)
        if last is None:
            raise ValueError("the pickle ends a collection that it did not begin")
        items = self.stack[last + 1 :]
        del self.stack[last:]
        return items

    def name(self, module: str, name: str) -> None:
        self.stack.append(_allowed(module, name))

    def name_of_parts(self, _: Any) -> None:
        module, name = self.stack.pop(-2), self.stack.pop()
        self.name(module, name)

    def rebuild(self, _: Any) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        self.stack.append(_rebuilt(name, arguments))

    def refer(self, _: Any) -> None:
        storage = _storage(self.stack.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError(f"the pickle describes the storage {storage.key} in two ways")
        self.stack.append(storage)

    def update(self, items: list[Any]) -> None:
        # The hash of a deeply nested tuple overflows the stack of the interpreter.
        if not all(isinstance(key, str | int) for key in items[::2]):
            raise ValueError("the pickle has a dictionary whose keys are neither text nor whole numbers")
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def last(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        del self.stack[-count:]
        return items


def _allowed(module: str, name: str) -> _Name:
    pair = (module, name)
    if pair in _TENSORS | _DICTIONARIES | _SKIPPED or pair == _PARAMETER or (module == "torch" and name in STORAGES):
        return _Name(module, name)
    raise ValueError(
        f"the pickle names {module}.{name}, and only tensors are read; nothing in the file was run. In a sandbox, load the "
        "file with PyTorch and save its state dict alone: torch.save(model.state_dict(), path)"
    )


def _rebuilt(name: Any, arguments: Any) -> Any:
    pair = name.pair if isinstance(name, _Name) else None
    if pair in _DICTIONARIES and arguments == ():
        return {}
    if pair in _TENSORS:
        return _tensor(*arguments[:4])
    if pair == _PARAMETER:
        return arguments[0]
    if pair in _SKIPPED:
        return _Skipped()
    raise ValueError("the pickle calls something other than the makers of tensors and dictionaries")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("the pickle has a tensor whose storage, shape or strides are not numbers of at least 0")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _storage(identity: Any) -> Storage:
    # ("storage", class, key, device, size) and, before the ZIP format, a description of a view, which is None.
    parts = identity if isinstance(identity, tuple) else ()
    if len(parts) not in (5, 6) or parts[0] != "storage" or not isinstance(parts[1], _Name) or parts[5:] not in ((), (None,)):
        raise ValueError("the pickle refers to something other than the storage of a tensor")
    _, kind, key, _, size = parts[:5]
    if kind.name not in STORAGES or not isinstance(key, str) or type(size) is not int or size < 0:
        raise ValueError(f"the pickle has a storage of {kind.name} with the size {size!r}")
    return Storage(kind.name, key, size)


_CONSTANTS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "SHORT_BINSTRING", "BINSTRING"),
}
_MAKERS: dict[str, Callable[[], Any]] = {
    "MARK": _Mark,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_OPERATIONS: dict[str, Callable[[_Reader, Any], Any]] = {
    "GLOBAL": lambda reader, value: reader.name(*value.split(" ", 1)),
    "STACK_GLOBAL": _Reader.name_of_parts,
    "REDUCE": _Reader.rebuild,
    # The state of a dictionary or an array holds no weights.
    "BUILD": lambda reader, _: reader.stack.pop(),
    "BINPERSID": _Reader.refer,
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.marked())),
    "SETITEM": lambda reader, _: reader.update(reader.last(2)),
    "SETITEMS": lambda reader, _: reader.update(reader.marked()),
    "APPEND": lambda reader, _: reader.extend(reader.last(1)),
    "APPENDS": lambda reader, _: reader.extend(reader.marked()),
    "BINPUT": lambda reader, value: reader.memo.__setitem__(value, reader.stack[-1]),
    "LONG_BINPUT": lambda reader, value: reader.memo.__setitem__(value, reader.stack[-1]),
    "MEMOIZE": lambda reader, _: reader.memo.__setitem__(len(reader.memo), reader.stack[-1]),
    "BINGET": lambda reader, value: reader.stack.append(reader.memo[value]),
    "LONG_BINGET": lambda reader, value: reader.stack.append(reader.memo[value]),
}
