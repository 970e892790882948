"""Checks of the exercises of notebook 08, Same task, other domain."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _recovered(answer: Any) -> None:
    assert callable(answer), "write a function of source_only, adapted and oracle."
    value = float(answer(0.5, 0.6, 0.75))
    assert not np.isclose(value, 0.1), "that is the gain; divide it by the gap."
    assert not np.isclose(value, 0.8), (
        "that is the share of the oracle's accuracy; take off source only above and below."
    )
    assert not np.isclose(value, 0.2), "that is relative to source only; divide by the gap."
    assert not np.isclose(value, 2.5), "that is upside down: gain divided by gap."
    assert np.isclose(value, 0.4), f"from 0.5 to 0.6 with an oracle of 0.75 is 0.4, not {value}."
    assert np.isclose(float(answer(0.5, 0.4, 0.75)), -0.4), (
        "a method that does harm should get a negative share."
    )


def _coefficient(answer: Any) -> None:
    assert callable(answer), "write a function of epoch, batch, batches_per_epoch and epochs."

    def schedule(progress: float) -> float:
        return 2 / (1 + np.exp(-10 * progress)) - 1

    value = float(answer(1, 5, 10, 4))
    hints = {
        schedule(0.5): "p starts again in every epoch; count the batches of all epochs before.",
        schedule(0.25): "p only moves from epoch to epoch; the batches count too.",
        schedule(16 / 40): "p is the share done *before* this batch; counting from 0 gives that.",
        schedule(0.375) + 1: "take off 1 at the end; before any training it must be 0.",
        0.375: "that is p; now put it into Ganin's formula.",
    }
    for wrong, hint in hints.items():
        assert not np.isclose(value, wrong), hint
    assert np.isclose(value, schedule(0.375)), (
        f"batch 5 of epoch 1, with 4 epochs of 10 batches, is p = 15/40; expected "
        f"{schedule(0.375):.4f}, got {value:.4f}."
    )
    assert np.isclose(float(answer(0, 0, 10, 4)), 0), "before the first batch it must be 0."


def _pooled(answer: Any) -> None:
    assert callable(answer), "write a function of means, variances and counts."
    arrays = np.array([0.0, 4.0]), np.array([1.0, 1.0]), np.array([10, 30])
    value = answer(*(array.copy() for array in arrays))
    assert np.size(value) == 2, "return two things, the mean and the variance."
    mean, variance = (float(part) for part in value)
    assert not np.isclose(mean, 2), "a batch of 30 images counts three times as much as one of 10."
    assert np.isclose(mean, 3), f"10 images of mean 0 and 30 of mean 4 have mean 3, not {mean}."
    assert not np.isclose(variance, 1), (
        "you averaged the variances within the batches; that of their means is missing."
    )
    assert not np.isclose(variance, 2), "that is the standard deviation; return the variance."
    assert np.isclose(variance, 4), f"1 within and 3 between the batches make 4, not {variance}."
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=n) + n for n in (3, 8, 5)]
    columns = [np.array([f(part) for part in parts]) for f in (np.mean, np.var, len)]
    everything = np.concatenate(parts)
    assert np.allclose(answer(*columns), (everything.mean(), everything.var())), (
        "with three batches of different size it is wrong; weight by counts in both places."
    )


def _target_shares(answer: Any) -> None:
    assert callable(answer), "write a function of confusion and predicted."
    confusion = np.array([[0.8, 0.1, 0.3], [0.1, 0.7, 0.1], [0.1, 0.2, 0.6]])
    truth = np.array([0.6, 0.3, 0.1])
    predicted = confusion @ truth
    value = np.asarray(answer(confusion.copy(), predicted.copy()), dtype=float)
    assert value.shape == (3,), f"three classes have three shares, not shape {value.shape}."
    assert not np.allclose(value, predicted), (
        "these are the shares of the predictions; undo the confusion."
    )
    swapped = np.linalg.solve(confusion.T, predicted).clip(0)
    assert not np.allclose(value / value.sum(), swapped / swapped.sum()), (
        "the other way round: row i is what was predicted, column j the true class."
    )
    assert np.allclose(value, truth), (
        f"for predicted {predicted.round(2).tolist()} it should be {truth.tolist()}, not "
        f"{value.round(3).tolist()}."
    )
    predicted = np.array([0.85, 0.05, 0.1])
    value = np.asarray(answer(confusion.copy(), predicted), dtype=float)
    assert (value >= 0).all(), "a share cannot be negative; set it to 0."
    assert np.isclose(value.sum(), 1), "after setting shares to 0 they must add up to 1 again."
    right = np.linalg.solve(confusion, predicted).clip(0)
    assert np.allclose(value, right / right.sum()), "set to 0 first, then divide by the sum."


CHECKS: dict[str, Callable[[Any], None]] = {
    "08.1": _recovered,
    "08.2": _coefficient,
    "08.3": _pooled,
    "08.4": _target_shares,
}
