"""Checks of the exercises of notebook 16, Balancing tasks."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _best_log_variance(answer: Any) -> None:
    assert callable(answer), "write a function of loss and form."
    for loss in (0.25, 3.0):
        for form, right in (("regression", np.log(loss)), ("classification", np.log(2 * loss))):
            value = float(answer(loss, form))
            assert not np.isclose(value, np.exp(right)), "s is the *logarithm* of the variance."
            assert not np.isclose(value, right / 2), (
                "this is the logarithm of sigma; s is that of sigma squared."
            )
            assert not np.isclose(value, -right), "a larger loss has a larger s: look at the sign."
            assert form == "regression" or not np.isclose(value, np.log(loss)), (
                "in the form for classification exp(-s) L has no factor 0.5."
            )
            assert not np.isclose(value, np.log(loss / 2)), (
                "set the derivative to 0: the factor in front of exp(-s) goes to the other side."
            )
            assert np.isclose(value, right), (
                f"{form} with a loss of {loss} has its optimum at {right:.3f}, not {value:.3f}."
            )


def _dwa_schedule(answer: Any) -> None:
    assert callable(answer), "write a function of history and temperature."

    def weights(scores: np.ndarray) -> np.ndarray:
        return np.asarray(3 * np.exp(scores) / np.exp(scores).sum())

    first = np.array([[4.0, 2.0, 1.0]])
    for early in (np.empty((0, 3)), first):
        assert np.allclose(answer(early.copy(), 2.0), np.ones(3)), (
            f"after {len(early)} epochs there is no ratio yet; return ones, one per task."
        )
    history = np.array([[9.0, 9.0, 9.0], [4.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    for temperature in (2.0, 0.5):
        ratio = history[-1] / history[-2]
        value = np.asarray(answer(history.copy(), temperature), dtype=float)
        assert value.shape == (3,), "return one weight per task."

        right = weights(ratio / temperature)
        assert not np.allclose(value, right / 3), (
            "the weights add up to the number of tasks; multiply by it."
        )
        assert not np.allclose(value, weights(1 / ratio / temperature)), (
            "the ratio is upside down: last epoch over the one before."
        )
        assert not np.allclose(value, weights(ratio)), "divide the ratios by the temperature."
        assert not np.allclose(value, weights(history[1] / history[0] / temperature)), (
            "take the last two epochs, not the first two."
        )
        assert not np.allclose(value, 3 * ratio / ratio.sum()), "use the softmax of the ratios."
        assert np.allclose(value, right), (
            f"ratios 0.25, 0.5 and 1 with temperature {temperature:g} give "
            f"{right.round(3).tolist()}, not {value.round(3).tolist()}."
        )


def _smallest_combination(answer: Any) -> None:
    assert callable(answer), "write a function of g and h."
    cases = [
        ([2.0, 0.0], [0.0, 1.0], [0.4, 0.8]),
        ([2.0, 2.0], [0.0, 1.0], [0.0, 1.0]),
        ([0.0, 1.0, 1.0], [0.0, 3.0, 3.0], [0.0, 1.0, 1.0]),
        ([1.0, 0.0], [-3.0, 0.0], [0.0, 0.0]),
    ]
    for first, second, right in cases:
        g, h, smallest = np.array(first), np.array(second), np.array(right)
        value = np.asarray(answer(g.copy(), h.copy()), dtype=float)
        assert value.shape == g.shape, "return the combined gradient, not its share a."
        free = ((h - g) @ h) / ((g - h) @ (g - h))
        assert 0 <= free <= 1 or not np.allclose(value, free * g + (1 - free) * h), (
            "a left the range from 0 to 1, so this is no convex combination; clip it."
        )
        clipped = float(np.clip(free, 0, 1))
        assert np.allclose(smallest, clipped * h + (1 - clipped) * g) or not np.allclose(
            value, clipped * h + (1 - clipped) * g
        ), "a belongs to g and 1 - a to h; yours are exchanged."
        assert not np.allclose(value, (g + h) / 2) or np.allclose(smallest, (g + h) / 2), (
            "this is the mean; look for the shortest vector between the two."
        )
        assert np.allclose(value, smallest), (
            f"between {first} and {second} the shortest is {right}, not {value.round(3).tolist()}."
        )
    same = np.asarray(answer(np.array([1.0, 2.0]), np.array([1.0, 2.0])), dtype=float)
    assert np.allclose(same, [1, 2]), (
        "for two equal gradients the result is that gradient; do not divide by 0."
    )


def _pcgrad_weights(answer: Any) -> None:
    assert callable(answer), "write a function of gramian and order."
    pair = np.array([[1.0, 0.0], [-1.0, 1.0]])
    three = np.array([[1.0, 0.2, 0.0], [-1.0, 0.1, 0.3], [-0.5, -1.0, 0.1]])
    for gradients in (pair, three, np.array([[1.0, 0.0], [1.0, 2.0]])):
        gramian, tasks = gradients @ gradients.T, len(gradients)
        for order in (list(range(tasks)), list(range(tasks))[::-1]):
            right, stale = np.zeros(tasks), np.zeros(tasks)
            for i in range(tasks):
                own, old = np.eye(tasks)[i], np.eye(tasks)[i]
                for j in order:
                    if j != i and gramian[j] @ own < 0:
                        own[j] -= gramian[j] @ own / gramian[j, j]
                    if j != i and gramian[i, j] < 0:
                        old[j] -= gramian[i, j] / gramian[j, j]
                right, stale = right + own, stale + old
            value = np.asarray(answer(gramian.copy(), list(order)), dtype=float)
            assert value.shape == (tasks,), "return one weight per task."
            assert not np.allclose(value, right / tasks), "PCGrad adds the gradients: no mean."
            assert np.allclose(stale, right) or not np.allclose(value, stale), (
                "test the gradient as it is after the earlier projections: its product with "
                "gradient j is gramian[j] @ weights."
            )
            assert not np.allclose(value, np.ones(tasks)) or np.allclose(right, 1), (
                "nothing was projected; a conflict is a product below 0."
            )
            assert np.allclose(value, right), (
                f"for gradients {gradients.tolist()} and order {order} the weights are "
                f"{right.round(3).tolist()}, not {value.round(3).tolist()}."
            )


CHECKS: dict[str, Callable[[Any], None]] = {
    "16.1": _best_log_variance,
    "16.2": _dwa_schedule,
    "16.3": _smallest_combination,
    "16.4": _pcgrad_weights,
}
