"""Keras models that two processes share: each has its own, and their weights and flags are brought into step.

A model travels as its configuration and its weights, and only layers of Keras and of tlkit are built from what comes,
in Keras's safe mode. A layer that both sides know (a base that a new model holds) stays one layer on both sides. A
student's model of a class of its own cannot be built again: :class:`FarModel` asks it from afar.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tlkit._keras import keras

__all__ = ["FarModel", "Mirrors"]

_KERAS = re.compile(r"keras(\.\w+)*\Z")
_OURS = ("tlkit.text.encoder", "tlkit.efficient")  # they define layers, which Keras knows once they are imported
_RUNS_CODE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "function", "__lambda__"}


class FarModel(keras.Model):  # type: ignore[misc]  # a check asks whether it is one
    """A model in the other process: it can be called, and its weights be read and set."""

    def __init__(self, ask: Any) -> None:
        super().__init__(name="far_model")
        self._ask = ask

    def __call__(self, x: Any, training: bool = False) -> Any:
        """What the other process says that the model gives."""
        return self._ask("call", [np.asarray(x)])

    def get_weights(self) -> list[Any]:
        """Copies of the weights."""
        return [np.asarray(array) for _, array in self._ask("weights", [])]

    def set_weights(self, weights: Any) -> None:
        """Set all weights."""
        self._ask("set", [[np.asarray(weight) for weight in weights]])

    @property
    def weights(self) -> list[Any]:
        """Copies of the weights, with their paths."""
        return [_FarWeight(str(path), np.asarray(array)) for path, array in self._ask("weights", [])]


class _FarWeight:
    def __init__(self, path: str, array: Any) -> None:
        self.path, self.shape, self._array = path, array.shape, array

    def numpy(self) -> Any:
        """A copy."""
        return self._array.copy()


class Mirrors:
    """The layers that both sides know, by number; ``step`` keeps the two sides' numbers apart (0 or 1)."""

    def __init__(self, step: int) -> None:
        self._next, self._step = step, step
        self._layers: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._in_step: dict[int, str] = {}  # what both sides know to be a model's state

    def __getitem__(self, number: int) -> Any:
        return self._layers[number]

    def number_of(self, layer: Any) -> int | None:
        """The number of a layer that both sides know."""
        return self._numbers.get(id(layer))

    def add(self, layer: Any, number: int | None = None) -> int:
        """Let both sides know a layer by a number; one that the other side gives must be a new one of its own."""
        if number is None:
            number, self._next = self._next, self._next + 2
        elif not isinstance(number, int) or number % 2 == self._step or number in self._layers:
            raise ValueError(f"a layer's number that is none: {number!r}")
        self._layers[number], self._numbers[id(layer)] = layer, number
        return number

    # A model on its way

    def describe(self, model: Any) -> dict[str, Any]:
        """A model that the other side does not know yet; ``config`` is missing where its class is the student's."""
        try:
            config = keras.saving.serialize_keras_object(model)
            config.pop("compile_config", None)
            text = json.dumps(config)
            _refuse_code(config)
        except Exception:  # get_config may be anyone's
            return {"id": self.add(model), "paths": []}
        paths = []
        for path, layer in _inside(model, self.number_of):
            number = self.number_of(layer)
            paths.append([path, self.add(layer) if number is None else number, number is not None])
        number = self.add(model)
        state = _state(model)
        self._in_step[number] = _digest(state)
        return {"id": number, "config": text, "paths": paths, "state": state}

    def build(self, described: dict[str, Any]) -> Any:
        """The model that the other side has described.

        Raises:
            ValueError: It holds code, or cannot be built.
        """
        config = json.loads(described["config"])
        _refuse_code(config)
        config.pop("compile_config", None)
        try:
            fresh = keras.saving.deserialize_keras_object(config, safe_mode=True)
            known = {tuple(path): self._layers[number] for path, number, there in described["paths"] if there}
            model = _grafted(fresh, (), known) if known else fresh
            for path, number, there in described["paths"]:
                if not there:
                    self.add(_at(model, path), number)
            self.add(model, described["id"])
            self.put(described["id"], described["state"])
        except Exception as error:
            raise ValueError(f"a model that cannot be built again ({type(error).__name__}: {error})") from None
        return model

    # What changes in it

    def state(self, number: int) -> Any:
        """The state of a model, or ``None`` if the other side has it already."""
        model = self._layers.get(number)
        if model is None or isinstance(model, FarModel) or number not in self._in_step:
            return None
        state = _state(model)
        digest = _digest(state)
        if self._in_step[number] == digest:
            return None
        self._in_step[number] = digest
        return state

    def put(self, number: int, state: Any) -> None:
        """Give a model the state that it has on the other side.

        Raises:
            ValueError: The state is that of another model.
        """
        model = self._layers[number]
        for path, flag in state["flags"]:
            layer = _at(model, path)
            if layer.trainable != bool(flag):
                layer.trainable = bool(flag)
        for path, arrays, flags in state["weights"]:
            weights = _at(model, path).weights
            if [tuple(weight.shape) for weight in weights] != [array.shape for array in arrays]:
                raise ValueError("weights of another shape came back for a model")
            for weight, array, flag in zip(weights, arrays, flags, strict=True):
                if np.asarray(weight).tobytes() != array.tobytes():
                    weight.assign(array)
                if weight.trainable != bool(flag):
                    weight.trainable = bool(flag)
        self._in_step[number] = _digest(_state(model))


def _refuse_code(config: Any) -> None:
    if isinstance(config, dict):
        if "class_name" in config:
            module = config.get("module")
            fine = module is None or module in _OURS or _KERAS.match(str(module))
            if config["class_name"] in _RUNS_CODE or not fine:
                raise ValueError(f"a model that travels must hold layers of Keras only, got {config['class_name']!r}.")
            if module in _OURS:
                importlib.import_module(module)
        for part in config.values():
            _refuse_code(part)
    elif isinstance(config, list | tuple):
        for part in config:
            _refuse_code(part)


def _inside(model: Any, known: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Any]]:
    """The layers in a model, those of inner models too, but not the inside of what both sides know."""
    for layer in model.layers:
        yield [*path, layer.name], layer
        if isinstance(layer, keras.Model) and known(layer) is None:
            yield from _inside(layer, known, (*path, layer.name))


def _at(model: Any, path: list[str]) -> Any:
    for name in path:
        model = model.get_layer(name)
    return model


def _grafted(model: Any, path: tuple[str, ...], known: dict[tuple[str, ...], Any]) -> Any:
    """The model, with the layers that are known in place of those of the same path."""

    def layer_of(layer: Any) -> Any:
        here = (*path, layer.name)
        if here in known:
            return known[here]
        inner = any(other[: len(here)] == here for other in known)
        return _grafted(layer, here, known) if inner else layer

    return keras.models.clone_model(model, clone_function=layer_of)


def _state(model: Any) -> dict[str, Any]:
    flags, weights = [[[], bool(model.trainable)]], []
    for path, layer in _inside(model, lambda _: None):
        flags.append([path, bool(layer.trainable)])
        if not isinstance(layer, keras.Model) and layer.weights:
            arrays = [np.asarray(weight) for weight in layer.weights]
            weights.append([path, arrays, [bool(weight.trainable) for weight in layer.weights]])
    return {"flags": flags, "weights": weights}


def _digest(state: dict[str, Any]) -> str:
    found = hashlib.blake2b(repr(state["flags"]).encode(), digest_size=16)
    for _, arrays, flags in state["weights"]:
        found.update(repr(flags).encode())
        for array in arrays:
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
