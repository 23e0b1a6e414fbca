"""The gradient triangle: one loss differentiated three ways, and which of the ways disagrees.

*Symbolic* is SymPy's derivative of an expression, *automatic* is TensorFlow's ``GradientTape``, *numeric* is SciPy's
central differences. They share no code, so a mistake in one of them, or in a gradient that somebody derived by hand,
stands out against the others.
"""

from __future__ import annotations

import functools
import html
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.start import start_up_lines_dropped
from tlkit.words import one_line

__all__ = ["GradientTriangle", "gradient_triangle"]

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = dict[str, Array]

# A difference is relative to the larger of the two values, or to this share of the whole gradient's largest component
# where that is more: beside 1.0, rounding makes 1e-16 of a zero, and nothing is wrong.
_SMALL_COMPONENT = 1e-3
# Rounding the loss (2e-16 of it) over a step of 1e-2 leaves about 2e-14 of the loss in a difference quotient. Relative
# to this share of the loss, that is far below any sensible tolerance.
_SMALL_BESIDE_LOSS = 1e-7


@dataclass(frozen=True, repr=False)
class GradientTriangle:
    """Up to four gradients of one loss, compared.

    Attributes:
        table: One row per component (``z[0]``, ``W[0, 1]``); columns ``symbolic``, ``automatic``, ``numeric`` and
            ``claimed`` as far as they exist, and the largest ``relative difference`` between any two of them.
        differences: The largest relative difference of each pair of columns, over components without a kink.
        disagrees: The columns outside the largest group that agrees; all columns if no group is the largest.
        kinks: Components at which the loss has two slopes, and so no derivative.
        verdict: All this in words, on one line.
    """

    table: pd.DataFrame
    differences: dict[tuple[str, str], float]
    disagrees: tuple[str, ...]
    kinks: tuple[str, ...]
    verdict: str

    @property
    def agrees(self) -> bool:
        """Whether there are two columns or more, all agree, and the loss has no kink at the point."""
        return bool(self.differences) and not self.disagrees and not self.kinks

    def __repr__(self) -> str:
        return f"{self.table}\n{self.verdict}"

    def _repr_html_(self) -> str:
        return f"{self.table.to_html()}<p>{html.escape(self.verdict)}</p>"


def gradient_triangle(
    loss: Any,
    at: Mapping[str, npt.ArrayLike],
    *,
    given: Mapping[str, npt.ArrayLike] | None = None,
    symbolic: Any = None,
    automatic: Callable[..., Any] | None = None,
    numeric: Callable[..., Any] | None = None,
    claimed: Any = None,
    tolerance: float = 1e-6,
) -> GradientTriangle:
    """Differentiate a loss symbolically, automatically and by central differences, and say which way disagrees.

    ``loss`` is differentiated in each way that it allows. A SymPy expression allows all three. A function of tensors
    (``keras.ops``, ``tf`` or plain arithmetic) allows the automatic and the numeric one, a NumPy function the numeric
    one. ``symbolic``, ``automatic`` and ``numeric`` bring another writing of the same loss for their column.

    Functions are called with the values as arguments by name, in ``float64``. In an expression, ``z`` of shape ``(3,)``
    is ``IndexedBase("z")[i]``, a ``MatrixSymbol("z", 3, 1)`` or ``symbols("z:3")``; ``W`` of two axes is likewise
    ``W[i, j]`` or ``W_i_j``; a number is ``Symbol("a")``.

    The numeric gradient uses central differences of order 8 and lets SciPy halve the step until two estimates agree
    (``scipy.differentiate.derivative``). The first step is a hundredth of the component, or of 1 if that is more;
    shorter ones follow where the loss is not finite that far away.

    Args:
        loss: A SymPy expression, or a function that returns one number.
        at: The point: a value for each parameter that the gradient is taken for. Integers are read as floats.
        given: Values of what is held constant, such as labels.
        symbolic: A SymPy expression of the loss.
        automatic: The loss as a function of tensors.
        numeric: The loss as a function of arrays or tensors.
        claimed: A gradient to check: an array, a SymPy matrix or list of expressions, a function of the values that
            returns one, or a mapping from each parameter's name to one.
        tolerance: The largest relative difference that counts as agreement.

    Returns:
        The gradients side by side, and the verdict.

    Raises:
        TypeError: ``loss`` is neither a function nor an expression.
        ValueError: A value or the loss is not finite; the loss is not one number, not ``float64``, or not the same at
            each call; it raises; a symbol has no value; a claimed gradient has another shape than its parameter.
    """
    point, constants = _values(at, "at"), _values(given or {}, "given")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be more than 0, got {tolerance}.")
    if not point:
        raise ValueError("at must name at least one parameter, got none.")
    if shared := sorted(point.keys() & constants):
        raise ValueError(f"at and given must not share a name, got {shared[0]!r} in both.")
    if not (_is_symbolic(loss) or callable(loss)):
        raise TypeError(f"loss must be a SymPy expression or a function, got {type(loss).__name__}.")
    symbols = _Symbols({**point, **constants})
    tensor_loss = array_loss = loss
    if _is_symbolic(loss):
        symbolic = loss if symbolic is None else symbolic
        tensor_loss = symbols.tensor_function(symbols.read(loss))
        array_loss = symbols.array_function(symbols.read(loss))
    expression = None if symbolic is None else symbols.read(symbolic)

    numeric_loss = _Loss(numeric or array_loss, point, constants, "numeric" if numeric else "loss")
    automatic_loss = _Loss(automatic or tensor_loss, point, constants, "automatic" if automatic else "loss")
    if automatic and not automatic_loss.on_tensors:
        raise ValueError("automatic must return a tensor; through NumPy there is no automatic gradient.")
    if expression is not None and not automatic_loss.on_tensors:
        automatic_loss = _Loss(symbols.tensor_function(expression), point, constants, "symbolic")

    columns: dict[str, Array] = {}
    if expression is not None:
        columns["symbolic"] = symbols.evaluate([expression.diff(symbols.stand_ins[label]) for label in _labels(point)])
    if automatic_loss.on_tensors:
        columns["automatic"] = automatic_loss.tape_gradient()
    columns["numeric"] = numeric_loss.central_differences()
    if claimed is not None:
        columns["claimed"] = _claimed_gradient(claimed, point, symbols)
    return _compare(columns, numeric_loss, tolerance)


