"""Checks that several modules share: what passes stays what it was, the rest gets one sentence."""

from typing import Any

import numpy as np
import pytest
from support import refused

from helpers.base.arguments import class_numbers, finite_numbers, one_number, real_array


@pytest.mark.parametrize("value", [3, 3.0, True, np.float32(3), np.array(3), float("nan")])
def test_one_number(value: Any) -> None:
    found = one_number(value, "x")
    assert type(found) is float
    assert found == value or np.isnan(value)


@pytest.mark.parametrize("value", ["3", b"3", None, [3], (3,), {}, np.ones(1), 1j, 10**400])
def test_one_number_refuses(value: Any) -> None:
    with refused("x must be one number, not a value of type"):
        one_number(value, "x")


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_arrays_keep_their_type(kind: Any) -> None:
    array = np.array([0, 1], kind)
    assert real_array(array, "x") is array
    assert class_numbers(array, "x") is array
    assert finite_numbers(array, "x", 1).dtype == np.float64


@pytest.mark.parametrize("value", ["3", ["a"], None, [None], [1j], [[1], [1, 2]], {}, object()])
def test_real_array_refuses(value: Any) -> None:
    for check in (real_array, class_numbers, finite_numbers):
        with refused("x must be an array of numbers"):
            check(value, "x")


def test_numbers_that_are_not_finite_or_not_whole() -> None:
    for value in (np.nan, np.inf):
        with refused("x holds values that are not finite"):
            finite_numbers([1, value], "x")
        with refused("x must be class numbers, all of them whole"):
            class_numbers([1, value], "x")
    with refused("take argmax(axis=1) first"):
        class_numbers([0.5], "x")
    with refused("x must have 1 axis, not the shape (1, 2)"):
        finite_numbers([[1, 2]], "x", 1)
