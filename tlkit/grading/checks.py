"""A student's function against an oracle, and what training must move and must not."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tlkit.grading.limits import limited
from tlkit.grading.meter import Meter
from tlkit.grading.wire import Gone
from tlkit.words import said

if TYPE_CHECKING:  # a check of NumPy functions must not wait for TensorFlow
    from tlkit._keras import keras
    from tlkit.domains import Array

__all__ = [
    "call_student",
    "check_batchnorm_still",
    "check_example",
    "check_inputs_kept",
    "check_logits",
    "check_moved",
    "check_result",
    "check_same",
    "check_unmoved",
    "copy_weights",
]

Draw = Callable[[np.random.Generator], tuple[Any, ...]]

# The part of an array's largest entry that a tolerance may be relative to, for the entries that are nearly zero.
_SMALL_ENTRY = 1e-2
_MOST_NUMBERS = 10**7  # of a result: as Python's floats they take 32 bytes each


# A student's function against an oracle


def check_example(
    student: Callable[..., Any],
    arguments: tuple[Any, ...],
    expected: Any,
    *,
    reread: str,
    tolerance: float = 1e-4,
    seconds: float = 5.0,
) -> None:
    """One example that the student may see: on failure the message shows the numbers.

    Args:
        expected: An array or a number, or a tuple of them for a function with several results.
        reread: Where to read it up, such as ``"notebook 01, section 2"``.
        tolerance: As in :func:`check_same`.
        seconds: Limit on the call.

    Raises:
        AssertionError: It came out differently.
    """
    name = _name(student)
    with _one_line(name, reread):
        got = _call(student, arguments, Meter(seconds))
        _same(got, expected, tolerance, f"for {_short(arguments)}", show=True)


def check_same(
    student: Callable[..., Any],
    oracle: Callable[..., Any],
    draw: Draw,
    *,
    reread: str,
    seed: int,
    points: int = 5,
    tolerance: float = 1e-4,
    seconds: float = 5.0,
    megabytes: float | None = 4000.0,
    inputs_kept: bool = True,
) -> None:
    """The student's function equals the oracle at random points, whatever formula it uses.

    Lists, tuples, any float type and tensors are all welcome. What the function prints or warns is dropped.

    Args:
        oracle: Returns an array or a number, or a tuple of them for several results.
        draw: Makes the arguments of one call from a generator.
        reread: Where to read it up, such as ``"notebook 01, section 2"``.
        seed: Of the generator.
        points: How many calls.
        tolerance: Largest difference allowed, relative to the entry, or to a hundredth of the array's largest.
        seconds: Limit on all calls together.
        megabytes: Limit on the memory of each call.
        inputs_kept: Also fail a function that changes its arguments.

    Raises:
        AssertionError: It differs somewhere, or fails.
    """
    name = _name(student)
    meter = Meter(seconds)
    rng = np.random.default_rng(seed)
    with _one_line(name, reread):
        for _ in range(points):
            with np.errstate(all="ignore"):  # whatever the notebook has set
                arguments = draw(rng)
            given = copy.deepcopy(arguments)
            got = _call(student, given, meter, megabytes)
            with np.errstate(all="ignore"):  # only now: the student's function finds no right numbers in our frame
                expected = oracle(*copy.deepcopy(arguments))
            _same(got, expected, tolerance, f"for random arguments of {_shapes(arguments)}", show=False)
            if inputs_kept:
                _kept(given, arguments)


def check_result(
    student: Callable[..., Any],
    judge: Callable[..., str],
    draw: Draw,
    *,
    reread: str,
    seed: int,
    results: int = 1,
    dims: int | None = None,
    points: int = 5,
    seconds: float = 5.0,
    megabytes: float | None = 4000.0,
    inputs_kept: bool = True,
) -> None:
    """What the student's function returns holds, where many results are right: a random split, any way to resize.

    Args:
        judge: Gets the result as a number or as (nested) lists of numbers, one for each of ``results``, and then the
            arguments. Returns what is wrong, in words that follow the function's name, or ``""``.
        draw: Makes the arguments of one call from a generator.
        reread: Where to read it up, such as ``"notebook 02, section 2"``.
        seed: Of the generator.
        results: How many the function returns; above 1 they come as a tuple or a list.
        dims: Dimensions that each result must have: 0 for a number, 1 for a list, 2 for an image; ``None`` for any.
        points: How many calls.
        seconds: Limit on all calls together.
        megabytes: Limit on the memory of each call.
        inputs_kept: Also fail a function that changes its arguments.

    Raises:
        AssertionError: The judge finds something wrong, or the function fails.
    """
    meter = Meter(seconds)
    rng = np.random.default_rng(seed)
    with _one_line(_name(student), reread):
        for _ in range(points):
            arguments = draw(rng)
            given = copy.deepcopy(arguments)
            got = _call(student, given, meter, megabytes)
            if results > 1 and not (isinstance(got, list | tuple) and len(got) == results):
                raise _Wrong(f"must return {results} results, got {_short(got)}")
            arrays = [_numbers(one) for one in (got if results > 1 else [got])]
            if bad := [shape for shape, _ in arrays if dims is not None and len(shape) != dims]:
                raise _Wrong(f"must return arrays of {dims} dimensions, got the shape {bad[0]}")
            if wrong := judge(*(_nested(*array) for array in arrays), *copy.deepcopy(arguments)):
                raise _Wrong(wrong)
            if inputs_kept:
                _kept(given, arguments)


def _nested(shape: tuple[int, ...], numbers: list[float]) -> Any:
    """Numbers in row order as lists of lists."""
    if not shape:
        return numbers[0]
    step = math.prod(shape[1:])
    return [_nested(shape[1:], numbers[i * step : (i + 1) * step]) for i in range(shape[0])]


def check_inputs_kept(
    student: Callable[..., Any], draw: Draw, *, reread: str, seed: int, points: int = 3, seconds: float = 5.0
) -> None:
    """The student's function leaves its arguments as they were; what it returns is not looked at, if it is something.

    Raises:
        AssertionError: It changes an argument in place, returns nothing, or fails.
    """
    rng = np.random.default_rng(seed)
    with _one_line(_name(student), reread):
        for _ in range(points):
            arguments = draw(rng)
            given = copy.deepcopy(arguments)
            if _call(student, given, Meter(seconds)) is None:
                raise _Wrong("must return its result, got None")
            _kept(given, arguments)


def call_student(
    student: Callable[..., Any], arguments: tuple[Any, ...], *, kind: type, reread: str, seconds: float = 20.0
) -> Any:
    """What the student's function returns, for a check of more than numbers: of a model, of what training moved.

    Args:
        arguments: They are passed as they are: a model that it trains is trained.
        kind: The type that the result must have; ``object`` for any, ``None`` included.
        reread: Where to read it up, such as ``"notebook 03, section 4"``.
        seconds: Limit on the call.

    Raises:
        AssertionError: The function fails, or returns something else.
    """
    with _one_line(_name(student), reread):
        got = _call(student, arguments, Meter(seconds))
        if not isinstance(got, kind):
            raise _Wrong(f"must return a {kind.__name__}, got {_kind(got)}")
        return got


class _Wrong(Exception):
    """What is wrong with a student's function, without its name in front."""


