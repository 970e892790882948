"""Checks of the exercises: each raises AssertionError with a hint if an answer is not right."""

from collections.abc import Callable
from typing import Any

import numpy as np

# --- 01 Domains and tasks ------------------------------------------------------------------------


def _what_changes(answer: Any) -> None:
    right = {"a": "domain", "b": "task", "c": "both", "d": "neither"}
    hints = {
        "a": "the ten species are the same, but do the pictures look the same?",
        "b": "the pictures are the same; is the question?",
        "c": "compare the pictures, then compare the label sets.",
        "d": "two random halves: is there any difference at all?",
    }
    for case, value in right.items():
        given = str(answer[case]).strip().lower()
        assert given in right.values(), f"{case}: use 'domain', 'task', 'both' or 'neither'."
        assert given == value, f"{case}: {hints[case]}"


def _majority_accuracy(answer: Any) -> None:
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
    groups = np.random.default_rng(3).integers(0, 400, size=1600)
    test = np.asarray(answer(groups, 0.25, 0))
    assert test.shape == groups.shape and test.dtype == bool, (
        "return a boolean array with one entry per picture."
    )
    both = np.intersect1d(groups[test], groups[~test])
    assert both.size == 0, f"{both.size} groups are on both sides; draw groups, not pictures."
    share = len(np.unique(groups[test])) / len(np.unique(groups))
    assert 0.15 < share < 0.35, f"a share of 0.25 was asked for, but {share:.2f} are in the test."
    other = np.asarray(answer(groups, 0.25, 1))
    assert (other != test).any(), "another seed should give another split."
    again = np.asarray(answer(groups, 0.25, 0))
    assert (again == test).all(), "the same seed should give the same split twice."


def _smallest_alpha(answer: Any) -> None:
    value = float(answer)
    assert 0 < value < 1, "α lies between 0 and 1."
    assert value <= 0.1, "the distance is above 1 well before that; look at the table of shifts."
    assert value >= 0.02, "that early the distance is still below 1; go on in steps of 0.01."


CHECKS: dict[str, Callable[[Any], None]] = {
    "01.1": _what_changes,
    "01.2": _majority_accuracy,
    "01.3": _counted_accuracy,
    "01.4": _group_split,
    "01.5": _smallest_alpha,
}
