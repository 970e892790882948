"""Checks of the exercises of notebook 18, Task relationships."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _hidden_weights(answer: Any) -> None:
    right = {"a": 0.1, "b": 0.5, "c": 0.25}
    assert isinstance(answer, dict) and set(answer) == set(right), (
        "keep the dictionary with the entries a, b and c."
    )
    given = {key: float(value) for key, value in answer.items()}
    hints = {
        "a": "every image counts alike, so count the target's share of the images.",
        "b": "two means are added with factors 1 and 1; scale them so that they add up to 1.",
        "c": "one mean over 32 images, of which 8 are target images.",
    }
    for key, value in right.items():
        assert not np.isclose(given[key], 1 - value) or value == 0.5, (
            f"{key}: this is the weight of the source; the target's is asked for."
        )
        assert np.isclose(given[key], value, rtol=0.01), f"{key}: {hints[key]}"


def _shared_cosine(answer: Any) -> None:
    assert callable(answer), "write a function of a, b and shared."
    a = {"conv": np.array([[3.0, 0.0]]), "fc": np.array([4.0]), "head_a": np.array([12.0])}
    b = {"conv": np.array([[0.0, 5.0]]), "fc": np.array([12.0]), "head_b": np.array([84.0])}
    shared = ["conv", "fc"]
    value = np.asarray(answer(dict(a), dict(b), list(shared)), dtype=float)
    assert value.ndim == 0, "return one number for the whole trunk."
    assert not np.isclose(value, 48), "this is the dot product; divide by both lengths."
    assert not np.isclose(value, 48 / (13 * 85)), (
        "the lengths include the heads; only shared parameters count."
    )
    assert not np.isclose(value, 0.5), (
        "this is the mean of the layers' cosines; join all shared layers into one vector first."
    )
    assert np.isclose(value, 48 / 65), f"48 / (5 * 13) is 0.738, not {float(value):.3f}."
    zero = {name: 0 * gradient for name, gradient in a.items()}
    assert float(answer(zero, dict(b), list(shared))) == 0, (
        "a gradient of zero has no direction; return 0 for it, not NaN."
    )


def _lookahead(answer: Any) -> None:
    assert callable(answer), "write a function of theta, A, c and rate."
    theta, rate = np.array([2.0, 1.0]), 0.1
    A = np.array([np.diag([1.0, 4.0]), np.diag([3.0, 0.5]), np.eye(2)])
    c = np.array([[-1.0, 0.0], [1.0, 0.5], [3.0, -1.0]])
    start, steps = theta.copy(), [A[i] @ (theta - c[i]) for i in range(3)]

    def loss(j: int, at: np.ndarray) -> float:
        return float((at - c[j]) @ A[j] @ (at - c[j]) / 2)

    def ratios(sign: float) -> np.ndarray:
        after = [[loss(j, theta - sign * rate * g) for j in range(3)] for g in steps]
        return np.array(after) / [loss(j, theta) for j in range(3)]

    right = 1 - ratios(1)
    moved = theta.copy()
    in_sequence = np.empty((3, 3))
    for i in range(3):
        moved = moved - rate * A[i] @ (moved - c[i])
        in_sequence[i] = [1 - loss(j, moved) / loss(j, theta) for j in range(3)]
    value = np.asarray(answer(theta, A.copy(), c.copy(), rate), dtype=float)
    assert value.shape == (3, 3), f"three tasks make a 3 x 3 matrix, not one of {value.shape}."
    assert (theta == start).all(), "your function changed theta; look ahead on a copy."
    assert not np.allclose(value, right.T), (
        "rows and columns are swapped: row i is the task that takes the step."
    )
    assert not np.allclose(value, 1 - right), "this is the ratio of the losses; take it from 1."
    assert not np.allclose(value, 1 - ratios(-1)), "this step climbs; subtract the gradient."
    assert not np.allclose(value, in_sequence), (
        "every task must start from the same theta, not from where the task before it ended."
    )
    before = np.array([loss(j, start) for j in range(3)])
    assert not np.allclose(value, right * before), "divide by the loss of task j before the step."
    first_order = np.array([[rate * g @ h for h in steps] for g in steps]) / before
    assert not np.allclose(value, first_order), (
        "this is the first-order approximation; take the step and compute the losses again."
    )
    assert np.allclose(value, right), (
        f"the step of task 0 changes the loss of task 1 by {right[0, 1]:.3f} of it, not by "
        f"{value[0, 1]:.3f}."
    )


def _best_partition(answer: Any) -> None:
    assert callable(answer), "write a function of affinity."

    def groups(affinity: np.ndarray) -> set[frozenset[int]]:
        found = answer(affinity.copy())
        assert not isinstance(found, int | float | np.generic), "return the groups of tasks."
        members = [frozenset(int(task) for task in group) for group in found]
        listed = sorted(task for group in members for task in group)
        assert listed == list(range(len(affinity))), (
            "every task belongs to exactly one group, also a task that stays alone."
        )
        return set(members)

    apart = groups(-np.ones((3, 3)))
    assert apart == {frozenset([k]) for k in range(3)}, (
        "where every affinity is negative, all tasks should stay alone: alone counts as 0."
    )
    A = np.zeros((4, 4))
    A[0, 1], A[1, 0], A[2, 3], A[3, 2] = 0.9, -0.5, 0.2, 0.2  # column j is the task that gains
    A[0, 2], A[0, 3], A[2, 0], A[1, 2], A[3, 1] = 0.1, -0.9, -0.9, 0.1, -0.9
    right = {frozenset([0, 1]), frozenset([2, 3])}
    found = groups(A + 7 * np.eye(4))
    assert found != {frozenset([k]) for k in range(4)}, (
        "with the diagonal of this matrix, alone seems best; a task's affinity to itself does "
        "not count."
    )
    assert found == right, (
        "here {0, 1} and {2, 3} have the largest sum, 0.9 - 0.5 + 0.2 + 0.2; yours are "
        f"{sorted(sorted(group) for group in found)}."
    )
    B = np.array([[0.0, 0.5, 0.1], [0.5, 0.0, 0.1], [0.1, 0.1, 0.0]])
    assert groups(B) == {frozenset([0, 1]), frozenset([2])}, (
        "with mean affinities {0, 1} and {2} win; sums over a group always favor large groups."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "18.1": _hidden_weights,
    "18.2": _shared_cosine,
    "18.3": _lookahead,
    "18.4": _best_partition,
}
