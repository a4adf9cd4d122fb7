"""Reads pickles of plain data from files that are not trusted.

A pickle is a program: it imports functions by name, calls them and sets attributes of the results. Here a name can only
be one of a fixed table, what the table gives can only be called, and no attribute is ever set. The time to read a
file grows linearly with its size.
"""

import contextlib
import os
import pickle
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tsc_jax.errors import InputError

_MOST_VALUES = 10_000_000  # in one file; a shared value counts as often as it appears
_DEEPEST = 50  # containers in containers
_LEAVES = (type(None), bool, int, float, complex, str, bytes, np.generic)
_KEYS = (type(None), str, bytes, float, np.bool_, np.integer, np.floating)


@contextlib.contextmanager
def opened(path: Path, kind: str) -> Iterator[BinaryIO]:
    """Opens a file for reading. Any error in the block becomes an InputError of one sentence that names the file."""
    try:
        with path.open("rb") as file:
            yield file
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # In a damaged file, any step of reading can fail with any exception.
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise InputError(f"{path}: not a whole {kind} ({reason})") from None


# pickle.Unpickler, written in C, would allocate whatever size a damaged byte asks for.
class Unpickler(pickle._Unpickler):
    """Reads one pickle from where the file stands. Subclasses say what a file may call, and what its states do."""

    table: Mapping[str, Any]  # "module.name" -> a function, or an immutable value
    expected: str  # what such files hold, for messages

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")  # for strings of Python 2
        start = file.tell()
        self._budget = 2 * file.seek(0, os.SEEK_END)
        file.seek(start)

    def find_class(self, module: str, name: str) -> Any:
        """Looks a name up in the table."""
        full_name = f"{module}.{name}"
        if full_name not in self.table:
            raise InputError(f"refused to unpickle {full_name[:80]!r}: only {self.expected} can be read")
        return self.table[full_name]

    def set_state(self, target: Any, state: Any) -> None:
        """Gives a state from the file to an object that one of the functions made."""
        raise InputError(f"refused to set the state of a {type(target).__name__}")

    def spend(self, amount: int) -> None:
        """Limits the sum of all amounts of work to twice the size of the file."""
        self._budget -= amount
        if self._budget < 0:
            raise InputError("uses the same content again and again")

    def _spend_on(self, arguments: tuple) -> None:
        sized = (each for each in (arguments, *arguments) if isinstance(each, str | bytes | list | tuple | set | dict))
        self.spend(sum(map(len, sized)))

    def _call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, types.FunctionType) or not isinstance(arguments, tuple):
            raise InputError(f"refused to call a {type(function).__name__}")
        self._spend_on(arguments)
        self.stack.append(function(*arguments))

    def _build(self) -> None:
        state = self.stack.pop()
        self._spend_on(state if isinstance(state, tuple) else (state,))
        self.set_state(self.stack[-1], state)

    def _set_items(self, items: list) -> None:
        if not isinstance(self.stack[-1], dict):
            raise InputError(f"refused to set items of a {type(self.stack[-1]).__name__}")
        self.stack[-1].update((as_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True))

    def _add_members(self) -> None:
        members = self.pop_mark()
        self.stack[-1].update(map(as_key, members))

    def _refuse(self) -> None:
        raise InputError(f"uses a feature of pickles that {self.expected} do not need")

    # Opcodes that make other objects, or allocate memory before they read.
    _refused = (
        pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.DICT,
        pickle.FROZENSET, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
    )  # fmt: skip
    dispatch = pickle._Unpickler.dispatch | dict.fromkeys((code[0] for code in _refused), _refuse)
    dispatch |= {
        pickle.REDUCE[0]: _call,
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: lambda self: self._set_items([self.stack.pop(-2), self.stack.pop()]),
        pickle.SETITEMS[0]: lambda self: self._set_items(self.pop_mark()),
        pickle.ADDITEMS[0]: _add_members,
    }


def as_key(value: Any) -> Any:
    """Returns a dict key or set member; refuses tuples, whose hash takes 2^n steps if n levels share items."""
    if isinstance(value, _KEYS) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    raise InputError(f"holds a {type(value).__name__} as a key, expected text or a number")


def check_plain(value: Any) -> Any:
    """Returns `value` if it is None, a number, text, an array, or a list, tuple, set or dict of these."""
    _measure(value, {}, 0)
    return value


def _measure(value: Any, known: dict[int, tuple[int, int]], depth: int) -> tuple[int, int]:
    """Counts the values in `value`, and the levels of containers; visits each container once."""
    if isinstance(value, _LEAVES) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        return 1, 0
    if not isinstance(value, list | tuple | set | dict | np.ndarray):
        raise InputError(f"holds a {type(value).__name__}, expected plain data")
    if depth <= _DEEPEST and id(value) not in known:
        items = value.values() if isinstance(value, dict) else value.flat if isinstance(value, np.ndarray) else value
        inner = [_measure(item, known, depth + 1) for item in items]
        known[id(value)] = 1 + sum(count for count, _ in inner), 1 + max((levels for _, levels in inner), default=0)
    count, levels = known.get(id(value), (0, depth))
    if levels > _DEEPEST or count > _MOST_VALUES:
        raise InputError(f"holds more than {_MOST_VALUES} values, or containers nested more than {_DEEPEST} deep")
    return count, levels