@contextlib.contextmanager
def _one_line(name: str, reread: str) -> Iterator[None]:
    try:
        yield
    except _Wrong as wrong:
        raise AssertionError(f"{name} {' '.join(str(wrong).split())[:400].rstrip('.')}. Reread {reread}.") from None


def _name(student: Any) -> str:
    name = getattr(student, "__name__", type(student).__name__)
    return name[:40] if isinstance(name, str) else "your function"


def _call(student: Callable[..., Any], arguments: tuple[Any, ...], meter: Meter, megabytes: float | None = None) -> Any:
    """What the function returns; whatever else it does is a ``_Wrong``."""
    if not callable(student):
        raise _Wrong(f"must be a function, got {_short(student)}")
    silence = _Silence()
    try:
        with (
            contextlib.redirect_stdout(silence),
            contextlib.redirect_stderr(silence),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            limited(meter, megabytes),
        ):
            warnings.simplefilter("ignore")  # a warning on stderr would cost the cell's points
            return student(*arguments)
    except NotImplementedError:
        raise _Wrong("is not written yet: it raised NotImplementedError") from None
    except TimeoutError as error:
        late = str(error).startswith("took longer")
        raise _Wrong(f"must end within {meter.seconds:g} s, and did not" if late else _raised(error)) from None
    except MemoryError as error:
        raise _Wrong(str(error).rstrip(".") or "needed too much memory") from None
    except (KeyboardInterrupt, Gone):
        raise  # whoever grades wants to stop, and where the student's process has ended there is nothing to call
    except BaseException as error:
        raise _Wrong(_raised(error)) from None