# What is compared, and what is said about it


def _compare(columns: dict[str, Array], loss: _Loss, tolerance: float) -> GradientTriangle:
    labels = _labels(loss.point)
    kinks = _kinks(loss, columns["numeric"], labels)
    smooth = np.array([label not in kinks for label in labels])
    pairs = list(itertools.combinations(columns, 2))
    relative = {pair: _relative_difference(columns[pair[0]], columns[pair[1]], loss.largest) for pair in pairs}
    largest = {pair: float(np.max(relative[pair][smooth], initial=0)) for pair in pairs}

    groups: list[list[str]] = []
    for name in columns:
        agreeing = (group for group in groups if all(largest[member, name] <= tolerance for member in group))
        if (group := next(agreeing, None)) is not None:
            group.append(name)
        else:
            groups.append([name])
    groups.sort(key=len, reverse=True)
    has_majority = len(groups) == 1 or len(groups[0]) > len(groups[1])
    majority = groups[0] if has_majority else []

    def how(name: str, reference: str, called: str) -> str:
        one, other = columns[name][smooth], columns[reference][smooth]
        if not np.isfinite(one).all():
            return f"not finite at {np.array(labels)[smooth][~np.isfinite(one)][0]}"
        if factor := _factor(one, other, tolerance):
            return f"{factor:.4g} times {called}"
        gaps = _relative_difference(one, other, loss.largest)
        return f"relative difference {np.max(gaps):.2g} at {np.array(labels)[smooth][np.argmax(gaps)]}"

    sentences = []
    if has_majority:
        sentences += [
            f"{name} disagrees ({how(name, majority[0], 'the others')})." for name in columns if name not in majority
        ]
        if len(columns) == 1:
            sentences.append(f"{majority[0]} alone: there is nothing to compare it with.")
        elif smooth.any():
            worst = max(value for pair, value in largest.items() if set(pair) <= set(majority))
            size = f"to {worst:.0e}" if worst else "exactly"
            sentences.append(f"{', '.join(majority[:-1])} and {majority[-1]} agree {size}.")
    elif len(columns) == 2:
        one, other = columns
        sentences.append(
            f"{one} and {other} disagree ({other}: {how(other, one, one)}); a third would tell which errs."
        )
    else:
        sides = " against ".join(" and ".join(group) for group in groups)
        sentences.append(f"no majority: {sides} (relative difference {max(largest.values()):.2g}).")
    for label, (left, right) in kinks.items():
        sentences.append(
            f"no derivative at {label}: a kink, slope {left:.4g} on its left and {right:.4g} on its right."
        )

    table = pd.DataFrame(columns, index=pd.Index(labels, name="component"))
    table["relative difference"] = np.max(list(relative.values()), axis=0) if pairs else 0.0
    disagrees = tuple(name for name in columns if name not in majority)
    return GradientTriangle(table, largest, disagrees, tuple(kinks), " ".join(sentences))


