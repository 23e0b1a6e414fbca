"""Two processes that call each other's functions, with copies of plain values for arguments and results.

Numbers, text, arrays, lists, dicts, paths with the files below them, random generators, tlkit's splits, domains,
backbones and scores travel as copies. What a function does to its arguments comes back and is done to the originals. A
function travels as a number under which the other side may call it. Keras models: :mod:`tlkit.grading.mirrors`.
Anything else arrives as a :class:`Foreign` object that only has the name of its type.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import itertools
import os
import re
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, Set, ValuesView
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from tlkit.files.fetching import fetched_folder
from tlkit.grading.limits import allowed_here, limited
from tlkit.grading.meter import Meter
from tlkit.grading.sandbox import course_folders
from tlkit.grading.wire import Gone, Wire, pack
from tlkit.words import one_line, said

__all__ = ["Foreign", "Peer", "Unreadable"]

_TAG = "~"
_DEEPEST = 60  # values in values
_LARGEST_FILE = 100 * 2**20  # bytes
_MOST_FILES = 2000
_DEEPEST_FOLDER = 20
_LONGEST_RANGE = 10**7
# Of these any state is one. The others keep a place in a buffer, and NumPy does not look whether it lies inside.
_GENERATORS = ("PCG64", "PCG64DXSM", "SFC64")
_OURS = {
    "Split": "tlkit.domains",
    "Domain": "tlkit.domains",
    "Backbone": "tlkit.backbones.backbone",
    "Share": "tlkit.grading.scores",
}
_SCALARS = (bool, int, float, str)
_PLAIN = {*_SCALARS, type(None)}
_LONGEST = 1_000_000  # items that are taken from what might have no end
_SECONDS = 60.0  # for a call to which no check has set a limit
_GRACE = 5.0  # seconds that the other end has to answer after it was told to stop
_LATER = 1.0  # seconds over its limit, which the other end watches itself, until it is told to stop
_LOOK_EVERY = 0.5  # seconds between two looks at its time


class Unreadable(ValueError):
    """A value came that is none of those that travel."""


class Foreign:
    """Something that does not travel. Its class bears the name of the original's."""


