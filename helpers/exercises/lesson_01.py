"""Checks of the exercises of notebook 01, Domains and tasks."""

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.matching import match


def _what_changes(answer: Any) -> None:
    right = {"a": "domain", "b": "task", "c": "both", "d": "neither"}
    hints = {
        "a": "the ten species are the same, but do the pictures look the same?",
        "b": "the pictures are the same; is the question?",
        "c": "compare the pictures, then compare the label sets.",
        "d": "two random halves: is there any difference at all?",
    }
    match(answer, right, "'domain', 'task', 'both' or 'neither'", hints)


def _majority_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of train_labels and test_labels."
    train, test = np.array([2, 2, 2, 0, 1]), np.array([2, 0, 0, 0])
    value = answer(train, test)
    assert value != 0.75, "you counted the majority of the test labels; use the training labels."
    assert np.isclose(value, 0.25), (
        f"with training labels {train.tolist()} and test labels {test.tolist()} the answer is "
        f"always 2 and 1 of 4 is right; your function gives {value}."
    )
    value = answer(np.array([7, 7, 1]), np.array([7, 7, 7]))
    assert np.isclose(value, 1), f"three right of three should give 1, not {value}."


def _counted_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of predict, images, labels and batch_size."
    images, labels = np.zeros((10, 2, 2, 3)), np.array([0] * 9 + [1])
    sizes = []

    def predict(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return np.zeros(len(batch), int)

    value = answer(predict, images, labels, 3)
    assert sizes and max(sizes) <= 3, "call predict on at most batch_size images at a time."
    assert sum(sizes) == 10, f"predict should see each of 10 images once, it saw {sum(sizes)}."
    assert not np.isclose(value, 0.75), "this is still the mean of the batch means."
    assert np.isclose(value, 0.9), f"9 of 10 are right, but your function gives {value}."


def _group_split(answer: Any) -> None:
    assert callable(answer), "write a function of groups, share and seed."
    rng = np.random.default_rng(3)
    # Groups of very different sizes, with numbers that are no row numbers.
    groups = rng.permutation(np.repeat(10_000 + 7 * np.arange(400), rng.integers(1, 30, 400)))
    test = np.asarray(answer(groups, 0.25, 0))
    assert test.shape == groups.shape, (
        f"return one entry per picture ({groups.size}), not an array of shape {test.shape}."
    )
    assert test.dtype == bool, f"return True and False, not numbers of type {test.dtype}."
    both = np.intersect1d(groups[test], groups[~test])
    assert both.size == 0, f"{both.size} groups are on both sides; draw groups, not pictures."
    shares = [
        len(np.unique(groups[np.asarray(answer(groups, 0.25, seed))])) / 400 for seed in range(20)
    ]
    assert 0.22 < np.mean(shares) < 0.28, (
        f"a share of 0.25 of the groups was asked for, but on average {np.mean(shares):.2f} of "
        "them are in the test set; draw among the distinct groups, whatever their size."
    )
    assert (np.asarray(answer(groups, 0.25, 0)) == test).all(), (
        "the same seed should give the same split twice."
    )
    assert any((np.asarray(answer(groups, 0.25, seed)) != test).any() for seed in (1, 2, 3)), (
        "another seed should give another split."
    )


def _reweighted_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of correct, labels and target_shares."
    correct = np.array([True, True, True, False, False, False])
    labels = np.array([0, 0, 0, 0, 1, 1])
    value = answer(correct, labels, np.array([0.5, 0.5]))
    assert not np.isclose(value, 0.5), "this is the plain accuracy; where do the shares come in?"
    assert np.isclose(value, 0.375), (
        "class 0 is right in 3 of 4 cases and class 1 in 0 of 2; with equal shares that gives "
        f"0.5 · 0.75 + 0.5 · 0 = 0.375, not {value}."
    )
    value = answer(correct, labels, np.array([0.9, 0.1]))
    assert np.isclose(value, 0.675), f"with shares 0.9 and 0.1 it should be 0.675, not {value}."


CHECKS: dict[str, Callable[[Any], None]] = {
    "01.1": _what_changes,
    "01.2": _majority_accuracy,
    "01.3": _counted_accuracy,
    "01.4": _group_split,
    "01.5": _reweighted_accuracy,
}