def _relative_difference(one: Array, other: Array, loss_size: float) -> Array:
    finite = np.isfinite(one) & np.isfinite(other)
    size = np.maximum(_size(np.where(finite, one, 0), loss_size), _size(np.where(finite, other, 0), loss_size))
    gap = np.abs(np.subtract(one, other, out=np.zeros_like(one), where=finite))
    return np.where(finite, np.divide(gap, size, out=np.zeros_like(gap), where=size > 0), math.inf)


def _size(gradient: Array, loss_size: float) -> Array:
    """What a difference in each component is relative to."""
    size: Array = np.nan_to_num(np.abs(gradient))
    return size.clip(min=max(_SMALL_COMPONENT * size.max(), _SMALL_BESIDE_LOSS * loss_size))


def _factor(gradient: Array, reference: Array, tolerance: float) -> float | None:
    """The one number that turns the reference into the gradient, if there is one and it is not 1."""
    if not np.isfinite(reference).all() or not reference.any():
        return None
    factor = float(gradient @ reference / (reference @ reference))
    misses = np.max(np.abs(gradient - factor * reference))
    is_factor = factor and abs(factor - 1) > 1e-3 and misses <= 10 * tolerance * np.max(np.abs(gradient))
    return factor if is_factor else None


def _kinks(loss: _Loss, gradient: Array, labels: list[str]) -> dict[str, tuple[float, float]]:
    """The components at which the slopes to the left and right differ, however short the step, and both slopes."""
    found = {}
    here = loss(loss.flat)
    smallest = 1e-4 * np.max(np.abs(gradient), initial=0, where=np.isfinite(gradient)) + 1e-6 * loss.largest
    for i, (label, x) in enumerate(zip(labels, loss.flat, strict=True)):
        wide, narrow = (
            [(loss.along(i, x + side * step) - here) / (side * step) for side in (-1, 1)]
            for step in (1e-4 * max(1, abs(x)), 1e-5 * max(1, abs(x)))
        )
        gap = abs(narrow[1] - narrow[0])
        # Curvature opens a gap in proportion to the step. That of a kink stays.
        if math.isfinite(gap) and gap > smallest and gap > abs(wide[1] - wide[0]) / 2:
            found[label] = (narrow[0] + 0.0, narrow[1] + 0.0)  # -0.0 would print as -0
    return found


# Functions


