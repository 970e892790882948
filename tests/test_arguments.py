"""Checks of arguments: what passes stays what it was, the rest gets one sentence."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from support import all_refused

from helpers.base.arguments import (
    class_labels,
    float_tensor,
    matrix,
    numbers,
    one_number,
    real_array,
    same,
    vector,
    whole_number,
    zeros_and_ones,
)

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py

NAN, INF = float("nan"), float("inf")


def test_one_number() -> None:
    for value in (3, 3.0, np.float32(3), np.array(3), torch.tensor(3), np.uint8(3)):
        found = one_number(value, "x")
        assert type(found) is float and found == 3
    assert one_number(True, "x") == 1
    assert one_number(0, "x", low=0, high=1) == 0 and one_number(1, "x", low=0, high=1) == 1
    assert one_number(0, "x", low=0, high=1, closed="low") == 0
    assert one_number(1, "x", low=0, high=1, closed="high") == 1
    assert one_number(-1e300, "x", high=0) == -1e300


def test_one_number_refuses() -> None:
    other: list[Any] = ["3", b"3", None, [3], (3,), {}, np.ones(1), 1j, 10**400]
    kinds = [(partial(one_number, v, "x"), "x must be one number, not a value of") for v in other]
    ranges: list[tuple[Any, dict[str, Any], str]] = [
        (NAN, {}, "x must be finite, not nan"),
        (INF, {}, "x must be finite, not inf"),
        (INF, {"low": 0}, "x must be finite and 0 or more, not inf"),
        (-1, {"low": 0}, "x must be finite and 0 or more, not -1"),
        (0, {"low": 0, "closed": "high"}, "x must be finite and above 0, not 0"),
        (2, {"high": 1}, "x must be finite and 1 or less, not 2"),
        (NAN, {"low": 0, "high": 1}, "x must be from 0 to 1, not nan"),
        (1.5, {"low": 0, "high": 1}, "x must be from 0 to 1, not 1.5"),
        (-0.5, {"low": 0, "high": 1}, "x must be from 0 to 1, not -0.5"),
        (1, {"low": 0, "high": 1, "closed": "low"}, "x must be 0 or more and below 1, not 1"),
        (0, {"low": 0, "high": 1, "closed": "high"}, "x must be above 0 and 1 or less, not 0"),
        (0, {"low": 0, "high": 1, "closed": "neither"}, "x must be above 0 and below 1, not 0"),
        (1, {"low": 0, "high": 1, "closed": "neither"}, "x must be above 0 and below 1, not 1"),
    ]
    all_refused([*kinds, *((partial(one_number, v, "x", **o), m) for v, o, m in ranges)])


def test_whole_number() -> None:
    assert whole_number(2, "x", 1) == 2 and type(whole_number(np.int64(1), "x", 1)) is int
    other: list[Any] = [0, -1, 1.0, "1", None, True, NAN, [1]]
    all_refused(
        (partial(whole_number, value, "x", 1), f"a whole number, 1 or more, not {value!r}")
        for value in other
    )


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_arrays_keep_what_they_say(kind: Any) -> None:
    array = np.array([0, 1], kind)
    assert real_array(array, "x") is array
    for found, dtype in (
        (class_labels(array, "x"), np.int64),
        (numbers(array, "x"), np.float64),
        (vector(array.tolist(), "x"), np.float64),
        (matrix(array[None], "x")[0], np.float64),
        (zeros_and_ones(torch.from_numpy(array), "x"), np.float64),
    ):
        assert found.dtype == dtype
        assert found.tolist() == [0, 1]
    assert numbers(torch.tensor([0.5], dtype=torch.bfloat16), "x").tolist() == [0.5]


def test_arrays_refuse() -> None:
    kinds: list[Any] = ["3", ["a"], None, [None], [1j], [[1], [1, 2]], {}, object()]
    checks: list[Any] = [real_array, class_labels, numbers, zeros_and_ones]
    cases = [
        (partial(check, v, "x"), "x must be an array of numbers") for check in checks for v in kinds
    ]
    cases += [
        (partial(numbers, [1, NAN], "x"), "x must be finite, all of them"),
        (partial(numbers, [1, INF], "x"), "x must be finite, all of them"),
        (partial(numbers, [1, 2], "x", high=1), "x must be finite and 1 or less, all of them"),
        (partial(numbers, [], "x"), "x must not be empty, but has the shape (0,)"),
        (partial(vector, [[1, 2]], "x"), "x must have 1 axis, not the shape (1, 2)"),
        (partial(matrix, [1, 2], "x"), "x must have 2 axes, not the shape (2,)"),
        (partial(matrix, [[0, 2]], "x", low=0, high=1), "x must be from 0 to 1, all of them"),
        (partial(class_labels, [[1, 2]], "x"), "x must have 1 axis"),
        (partial(class_labels, [], "x"), "x must not be empty"),
        (partial(class_labels, [0.5], "x"), "take argmax(axis=1) first"),
        (partial(class_labels, [1, NAN], "x"), "x must be class numbers, all of them whole"),
        (partial(class_labels, [1, INF], "x"), "x must be class numbers, all of them whole"),
        (partial(class_labels, [0, 3], "x", 3), "x must be from 0 to 2"),
        (partial(class_labels, [-1, 2], "x", 3), "x must be from 0 to 2"),
        (partial(zeros_and_ones, [0, 2], "x"), "x must be 0 or 1 (False or True)"),
        (partial(zeros_and_ones, [0.5], "x"), "x must be 0 or 1 (False or True)"),
        (partial(zeros_and_ones, [0, 1], "x", 2), "x must have 2 axes"),
        (partial(same, "length", a=1, b=2), "a and b must have the same length, not 1 and 2"),
        (partial(same, "shape", a=(1,), b=(1,), c=()), "a, b and c must have the same shape, not"),
    ]
    all_refused(cases)
    same("length", a=3, b=3)


def test_float_tensors() -> None:
    for kind in (torch.float16, torch.bfloat16, torch.float32):
        assert float_tensor(torch.ones(2, dtype=kind), "x").dtype == torch.float32
    double = torch.tensor([NAN, -INF], dtype=torch.float64, requires_grad=True)
    assert float_tensor(double, "x", axes=1) is double  # its numbers were not asked for
    other: list[Any] = [None, [1.0], 1.0, np.ones(2), torch.ones(2).long(), torch.ones(2) * 1j]
    cases = [(partial(float_tensor, v, "x"), "x must be a torch tensor of floats") for v in other]
    zero = torch.zeros(2)
    cases += [
        (partial(float_tensor, zero, "x", 2), "x must have 2 axes, not the shape (2,)"),
        (partial(float_tensor, zero[:0], "x"), "x must not be empty"),
        (partial(float_tensor, zero, "x", low=0, closed="high"), "x must be finite and above 0"),
        (partial(float_tensor, zero - 1, "x", low=0), "x must be finite and 0 or more"),
        (partial(float_tensor, zero / 0, "x", low=0), "x must be finite and 0 or more"),
        (partial(float_tensor, double, "x", low=-INF), "x must be finite, all of them"),
    ]
    all_refused(cases)