class _Silence(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _raised(error: BaseException) -> str:
    reason = (said(error).strip() or "no message").splitlines()[0]
    return f"must return a result, but raised {type(error).__name__}: {reason}"


def _same(got: Any, expected: Any, tolerance: float, where: str, *, show: bool) -> None:
    if not isinstance(expected, tuple):
        _same_array(got, expected, tolerance, where, show=show)
        return
    if not isinstance(got, list | tuple) and not (isinstance(got, np.ndarray) and got.ndim == 1):
        raise _Wrong(f"must return {len(expected)} results, got {_kind(got)}")
    if len(got) != len(expected):
        raise _Wrong(f"must return {len(expected)} results, got {len(got)}")
    for number, (one, other) in enumerate(zip(got, expected, strict=True), start=1):
        _same_array(one, other, tolerance, f"as result {number} {where}", show=show)


def _same_array(got: Any, expected: Any, tolerance: float, where: str, *, show: bool) -> None:
    wanted_shape, wanted = _numbers(expected)
    shape, numbers = _numbers(got)
    if shape != wanted_shape:
        raise _Wrong(f"must have the shape {wanted_shape} {where}, got {shape}")
    bad = [number for number in numbers if not math.isfinite(number)]
    if bad and all(math.isfinite(number) for number in wanted):
        raise _Wrong(f"must be finite {where}, got {bad[0]}")
    excesses = _excesses(numbers, wanted, tolerance)
    wrong = sum(excess > 1 for excess in excesses)
    if not wrong:
        return
    if show:
        raise _Wrong(f"must be {_short(expected)} {where}, got {_short(np.array(numbers).reshape(shape))}")
    worst = excesses.index(max(excesses))
    place = f", the worst at index {_index(worst, shape)}" if shape else ""
    gap = abs(numbers[worst] - wanted[worst])
    allowed = f" where {gap / excesses[worst]:.1g} is allowed" if 0 < excesses[worst] < math.inf else ""
    raise _Wrong(f"is wrong {where}: {wrong} of {len(wanted)} numbers{place}, off by {gap:.2g}{allowed}")


def _index(at: int, shape: tuple[int, ...]) -> str:
    return str([int(i) for i in np.unravel_index(at, shape)])


def _excesses(numbers: list[float], wanted: list[float], tolerance: float) -> list[float]:
    """Each difference as a multiple of what is allowed."""
    largest = 0.0
    for number in wanted:
        size = -number if number < 0 else number
        largest = size if largest < size < math.inf else largest
    excesses = []
    for one, other in zip(numbers, wanted, strict=True):
        size = -other if other < 0 else other
        allowed = tolerance * (size if size > _SMALL_ENTRY * largest else _SMALL_ENTRY * largest)
        gap = one - other if one > other else other - one
        if one == other or (one != one and other != other):  # inf and NaN where they are wanted
            excesses.append(0.0)
        else:
            excesses.append(gap / allowed if allowed and gap == gap else math.inf)
    return excesses


def _numbers(value: Any) -> tuple[tuple[int, ...], list[float]]:
    """Shape and entries, in row order, of a number, list, array or tensor."""
    kind = _kind(value)
    if value is None:
        raise _Wrong("must return its result, got None: does it end in return?")
    try:
        if not isinstance(value, np.ndarray) and callable(getattr(value, "numpy", None)):
            value = value.numpy()  # a tensor, or a Keras variable
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise TypeError
        if array.size > _MOST_NUMBERS:
            raise _Wrong(f"must return at most {_MOST_NUMBERS:,} numbers, got {array.size:,}")
        array = array.astype(np.float64)
        return tuple(array.shape), [float(number) for number in array.ravel().tolist()]
    except _Wrong:
        raise
    except BaseException:  # an object of the student's, with an __array__ of its own
        raise _Wrong(f"must return numbers in an array of one shape, got {kind}") from None


def _kept(given: tuple[Any, ...], arguments: tuple[Any, ...]) -> None:
    for number, (after, before) in enumerate(zip(given, arguments, strict=True), start=1):
        if not isinstance(before, np.ndarray | list):
            continue
        if _changed(before, after):
            raise _Wrong(f"must leave its arguments alone, but changed number {number} in place: work on a copy")


def _changed(before: Any, after: Any) -> bool:
    try:
        shape, was = _numbers(before)
    except _Wrong:  # a list of names, or of lists that differ in length
        return _written(after) != _written(before)
    shape_after, now = _numbers(after)
    # Adding and taking away a small step leaves a rounding error, which nobody means by a change.
    return shape_after != shape or max(_excesses(now, was, 1e-9), default=0) > 1


def _written(value: Any) -> str | None:
    try:
        return repr(value)
    except BaseException:  # an object of the student's that got into the list
        return None


def _shapes(arguments: tuple[Any, ...]) -> str:
    shapes = [str(tuple(a.shape)) for a in arguments if isinstance(a, np.ndarray)]
    if shapes:
        return f"shape {' and '.join(shapes)}"
    return "one number each" if all(isinstance(a, int | float) for a in arguments) else _list([*map(_kind, arguments)])


def _kind(value: Any) -> str:
    return type(value).__name__


def _short(value: Any) -> str:
    def rounded(item: Any) -> Any:
        if isinstance(item, np.ndarray | np.generic):
            return np.round(np.asarray(item, dtype=np.float64), 5).tolist()
        if isinstance(item, list | tuple):
            return type(item)(rounded(entry) for entry in item)
        return getattr(item, "__name__", item) if callable(item) else item

    try:
        text = repr(rounded(value))
    except BaseException:
        text = _kind(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


# What training must move, and must not


def copy_weights(model: keras.Model) -> list[tuple[str, Array]]:
    """The path and a copy of each weight, as they are now."""
    return [(weight.path, np.array(weight.numpy())) for weight in model.weights]


def _moved(before: list[tuple[str, Array]], model: keras.Model, reread: str) -> list[str]:
    after = copy_weights(model)
    if [(path, array.shape) for path, array in before] != [(path, array.shape) for path, array in after]:
        raise AssertionError(f"the model must be the same one before and after training, got other weights. {reread}")
    return [path for (path, one), (_, other) in zip(before, after, strict=True) if one.tobytes() != other.tobytes()]


def check_unmoved(
    before: list[tuple[str, Array]], model: keras.Model, *, reread: str, layers: Sequence[str] | None = None
) -> None:
    """Frozen weights are identical, bit by bit.

    Args:
        before: What :func:`copy_weights` gave before training.
        layers: Names of the layers that were to stay; all by default.

    Raises:
        AssertionError: One of them moved, or the model is another one.
    """
    moved = _moved(before, model, f"Reread {reread}.")
    if layers is not None:
        moved = [path for path in moved if set(path.split("/")) & set(layers)]
    if moved:
        raise AssertionError(f"frozen weights must stay as they are, but {_list(moved)} moved. Reread {reread}.")


def check_moved(
    before: list[tuple[str, Array]], model: keras.Model, *, reread: str, layers: Sequence[str] | None = None
) -> None:
    """Every layer that was to learn has a weight that moved.

    Args:
        before: What :func:`copy_weights` gave before training.
        layers: Names of the layers that were to learn; by default any one weight will do.

    Raises:
        AssertionError: One of them stood still, or the model is another one.
    """
    moved = _moved(before, model, f"Reread {reread}.")
    learnt = {name for path in moved for name in path.split("/")}
    still = [name for name in layers if name not in learnt] if layers is not None else []
    if not moved or still:
        raise AssertionError(f"training must move {_list(still) if still else 'a weight'}. Reread {reread}.")


def check_batchnorm_still(before: list[tuple[str, Array]], model: keras.Model, *, reread: str) -> None:
    """No BatchNorm layer's moving statistics changed.

    Raises:
        AssertionError: Some did, or the model is another one.
    """
    moved = [
        path
        for path in _moved(before, model, f"Reread {reread}.")
        if path.split("/")[-1] in ("moving_mean", "moving_variance")
    ]
    if moved:
        raise AssertionError(f"BatchNorm's statistics must stand still, but {_list(moved)} moved. Reread {reread}.")


def check_logits(model: keras.Model, x: Array, n_classes: int, *, reread: str) -> None:
    """The model gives one finite logit a class for each example, and not probabilities.

    Args:
        x: A few examples, as the model takes them.

    Raises:
        AssertionError: The shape is another one, or the output is made of probabilities.
    """
    output = np.asarray(model(x, training=False))
    shape = (len(x), n_classes)
    if output.shape != shape:
        raise AssertionError(f"the model's output must have the shape {shape}, got {output.shape}. Reread {reread}.")
    if not np.isfinite(output).all():
        raise AssertionError(f"logits must be finite, got {output[~np.isfinite(output)][0]}. Reread {reread}.")
    if (output >= 0).all() and np.allclose(output.sum(axis=1), 1, atol=1e-4):
        raise AssertionError(f"the model must end in logits, got probabilities: rows add up to 1. Reread {reread}.")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