class _Loss:
    """A function at its point: checked when it is made, and called on tensors if it keeps to them."""

    def __init__(self, function: Callable[..., Any], point: Values, constants: Values, name: str) -> None:
        self.function, self.point, self.constants, self.name = function, point, constants, name
        self.flat = _flatten(point)
        self.largest = 0.0  # |loss|, over all points it was asked for
        self.on_tensors = True
        with start_up_lines_dropped():  # TensorFlow logs a failing operation like a start-up line
            try:
                self.on_tensors = tf.is_tensor(self._call(self.flat))
            except ValueError:  # perhaps NumPy that takes no tensor; the call on arrays tells
                self.on_tensors = False
        first, second = self(self.flat), self(self.flat)
        if not math.isfinite(first):
            raise ValueError(f"{name} must be finite at the point, got {first}.")
        if first != second:
            raise ValueError(f"{name} must be the same at each call, got {first:.6g}, then {second:.6g}.")

    def __call__(self, flat: Array) -> float:
        result = self._call(flat)
        dtype = getattr(getattr(result, "dtype", None), "name", type(result).__name__)
        if dtype not in ("float64", "float", "int64", "int"):
            hint = " (keras.losses cast, keras.ops do not)" if dtype == "float32" else ""
            raise ValueError(f"{self.name} must return a float64 number, got {dtype}{hint}.")
        if shape := tuple(getattr(result, "shape", ())):
            raise ValueError(f"{self.name} must return one number, got shape {shape}: sum or average it.")
        value = float(result)
        self.largest = max(self.largest, abs(value) if math.isfinite(value) else 0)
        return value

    def along(self, index: int, value: float) -> float:
        """The loss with one component of the point replaced."""
        flat = self.flat.copy()
        flat[index] = value
        return self(flat)

    def _call(self, flat: Array) -> Any:
        flat = flat.copy()  # as the constants below: a function that writes into its arguments spoils nothing
        ends = np.cumsum([value.size for value in self.point.values()])[:-1]
        parts = zip(self.point.items(), np.split(flat, ends), strict=True)
        values = {name: part.reshape(value.shape) for (name, value), part in parts}
        values |= {name: value.copy() for name, value in self.constants.items()}
        return _call(self.function, _tensors(values) if self.on_tensors else values, self.name)

    def tape_gradient(self) -> Array:
        tensors = _tensors(self.point)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = _call(self.function, {**tensors, **_tensors(self.constants)}, self.name)
        # A loss that does not use a parameter has a gradient of zero; so has one that hides it from the tape.
        gradients = tape.gradient(value, list(tensors.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return np.concatenate([np.ravel(tf.convert_to_tensor(gradient)) for gradient in gradients])

    def central_differences(self) -> Array:
        from scipy.differentiate import derivative

        def along(values: Array, indices: Array) -> Array:
            pairs = np.broadcast(values, indices)
            return np.array([self.along(int(index), float(value)) for value, index in pairs]).reshape(pairs.shape)

        gradient, errors = np.full(self.flat.size, math.nan), np.full(self.flat.size, math.inf)
        left = np.arange(self.flat.size)  # components that have no good estimate yet

        def keep_best(found: Any) -> None:  # after each step size: SciPy's last estimate may be one too many
            better = np.isfinite(found.df) & (found.error < errors[left])
            gradient[left[better]], errors[left[better]] = found.df[better], found.error[better]

        size = np.maximum(1, np.abs(self.flat))
        near = np.where(self.flat == 0, 1e-6, 1e-2 * np.abs(self.flat))
        for steps in (1e-2 * size, 1e-4 * size, near):  # short ones for losses that end near the point, as log at 0
            with np.errstate(all="ignore"):
                derivative(
                    along,
                    self.flat[left],
                    args=(left,),
                    initial_step=steps[left],
                    order=8,
                    maxiter=6,
                    tolerances={"atol": 1e-13 * self.largest, "rtol": 1e-10},
                    callback=keep_best,
                )
            left = np.flatnonzero(errors > 1e-8 * _size(gradient, self.largest))
            if not left.size:
                break
        return gradient


def _call(function: Callable[..., Any], values: Mapping[str, Any], name: str) -> Any:
    try:
        with np.errstate(all="ignore"):
            return function(**values)
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ValueError(f"{name} raised {type(error).__name__}: {reason}") from error


def _tensors(values: Values) -> dict[str, Any]:
    return {name: tf.convert_to_tensor(value) for name, value in values.items()}


# Expressions


class _Symbols:
    """SymPy stand-ins for the components of the values, and what can be computed with them."""

    def __init__(self, arrays: Values) -> None:
        self.arrays = arrays

    @functools.cached_property
    def stand_ins(self) -> dict[str, Any]:
        import sympy

        # Real ones: the derivative of |z| is then sign(z), and not that of a complex function.
        return {label: sympy.Dummy(label, real=True) for label in _labels(self.arrays)}

    def read(self, expression: Any) -> Any:
        """The expression with each symbol replaced by its stand-in."""
        import sympy
        from sympy.matrices.expressions.matexpr import MatrixElement

        if not _is_symbolic(expression):
            raise TypeError(f"symbolic must be a SymPy expression, got {type(expression).__name__}.")
        expression = expression.doit()
        if shape := getattr(expression, "shape", ()):
            raise ValueError(f"an expression must be one number, got a matrix of shape {shape}.")
        spelled = {
            spelling: self.stand_ins[label]
            for label, spellings in _spellings(self.arrays).items()
            for spelling in spellings
        }
        entries = expression.atoms(sympy.Indexed, MatrixElement)  # z[0]: it contains a symbol z that is not one itself
        inside = set().union(*(entry.free_symbols for entry in entries))
        found = entries | (expression.free_symbols - inside)
        if missing := sorted({str(symbol) for symbol in found} - spelled.keys()):
            raise ValueError(f"each symbol needs a value in at or given, got none for {', '.join(missing)}.")
        return expression.xreplace({symbol: spelled[str(symbol)] for symbol in found})

    def evaluate(self, expressions: list[Any]) -> Array:
        """Expressions in the stand-ins, at the values."""
        function = self._compile(expressions, ["scipy", "numpy"])
        with np.errstate(all="ignore"):
            return np.array(function(*_flatten(self.arrays)), dtype=np.float64)

    def array_function(self, expression: Any) -> Callable[..., Any]:
        """The expression as a function of arrays by name."""
        function = self._compile(expression, ["scipy", "numpy"])
        return lambda **arrays: function(*_flatten({name: arrays[name] for name in self.arrays}))

    def tensor_function(self, expression: Any) -> Callable[..., Any]:
        """The expression as a function of tensors by name."""
        function = self._compile(expression, "tensorflow")

        def of_tensors(**tensors: Any) -> Any:
            flat = tf.concat([tf.reshape(tensors[name], [-1]) for name in self.arrays], axis=0)
            return tf.convert_to_tensor(function(*tf.unstack(flat)), tf.float64)

        return of_tensors

    def _compile(self, expression: Any, modules: str | list[str]) -> Callable[..., Any]:
        import sympy

        compiled: Callable[..., Any] = sympy.lambdify(list(self.stand_ins.values()), expression, modules, cse=True)
        return compiled


def _is_symbolic(thing: Any) -> bool:
    return hasattr(thing, "free_symbols")  # SymPy's; told without importing SymPy


def _claimed_gradient(claimed: Any, point: Values, symbols: _Symbols) -> Array:
    if callable(claimed) and not _is_symbolic(claimed):
        claimed = _call(claimed, {name: value.copy() for name, value in symbols.arrays.items()}, "claimed")
    by_name = claimed if isinstance(claimed, Mapping) else dict.fromkeys(point, claimed)
    if by_name.keys() != point.keys() or (len(point) > 1 and by_name is not claimed):
        got = list(by_name) if by_name is claimed else type(claimed).__name__
        raise ValueError(f"claimed must be a mapping that names {list(point)}, got {got}.")
    parts = []
    for name, value in point.items():
        array = np.array(by_name[name])
        if array.dtype == object:  # expressions; a column of them, as from a SymPy matrix, is a vector
            array = array.reshape(value.shape) if array.shape == (*value.shape, 1) else array
            entries = [symbols.read(entry) if _is_symbolic(entry) else entry for entry in array.ravel()]
            array = symbols.evaluate(entries).reshape(array.shape)
        if array.shape != value.shape:
            raise ValueError(f"the claimed gradient of {name} must have its shape {value.shape}, got {array.shape}.")
        parts.append(array.astype(np.float64).ravel())
    return np.concatenate(parts)


# Values


def _values(values: Mapping[str, npt.ArrayLike], argument: str) -> Values:
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{argument} must map names to values, as {{'z': [0.5, 1.0]}} does, got {type(values).__name__}."
        )
    checked = {}
    for name, value in values.items():
        got = one_line(repr(value), 60)
        try:
            # NumPy reads a variable with a warning.
            array = np.array(value.numpy() if isinstance(value, keras.Variable | tf.Variable) else value)
            if not np.isrealobj(array):
                raise TypeError
            checked[name] = array.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{argument}[{name!r}] must be an array of real numbers, got {got}.") from None
        if not array.size or not np.isfinite(checked[name]).all():
            raise ValueError(f"{argument}[{name!r}] must hold finite numbers, got {got}.")
    return checked


def _flatten(values: Values) -> Array:
    return np.concatenate([np.ravel(value) for value in values.values()])


def _labels(values: Values) -> list[str]:
    """``z[0]``, ``W[0, 1]``, and plain ``a`` for a number: each component, in row order."""
    return [spellings[0] for spellings in _spellings(values).values()]


def _spellings(values: Values) -> dict[str, list[str]]:
    """Each component's label, and the ways in which SymPy may write it."""
    found = {}
    for name, value in values.items():
        for index in np.ndindex(value.shape):
            digits = [str(i) for i in index]
            label = f"{name}[{', '.join(digits)}]" if digits else name
            found[label] = [label, "_".join([name, *digits]), "".join([name, *digits])]
            if len(digits) == 1:
                found[label].append(f"{name}[{digits[0]}, 0]")  # an entry of a MatrixSymbol with one column
    return found
