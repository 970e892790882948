"""Checks of the exercises of notebook 00, Start here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.matching import match


def _which_idea(answer: Any) -> None:
    right = {"a": "multi-task", "b": "transfer", "c": "transfer", "d": "multi-task"}
    hint = "is it learned one after the other, or at the same time?"
    match(answer, right, "'transfer' or 'multi-task'", dict.fromkeys(right, hint))


def _images_used(answer: Any) -> None:
    assert answer != 5, "that is the number for one class."
    assert answer == 50, "PER_CLASS counts the images of each class; animals has ten classes."


def _accuracy_of_guessing(answer: Any) -> None:
    assert callable(answer), "write a function of labels."
    value = answer(np.array([0, 0, 0, 1]))
    assert not np.isclose(value, 0.75), "that is the majority class; here every class is guessed."
    assert np.isclose(value, 0.5), (
        "with two classes the guess is right half of the time, however frequent each is; your "
        f"function gives {value}."
    )
    assert np.isclose(answer(np.array([3, 5, 9, 9])), 1 / 3), (
        "labels 3, 5 and 9 are three classes; count the classes that occur."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "00.1": _which_idea,
    "00.2": _images_used,
    "00.3": _accuracy_of_guessing,
}
