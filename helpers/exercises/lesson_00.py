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


def _labels_saved(answer: Any) -> None:
    keys = ("transfer, 5", "pixels, 100", "transfer is")
    assert isinstance(answer, dict) and set(answer) == set(keys), "keep the three keys as they are."
    for key, low, high in ((keys[0], 0.6, 0.88), (keys[1], 0.68, 0.79)):
        value = answer[key]
        assert isinstance(value, int | float) and 0 <= value <= 1, (
            f"{key!r} is an accuracy from 0 to 1, the mean over the draws."
        )
        assert low <= value <= high, (
            f"{key!r}: {value:.2f} is far from what these runs give; which row, and which "
            "PER_CLASS, does it come from?"
        )
    difference = answer[keys[0]] - answer[keys[1]]
    said = str(answer[keys[2]]).strip().lower()
    assert said in ("better", "about as good", "worse"), (
        "'transfer is' wants 'better', 'about as good' or 'worse'."
    )
    if abs(abs(difference) - 0.05) < 0.005:  # on the border, either word will do
        right = {"about as good", "better" if difference > 0 else "worse"}
    elif abs(difference) < 0.05:
        right = {"about as good"}
    else:
        right = {"better" if difference > 0 else "worse"}
    assert said in right, f"your two numbers differ by {difference:+.3f}, so {said!r} does not fit."


CHECKS: dict[str, Callable[[Any], None]] = {
    "00.1": _which_idea,
    "00.2": _images_used,
    "00.3": _accuracy_of_guessing,
    "00.4": _labels_saved,
}
