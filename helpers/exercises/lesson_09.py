"""Checks of the exercises of notebook 09, Zero-shot."""

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.matching import match


def _which_setting(answer: Any) -> None:
    right = {"a": "few-shot", "b": "zero-shot", "c": "adaptation", "d": "zero-shot"}
    hints = {
        "a": "are there labeled images of the new class, if only a few?",
        "b": "how many photographs of the okapi are there, and what is there instead?",
        "c": "are the classes new, or only the look of the pictures?",
        "d": "how many labeled images of a new product are there, and what is there instead?",
    }
    match(answer, right, "'zero-shot', 'few-shot' or 'adaptation'", hints)


def _per_class_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of predictions and labels."
    labels = np.array([4, 4, 4, 4, 4, 4, 7, 7, 9])
    predictions = np.array([4, 4, 4, 4, 4, 4, 7, 4, 4])
    value = answer(predictions, labels)
    assert not np.isclose(value, 7 / 9), "this is the share of all images; average over classes."
    assert not np.isclose(value, 0.15), "classes that do not occur in labels must not count."
    assert not np.isclose(value, 0.875), "class 9 is never predicted, but it counts all the same."
    assert np.isclose(value, 0.5), (
        "class 4 is right in 6 of 6 cases, class 7 in 1 of 2, class 9 in 0 of 1; the mean is 0.5, "
        f"not {value}."
    )


def _indirect_attributes(answer: Any) -> None:
    assert callable(answer), "write a function of probabilities and seen_attributes."
    probabilities = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    table = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1]])
    result = np.asarray(answer(probabilities.copy(), table.copy()))
    assert result.shape == (2, 4), (
        f"2 images and 4 attributes give shape (2, 4), not {result.shape}."
    )
    assert not np.allclose(result, table[probabilities.argmax(axis=1)]), (
        "you look only at the most probable class; all of them count, by their probability."
    )
    assert not np.allclose(result, probabilities @ table / table.sum(axis=0)), (
        "do not divide by the number of classes that have the attribute: add their probabilities."
    )
    assert np.allclose(result, probabilities @ table), (
        "with class probabilities 0.5, 0.3, 0.2 an attribute of the first and third class has "
        f"probability 0.5 + 0.2 = 0.7, not {result[0, 3]:.3g}."
    )


def _calibrated(answer: Any) -> None:
    assert callable(answer), "write a function of scores, seen and gamma."
    scores = np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 0.5], [0.0, 2.0, 1.9]])
    given, seen = scores.copy(), np.array([0, 1])
    result = np.asarray(answer(given, seen, 1.0))
    assert np.array_equal(given, scores), "the function changed the caller's scores; copy them."
    assert result.shape == (3,), f"return one class per row, not an array of shape {result.shape}."
    plain = np.asarray(answer(scores.copy(), seen, 0.0))
    assert plain.tolist() == [0, 0, 1], (
        f"with gamma 0 the argmax over all columns, [0, 0, 1], is right, not {plain.tolist()}."
    )
    assert result.tolist() != [0, 0, 1], "gamma changes nothing; do you lower the columns in seen?"
    assert result.tolist() != [2, 2, 2], "unseen classes win always; let all columns compete."
    assert result.tolist() == [2, 0, 2], (
        f"with gamma 1 and seen columns 0 and 1 the answers are [2, 0, 2], not {result.tolist()}."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "09.1": _which_setting,
    "09.2": _per_class_accuracy,
    "09.3": _indirect_attributes,
    "09.4": _calibrated,
}
