"""One call refuses a bad argument with one sentence that names it, or gives it back ready for use.

Ranges: `low` and `high` are allowed themselves unless `closed` leaves one out ("low": only the low
end belongs to the range, "high": only the high end, "neither": none does).
"""

import math
import sys
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helpers.base.errors import CourseError

if TYPE_CHECKING:
    from torch import Tensor

Closed = Literal["both", "low", "high", "neither"]


def one_number(
    value: Any,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    closed: Closed = "both",
) -> float:
    """The value as a float, finite and within the range; refuses text, None, lists and arrays."""
    try:
        if isinstance(value, str | bytes) or getattr(value, "ndim", 0) > 0:
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CourseError(
            f"{name} must be one number, not a value of type {type(value).__name__}."
        ) from error
    if not (math.isfinite(number) and _within(number, low, high, closed)):
        raise CourseError(f"{name} must be {_range(low, high, closed)}, not {value}.")
    return number


def whole_number(value: Any, name: str, low: int) -> int:
    """The value as an int, `low` or more; refuses 2.0 and True too."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise CourseError(f"{name} must be a whole number, {low} or more, not {value!r}.")
    return int(value)


def real_array(values: Any, name: str) -> np.ndarray:
    """The values as an array of whole or real numbers, also from a torch tensor on any device."""
    try:
        if hasattr(values, "detach"):  # NumPy has no bfloat16
            short = values.is_floating_point() and values.element_size() < 4
            values = (values.float() if short else values).numpy(force=True)
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CourseError(f"{name} must be an array of numbers.") from error
    if array.dtype.kind not in "biuf":
        raise CourseError(f"{name} must be an array of numbers, not of type {array.dtype}.")
    return array


def numbers(
    values: Any,
    name: str,
    axes: int | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    closed: Closed = "both",
) -> np.ndarray:
    """The values as float64: at least one, all finite and within the range."""
    array = real_array(values, name).astype(np.float64, copy=False)
    _check_shape(array, name, axes)
    if not (np.isfinite(array) & _within(array, low, high, closed)).all():
        raise CourseError(f"{name} must be {_range(low, high, closed)}, all of them.")
    return array


def vector(values: Any, name: str, **limits: Any) -> np.ndarray:
    """`numbers` with one axis."""
    return numbers(values, name, 1, **limits)


def matrix(values: Any, name: str, **limits: Any) -> np.ndarray:
    """`numbers` with two axes, rows x columns."""
    return numbers(values, name, 2, **limits)


def class_labels(values: Any, name: str, classes: int | None = None) -> np.ndarray:
    """Class numbers, one axis, at least one, as int64; from 0 to `classes` - 1 if that is given."""
    array = real_array(values, name)
    _check_shape(array, name, 1)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise CourseError(
            f"{name} must be class numbers, all of them whole; of scores or probabilities take "
            "argmax(axis=1) first."
        )
    if classes is not None and not _within(array, 0, classes, "low").all():
        raise CourseError(
            f"{name} must be from 0 to {classes - 1}; leave out the examples without a label."
        )
    return array.astype(np.int64, copy=False)


def zeros_and_ones(values: Any, name: str, axes: int | None = None) -> np.ndarray:
    """The values as float64, each of them 0 or 1 (False or True)."""
    array = numbers(values, name, axes)
    if not np.isin(array, (0, 1)).all():
        raise CourseError(f"{name} must be 0 or 1 (False or True), all of them.")
    return array


def same(what: str, **found: Any) -> None:
    """Refuses if not all the arguments have the same shape, length, number of columns ..."""
    if len(set(found.values())) > 1:
        raise CourseError(
            f"{_listed(found)} must have the same {what}, not {_listed(map(str, found.values()))}."
        )


def float_tensor(
    value: Any,
    name: str,
    axes: int | None = None,
    low: float | None = None,
    closed: Closed = "both",
) -> "Tensor":
    """The value, a torch tensor of floats with at least one, in float32 or more precisely.

    Its numbers (finite, `low` or more) are looked at only if `low` is given: a GPU has to be waited
    for.
    """
    torch = sys.modules.get("torch")  # who has a tensor has torch; TensorFlow's lessons have none
    if torch is None or not isinstance(value, torch.Tensor) or not value.is_floating_point():
        kind = getattr(value, "dtype", None) or f"a value of type {type(value).__name__}"
        raise CourseError(f"{name} must be a torch tensor of floats, not {kind}.")
    _check_shape(value, name, axes)
    if low is not None:
        fits = value.detach().isfinite() & _within(value.detach(), low, math.inf, closed)
        if not fits.all():
            raise CourseError(f"{name} must be {_range(low, math.inf, closed)}, all of them.")
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _check_shape(array: Any, name: str, axes: int | None) -> None:
    shape = tuple(array.shape)
    if axes is not None and len(shape) != axes:
        axis = "axis" if axes == 1 else "axes"
        raise CourseError(f"{name} must have {axes} {axis}, not the shape {shape}.")
    if 0 in shape:
        raise CourseError(f"{name} must not be empty, but has the shape {shape}.")


def _within(value: Any, low: float, high: float, closed: Closed) -> Any:
    above = value >= low if closed in ("both", "low") else value > low
    below = value <= high if closed in ("both", "high") else value < high
    return above & below


def _range(low: float, high: float, closed: Closed) -> str:
    """The range in words: "from 0 to 1", "0 or more and below 1", "finite and above 0"."""
    if closed == "both" and math.isfinite(low) and math.isfinite(high):
        return f"from {low:g} to {high:g}"
    words = [] if math.isfinite(low) and math.isfinite(high) else ["finite"]
    if math.isfinite(low):
        words.append(f"{low:g} or more" if closed in ("both", "low") else f"above {low:g}")
    if math.isfinite(high):
        words.append(f"{high:g} or less" if closed in ("both", "high") else f"below {high:g}")
    return " and ".join(words)


def _listed(words: Any) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"
