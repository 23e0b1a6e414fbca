"""Whose code a layer runs: that of Keras, TensorFlow, NumPy and tlkit is known by its version, any other is not."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import numpy as np

from tlkit._keras.graph import calls, functional
from tlkit._keras.start import keras, tf
from tlkit._keras.state import call_as_flagged

__all__ = ["Code"]

KNOWN_PACKAGES = ("keras", "keras_hub", "numpy", "tensorflow", "tlkit")
# They come with Python or with those above, whose versions stand for them.
_BENEATH = frozenset(sys.stdlib_module_names) | {"builtins", "ml_dtypes"}
# What a layer has that inference does not run, or that leads out of it.
_PASSED_OVER = (
    "_initializer", "_regularizer", "_constraint", "_inbound_nodes", "_outbound_nodes", "_tracker", "_losses",
)  # fmt: skip
# What a layer has, and the same layer made again need not have.
_NO_SETTINGS = ("name", "built", "trainable", "momentum", "seed", *_PASSED_OVER)
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
# A file that may be another one tomorrow, and tables of words that stand in no attribute.
_UNREAD = (
    keras.layers.TFSMLayer,
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)
_ARRAYS = (np.ndarray, np.generic, tf.Tensor)


class Code:
    """All code that a layer or model may run in inference, found by going through its layers and their attributes.

    Attributes:
        foreign: What is none of the known packages': classes of layers and functions, each named once.
        packages: The known packages whose code it runs.
        settings: What stands on its layers and operations, as plain values: a configuration does not show all of it.
            Weights count by their place among the model's, layers by theirs and what stands on them.
    """

    def __init__(self, layer: keras.layers.Layer) -> None:
        self.foreign: list[str] = []
        self.packages: set[str] = set()
        self.settings: list[tuple[str, Any]] = []
        self._places = {id(variable): number for number, variable in enumerate(layer.variables)}
        self._seen: dict[int, Any] = {}  # the objects too, lest another one gets the number of one that is gone
        self._look(layer)

    def versions(self) -> dict[str, str]:
        """The version of each package."""
        return {name: str(getattr(sys.modules[name], "__version__", "")) for name in sorted(self.packages)}

    def _look(self, found: Any) -> None:
        if isinstance(found, _PLAIN) or id(found) in self._seen:
            return
        self._seen[id(found)] = found
        if isinstance(found, (list, tuple, set, frozenset)):
            self._look_at_all(found)
        elif isinstance(found, dict):
            self._look_at_all(found.values())
        elif isinstance(found, types.FunctionType):
            # Its __module__ may be that of a function which it wraps.
            self._note(str(found.__globals__.get("__name__")), found.__name__)
            self._look_at_all([*(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).values()])
            self._look_at_all(_contents(found.__closure__ or ()))
        elif isinstance(found, types.MethodType):
            self._look_at_all((found.__func__, found.__self__))
        elif isinstance(found, functools.partial):
            self._look_at_all((found.func, found.args, found.keywords))
        elif isinstance(found, type):
            self._note(found.__module__, found.__name__)
        else:
            self._note(type(found).__module__, type(found).__name__)
            self._look_inside(found)

    def _look_at_all(self, found: Any) -> None:
        for each in found:
            self._look(each)

    def _look_inside(self, found: Any) -> None:
        attributes = getattr(found, "__dict__", {})
        if isinstance(found, keras.Model):
            # Beside its layers it has what training left: an optimizer, losses, metrics.
            self._look_at_all([value for name, value in attributes.items() if name in ("call", "__call__")])
            graph = functional(found)
            self._look_at_all(getattr(graph, "operations", None) or found.layers)
            if hasattr(graph, "operations"):
                self._look_at_all((call.positional, call.options) for call in calls(found))
        elif isinstance(found, keras.Operation) or (callable(found) and not isinstance(found, keras.Variable)):
            if isinstance(found, _UNREAD):
                self._note("", type(found).__name__)
            if isinstance(found, keras.Operation):
                self._places[id(found)] = len(self._places)
                if type(found).call.__module__ != type(found).__module__:
                    self._look(type(found).call)  # somebody may have put it on a class of Keras
            for name, value in sorted(attributes.items()):
                if getattr(value, "__func__", None) is call_as_flagged:
                    continue  # it changes nothing in inference
                if not name.endswith(_PASSED_OVER):
                    self._look(value)
                if not name.endswith(_NO_SETTINGS) and not (name.startswith("_") and _is_plain(value)):
                    self.settings.append((name, self._written(value)))

    def _written(self, value: Any) -> Any:
        if isinstance(value, _PLAIN):
            return repr(value)
        if isinstance(value, (keras.Variable, keras.Operation)):
            return "place", self._places.get(id(value))
        if isinstance(value, _ARRAYS):
            array = np.asarray(value)
            return str(array.dtype), array.shape, array.tobytes()
        if isinstance(value, dict):
            return [(repr(key), self._written(item)) for key, item in value.items()]
        if isinstance(value, (list, tuple)):
            return [self._written(item) for item in value]
        named = value if isinstance(value, (type, types.FunctionType)) else type(value)
        return named.__module__, named.__qualname__

    def _note(self, module: str, name: str) -> None:
        package = module.partition(".")[0]
        if package in KNOWN_PACKAGES:
            self.packages.add(package)
        elif package not in _BENEATH and name not in self.foreign:
            self.foreign.append(name)


def _contents(cells: tuple[types.CellType, ...]) -> list[Any]:
    found = []
    for cell in cells:
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that has no value yet
            continue
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, (list, tuple, dict)) and all(map(_is_plain, value)))
