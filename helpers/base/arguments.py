"""Checks that several modules share: each refuses with one sentence that names the value."""

from typing import Any

import numpy as np

from helpers.base.errors import CourseError


def one_number(value: Any, name: str) -> float:
    """The value as a float; refuses text, None, lists and arrays. The range is up to the caller."""
    try:
        if isinstance(value, str | bytes) or getattr(value, "ndim", 0) > 0:
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CourseError(
            f"{name} must be one number, not a value of type {type(value).__name__}."
        ) from error


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


def finite_numbers(values: Any, name: str, axes: int | None = None) -> np.ndarray:
    """The values as float64; refuses what is no number, not finite, or has other axes."""
    array = real_array(values, name).astype(np.float64, copy=False)
    if axes is not None and array.ndim != axes:
        axis = "axis" if axes == 1 else "axes"
        raise CourseError(f"{name} must have {axes} {axis}, not the shape {array.shape}.")
    if not np.isfinite(array).all():
        raise CourseError(f"{name} holds values that are not finite.")
    return array


def class_numbers(values: Any, name: str) -> np.ndarray:
    """The values as an array of whole numbers; their type may be float."""
    array = real_array(values, name)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise CourseError(
            f"{name} must be class numbers, all of them whole; of scores or probabilities take "
            "argmax(axis=1) first."
        )
    return array