class Peer:
    """One end of a conversation.

    Args:
        wire: To the other end.
        step: 0 at one end and 1 at the other: the numbers that one end gives are never the other's.
        files: The folder below which paths travel with the files that they lead to; others travel as they are.
        lookup: Finds a function by its name; at the end whose functions are called by name.
        overdue: Called when the other end does not answer in time: makes it stop, or ends it. Only at the end that
            sets limits.
        spent: The seconds that the other end's processes have had on the processor; without it the clock counts.
    """

    def __init__(
        self,
        wire: Wire,
        step: int,
        files: Path,
        *,
        lookup: Callable[[str], Any] | None = None,
        overdue: Callable[[bool], None] | None = None,
        spent: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wire, self.files = wire, files
        self._step, self._lookup, self._overdue, self._spent = step, lookup, overdue, spent
        self._asked = step
        self._functions: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._mirrors: Any = None
        self._active: list[set[int]] = []  # models of the calls that are under way
        self._handed_over: set[Path] = set()  # files and folders that the other end may write to
        self._room = 10 * _LARGEST_FILE, 10 * _MOST_FILES  # bytes and files that it may still write
        self._named: set[Path] = set()  # paths outside of them that it was told
        self._serving = False  # its arguments are being read
        self._own: Meter | None = None  # of the call that is served, at the end that keeps limits
        self.handlers: dict[str, Callable[..., Any]] = {}

    # To call, and to be called

    def ask(self, what: dict[str, Any], arguments: list[Any], models: Set[int] = frozenset()) -> Any:
        """Call something at the other end, and do to the arguments what was done to them there.

        Raises:
            Gone: The other end has ended.
            TimeoutError: It took longer than is allowed here (:func:`tlkit.grading.limits.allowed_here`).
            BaseException: What was called has failed with an exception of that name.
        """
        self._active.append(set(models))
        meter, seconds, megabytes = None, None, None
        if self._overdue is not None:
            meter, megabytes = allowed_here() or (Meter(_SECONDS), None)
            meter.begin(self._spent)
            seconds = max(meter.left(), 1e-3)
        try:
            self._asked += 2
            tree = [self.encode(argument) for argument in arguments]
            self.wire.send(
                {
                    "n": self._asked, "do": "call", "what": what, "arguments": tree, "seconds": seconds,
                    "megabytes": megabytes, **self._states(),
                }
            )  # fmt: skip
            with self._own.waiting() if self._own is not None else contextlib.nullcontext():
                reply = self._answer_to(self._asked, meter)
            self._put_states(reply)
            if reply.get("do") != "done":
                raise _error(reply)
            for argument, after in zip(arguments, reply.get("after") or [], strict=False):
                if after is not None:
                    self._put_back(argument, self.decode(after[0]))
            return self.decode(reply.get("value"))
        finally:
            self._active.pop()
            if meter is not None:
                meter.end()

    def _answer_to(self, number: int, limit: Meter | None) -> Any:
        """Serve the other end until it answers."""
        meter, look = limit, time.monotonic() + _LOOK_EVERY
        while True:
            message: Any = {}
            with contextlib.suppress(TimeoutError):
                message = self.wire.receive(None if meter is None else look)
            if not isinstance(message, dict):
                raise Gone("a message that is none")
            if message and message.get("do") != "call" and message.get("n") == number:
                if limit is not None and meter is not limit:  # it was told to stop
                    raise TimeoutError(f"took longer than {limit.seconds:g} s.")
                return message
            if meter is not None and time.monotonic() >= look:  # even if it talks without end
                look = time.monotonic() + _LOOK_EVERY
                if meter.left() < -_LATER:
                    if self._overdue is None:  # nobody can be told
                        raise TimeoutError(f"took longer than {meter.seconds:g} s.")
                    self._overdue(meter is not limit)
                    meter = Meter(_GRACE)
                    meter.begin(self._spent)
            if message.get("do") == "call":
                with meter.waiting() if meter is not None else contextlib.nullcontext():
                    self.serve(message)

    def serve(self, message: dict[str, Any]) -> None:
        """Do what the other end asks for, and answer."""
        self._active.append(set())
        try:
            try:
                reply = self._done(message)
            except (Gone, SystemError):
                raise
            except BaseException as error:
                reply = {"do": "failed", **_words(error)}
            reply |= {"n": message.get("n")}
            try:
                self.wire.send({**reply, **self._states()})
            except (TypeError, ValueError) as error:
                self.wire.send({"n": message.get("n"), "do": "failed", **_words(error)})
        finally:
            self._active.pop()

    def _done(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._mirrors is not None:
            self._active[-1].update(number for number in message.get("models") or [] if self._may_change(number))
        self._serving = True
        try:
            arguments = [self.decode(tree) for tree in message["arguments"]]
        finally:
            self._serving = False
        self._put_states(message)
        what = message["what"]
        if "run" in what:
            return {"do": "done", "value": self.encode(self.handlers[what["run"]](*arguments))}
        # What a check's own function does to its arguments is nobody's business.
        before = [None if self._lookup is None else self._print(argument) for argument in arguments]
        function = self._called(what)
        # Whatever the notebook has set: a warning or a word is no mistake.
        with _silence(), np.errstate(all="ignore"), self._limits(message.get("seconds"), message.get("megabytes")):
            value = self.encode(function(*arguments))
        after = [
            None if was is None or was == self._print(argument) else [self.encode(argument)]
            for argument, was in zip(arguments, before, strict=True)
        ]
        return {"do": "done", "value": value, "after": after}

    @contextlib.contextmanager
    def _limits(self, seconds: float | None, megabytes: float | None) -> Iterator[None]:
        if not seconds or self._overdue is not None:  # whoever sets limits takes none
            yield
            return
        before, self._own = self._own, Meter(seconds)
        try:
            with limited(self._own, megabytes):
                yield
        finally:
            self._own = before

    def _called(self, what: dict[str, Any]) -> Any:
        if "name" in what and self._lookup is not None:
            return self._lookup(what["name"])
        if "model" in what and self._lookup is not None:
            return functools.partial(_of_model, self.mirrors[what["model"]], what["how"])
        return self._functions[what["function"]]

    # Values on their way

    @property
    def mirrors(self) -> Any:
        """The Keras models that both ends know; TensorFlow is loaded for them."""
        if self._mirrors is None:
            from tlkit.grading.mirrors import Mirrors

            self._mirrors = Mirrors(self._step)
        return self._mirrors

    def encode(self, value: Any, depth: int = 0) -> Any:
        """A value as plain JSON with arrays and bytes in it."""
        kind = type(value)
        if value is None or kind in _SCALARS:
            return value
        if depth > _DEEPEST:
            raise ValueError("a value must not hold values in values without end.")
        inner = functools.partial(self.encode, depth=depth + 1)
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            if array.dtype.kind in "biufcUSM":
                return np.ascontiguousarray(array).reshape(array.shape) if isinstance(value, np.ndarray) else {
                    _TAG: "scalar", "value": array.reshape(1),
                }  # fmt: skip
            return (
                {_TAG: "list", "items": [inner(item) for item in array.tolist()]} if array.ndim else inner(array.item())
            )
        for plain in _SCALARS:
            if isinstance(value, plain):
                return plain(value)
        if isinstance(value, bytes | bytearray):
            return bytes(value)
        if isinstance(value, list | tuple | set | frozenset):
            name = next(one.__name__ for one in (list, tuple, set, frozenset) if isinstance(value, one))
            if _PLAIN.issuperset(map(type, value)):  # many numbers, and quickly
                return {_TAG: name, "plain": list(value)}
            return {_TAG: name, "items": [inner(item) for item in value]}
        if isinstance(value, Iterator | KeysView | ValuesView | ItemsView | deque):
            return {_TAG: "list", "items": [inner(item) for item in itertools.islice(iter(value), _LONGEST)]}
        if isinstance(value, dict):
            return {_TAG: "dict", "items": [[inner(key), inner(item)] for key, item in value.items()]}
        if isinstance(value, range):
            return {_TAG: "range", "items": [value.start, value.stop, value.step]}
        if isinstance(value, PurePath):
            return self._encode_path(Path(value))
        if isinstance(value, np.random.Generator):
            return {_TAG: "rng", "kind": type(value.bit_generator).__name__, "state": inner(value.bit_generator.state)}
        try:
            return self._encode_object(value, inner)
        except (Gone, KeyboardInterrupt, TimeoutError, RecursionError):
            raise
        except BaseException:  # an object of the student's, whose methods may do anything
            return {_TAG: "foreign", "kind": type(value).__name__}

    def _encode_object(self, value: Any, inner: Callable[[Any], Any]) -> Any:
        for name, module in _OURS.items():
            if module in sys.modules and isinstance(value, getattr(sys.modules[module], name)):
                return {_TAG: name, "items": [inner(getattr(value, field.name)) for field in fields(value)]}
        keras = sys.modules.get("keras")
        if keras is not None and isinstance(value, keras.Model):
            number = self.mirrors.number_of(value)
            described = {} if number is not None else self.mirrors.describe(value)
            number = described.get("id", number)
            self._active[-1].add(number)
            return {_TAG: "model", "id": number, **described}
        if callable(value) and not hasattr(type(value), "__array__"):
            number = getattr(value, "far_number", None)
            if isinstance(number, int):
                return {_TAG: "yours", "id": number}
            number = self._numbers.setdefault(id(value), self._step + 2 * len(self._functions))
            self._functions[number] = value
            name = getattr(value, "__name__", type(value).__name__)
            return {_TAG: "function", "id": number, "name": name if isinstance(name, str) else "function"}
        for ask in ("numpy", "__array__"):  # a tensor, a Keras variable, a pandas Series
            with contextlib.suppress(Exception):
                array = np.asarray(getattr(value, ask)())
                if array.dtype.kind in "biufcUSM":
                    return np.ascontiguousarray(array).reshape(array.shape)
        return {_TAG: "foreign", "kind": type(value).__name__}

    def decode(self, tree: Any) -> Any:
        """The value that :meth:`encode` was given, at the other end.

        Raises:
            Unreadable: There is no such value.
        """
        if isinstance(tree, list):
            raise Unreadable("a value that cannot be read: a list without a mark.")
        if not isinstance(tree, dict):
            return tree
        kind: str = tree.get(_TAG, "")
        items: Any = tree.get("items")
        try:
            if kind in ("list", "tuple", "set", "frozenset"):
                if "plain" in tree and _PLAIN.issuperset(map(type, tree["plain"])):
                    return getattr(builtins, kind)(tree["plain"])
                return getattr(builtins, kind)(self.decode(item) for item in items)
            if kind == "dict":
                return {self.decode(key): self.decode(item) for key, item in items}
            if kind == "range":
                steps = range(*items)
                if len(steps) > _LONGEST_RANGE:
                    raise ValueError("a range that is too long")
                return steps
            if kind == "scalar":
                return tree["value"][0]
            if kind == "path":
                return self._decode_path(tree)
            if kind == "rng":
                return _generator(tree["kind"], self.decode(tree["state"]))
            if kind in _OURS:
                __import__(_OURS[kind])
                return getattr(sys.modules[_OURS[kind]], kind)(*(self.decode(item) for item in items))
            if kind == "model":
                return self._decode_model(tree)
            if kind == "yours":
                return self._functions[tree["id"]]
            if kind == "function":
                return _far_function(self.ask, int(tree["id"]), str(tree["name"])[:60])
            return type(re.sub(r"\W", "_", str(tree["kind"]))[:60] or "object", (Foreign,), {})()
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise Unreadable(one_line(f"a value that cannot be read: {error}", 200)) from None

    def _decode_model(self, tree: dict[str, Any]) -> Any:
        number = tree["id"]
        self._active[-1].add(number)
        if "config" in tree:
            return self.mirrors.build(tree)
        if "paths" in tree:
            from tlkit.grading.mirrors import FarModel

            beside = set().union(*self._active)

            def ask(how: str, arguments: list[Any]) -> Any:
                return self.ask({"model": number, "how": how}, arguments, beside)

            self.mirrors.add(model := FarModel(ask), number)
            return model
        return self.mirrors[number]

    # Files

    def _encode_path(self, path: Path) -> dict[str, Any]:
        if self.files not in path.absolute().parents or ".." in path.parts:
            self._named.add(path)
            return {_TAG: "path", "path": str(path)}
        self._handed_over.add(path.absolute())
        below = path.absolute().relative_to(self.files).as_posix()
        found: list[list[Any]] = []
        total = 0
        for file in [path, *sorted(path.rglob("*"))] if path.is_dir() and not path.is_symlink() else [path]:
            # No link, no pipe: only what is a file or a folder, and lies where it says.
            if file.is_symlink() or any(
                parent.is_symlink() for parent in file.relative_to(self.files).parents if parent.name
            ):
                continue
            name = file.absolute().relative_to(self.files).as_posix()
            if file.is_dir():
                found.append([name, None])
            elif file.is_file():
                total += file.stat().st_size
                found.append([name, file.read_bytes()])
            if total > _LARGEST_FILE or len(found) > _MOST_FILES:
                raise ValueError(f"files that travel may have {_LARGEST_FILE >> 20} MB, in {_MOST_FILES:,} files.")
        return {_TAG: "path", "below": below, "files": found}

    def _decode_path(self, tree: dict[str, Any]) -> Path:
        if "below" not in tree:
            path = Path(str(tree["path"]))
            # Functions of ours that the other end calls must not lead it to files that it cannot reach itself.
            if self._serving and self._overdue is not None and not self._is_open(path):
                raise ValueError(f"a path that was not handed over: {str(path)!r}")
            return path
        for name, data in tree["files"]:
            file = self._inside(name)
            if file.is_dir() if data is None else file.is_file() and file.read_bytes() == data:
                continue
            self._may_write(file, 0 if data is None else len(data))
            if data is None:
                file.mkdir(parents=True, exist_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        return self._inside(tree["below"])

    def _is_open(self, path: Path) -> bool:
        """Whether a path outside of what travels may be read for the other end: it was told it, or sees it as well."""
        seen = {fetched_folder(), *course_folders(), *self._named}
        return ".." not in path.parts and bool(seen & {path, *path.parents})

    def _may_write(self, file: Path, size: int) -> None:
        """Refuse, at the end that does not trust, to write to files of its own, and too much."""
        if self._overdue is None:
            return
        parts = file.relative_to(self.files).parts
        if not self._handed_over & {file, *file.parents}:
            if (self.files / parts[0]).exists():
                raise ValueError("a file that was not handed over")
            self._handed_over.add(self.files / parts[0])  # the other end's own
        self._room = self._room[0] - size, self._room[1] - 1
        if min(self._room) < 0 or len(parts) > _DEEPEST_FOLDER:
            raise ValueError("too many files, too large ones or too many folders in folders")

    def _inside(self, name: str) -> Path:
        parts = PurePath(str(name)).parts
        if not parts or PurePath(str(name)).is_absolute() or ".." in parts:
            raise ValueError(f"a path that leads away: {name!r}")
        path = self.files.joinpath(*parts)
        if self.files not in path.resolve().parents:
            raise ValueError(f"a path that leads away: {name!r}")
        return path

    # What a call did to its arguments

    def _print(self, value: Any) -> bytes | None:
        """What an argument holds, in bytes; ``None`` for what cannot be changed or is brought into step otherwise."""
        if value is None or isinstance(value, str | int | float | bytes | range | np.generic | np.random.Generator):
            return None
        if isinstance(value, Path):
            return _stamps(value) if self.files in value.absolute().parents else None
        if isinstance(value, list | tuple | dict | np.ndarray) or type(value).__name__ in _OURS:
            with contextlib.suppress(Exception):
                return pack(self.encode(value))
        return None

    def _put_back(self, mine: Any, theirs: Any) -> None:
        if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray):
            if mine.shape == theirs.shape and mine.dtype == theirs.dtype and mine.flags.writeable:
                mine[...] = theirs
        elif isinstance(mine, list) and isinstance(theirs, list):
            if len(mine) == len(theirs):
                for place, (one, other) in enumerate(zip(list(mine), theirs, strict=True)):
                    if isinstance(one, list | dict | tuple | np.ndarray):
                        self._put_back(one, other)
                    else:
                        mine[place] = other
            else:
                mine[:] = theirs
        elif isinstance(mine, tuple) and isinstance(theirs, tuple):
            for one, other in zip(mine, theirs, strict=False):
                self._put_back(one, other)
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            if mine.keys() == theirs.keys():
                for key, one in mine.items():
                    self._put_back(one, theirs[key])
            else:
                mine.clear()
                mine.update(theirs)
        elif type(mine).__name__ in _OURS and type(mine) is type(theirs):
            for field in fields(mine):
                self._put_back(getattr(mine, field.name), getattr(theirs, field.name))

    # Models in step

    def _states(self) -> dict[str, Any]:
        active = set().union(*self._active) if self._active else set()
        if not active:
            return {}
        states = {number: self.mirrors.state(number) for number in active}
        return {"models": sorted(active), "states": [[n, state] for n, state in states.items() if state is not None]}

    def _may_change(self, number: Any) -> bool:
        """Whether the other end may ask for a model's state and set it: its own, or one that it works on now."""
        return isinstance(number, int) and (number % 2 != self._step or any(number in each for each in self._active))

    def _put_states(self, message: dict[str, Any]) -> None:
        for number, state in message.get("states") or []:
            try:
                if not self._may_change(number):
                    raise ValueError("a model that was not handed over")
                self.mirrors.put(number, state)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Unreadable(one_line(f"a model that is not in step: {error}", 200)) from None


def _of_model(model: Any, how: str, *arguments: Any) -> Any:
    if how == "call":
        return np.asarray(model(*arguments, training=False))
    if how == "set":
        return model.set_weights(*arguments)
    return [(weight.path, np.asarray(weight)) for weight in model.weights]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield


def _far_function(ask: Callable[..., Any], number: int, name: str) -> Callable[..., Any]:
    def far(*arguments: Any) -> Any:
        return ask({"function": number}, list(arguments))

    far.far_number, far.__name__, far.__qualname__ = number, name, name  # type: ignore[attr-defined]
    return far


def _generator(kind: str, state: Any) -> np.random.Generator:
    if kind not in _GENERATORS:
        raise ValueError(f"a generator that is none: {kind!r}")
    bits = getattr(np.random, kind)()
    bits.state = state
    return np.random.Generator(bits)


def _stamps(path: Path) -> bytes:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    stamps = [(str(file), *_stamp(file)) for file in files]
    return repr(sorted(stamps)).encode()


def _stamp(file: Path) -> tuple[int, ...]:
    with contextlib.suppress(OSError):
        found = os.lstat(file)
        return found.st_size, found.st_mtime_ns, found.st_mode
    return ()


def _words(error: BaseException) -> dict[str, str]:
    words = said(error).strip().splitlines() or [""]
    return {"kind": type(error).__name__, "words": words[0][:400]}


def _error(reply: dict[str, Any]) -> BaseException:
    """An exception of the name that the other end says; of Python's own only what a check may catch."""
    kind = re.sub(r"\W", "_", str(reply.get("kind") or "Exception"))[:60]
    known: Any = getattr(builtins, kind, None)
    words = str(reply.get("words") or "")[:400]
    plain = isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, UnicodeError)
    ours = plain and not issubclass(known, BaseExceptionGroup)
    error: BaseException = (known if ours else type(kind, (Exception,), {}))(words)
    return error
