"""Checks of the exercises of notebook 02, Domains and tasks."""

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


def _distance_of_unequal(answer: Any) -> None:
    assert callable(answer), "write a function of guesses and domain."
    domain = np.array([0] * 8 + [1] * 2)
    guesses = np.array([0] * 6 + [1] * 2 + [1, 0])  # errors: 2 of 8 and 1 of 2
    value = answer(np.zeros(10, int), domain)
    assert not np.isclose(value, 1.2), (
        "always guessing the larger pile gives 1.2 in your function; take the error of each pile, "
        "then their mean."
    )
    assert np.isclose(value, 0), f"always guessing the larger pile should give 0, not {value}."
    value = answer(guesses, domain)
    assert not np.isclose(value, 0.375), "this is the mean error; the distance is 2 (1 - 2 error)."
    assert np.isclose(value, 0.5), (
        "with 2 of 8 and 1 of 2 guesses wrong the mean error of the piles is 0.375, so the "
        f"distance is 0.5, not {value}."
    )
    value = answer(1 - guesses, 1 - domain)
    assert np.isclose(value, 0.5), f"the names of the piles do not matter: 0.5, not {value}."
    value = answer(domain, domain)
    assert np.isclose(value, 2), f"without errors the distance is 2, not {value}."


def _my_change(answer: Any) -> None:
    keys = ("change", "distances", "costs")
    assert isinstance(answer, dict) and set(answer) == set(keys), (
        "keep the dictionary with the three keys change, distances and costs."
    )
    change = answer["change"]
    assert callable(change), "change is a function of images."
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 3), dtype=np.uint8)
    before = images.copy()
    after = np.asarray(change(images))
    assert (images == before).all(), "your change writes into the images it was given; copy first."
    assert after.shape == images.shape, (
        f"the changed images have the shape {after.shape}, not {images.shape}."
    )
    assert after.dtype == np.uint8, f"return whole numbers of 0 to 255 (uint8), not {after.dtype}."
    assert (after != before).any(), "your change leaves the images as they are."
    distances, costs = (np.asarray(answer[key], float) for key in keys[1:])
    assert distances.shape == costs.shape and distances.ndim == 1 and len(costs) >= 2, (
        "give one distance and one cost per draw, for two draws or more."
    )
    assert (np.abs(distances) <= 2).all(), "a proxy A-distance lies between -2 and 2."
    assert (np.abs(costs) <= 1).all(), "a cost is a difference of two accuracies."
    assert distances.mean() >= 1, (
        f"the mean distance is {distances.mean():.2f}; change something that is the same in all "
        "pictures, and that a linear classifier sees."
    )
    assert costs.mean() < 0.03, (
        f"the mean cost is {costs.mean():.3f}; leave the animals where they are, and change pixels "
        "that do not tell one species from another."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "02.1": _what_changes,
    "02.2": _reweighted_accuracy,
    "02.3": _distance_of_unequal,
    "02.4": _my_change,
}
