"""Checks of the exercises of notebook 10, Choosing a method."""

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.exercises.matching import match


def _regret_of_one(answer: Any) -> None:
    value = float(answer)
    assert not np.isclose(value, 0.71), "that is the accuracy of the oracle; subtract the rule's."
    assert not np.isclose(value, -0.02), "the oracle comes first: a regret is never negative."
    assert not np.isclose(value, 0.16), "the fourth option has 0.69, not 0.55; count from one."
    assert np.isclose(value, 0.02), (
        "the best of the five minus the one that the rule picked, the fourth."
    )


def _which_transfer(answer: Any) -> None:
    right = {"a": "negative", "b": "unclear", "c": "positive", "d": "unclear"}
    hints = {
        "a": "without the source the result is better, and the interval lies on one side of zero.",
        "b": "is anything but the source the same on both sides?",
        "c": "the method is the same on both sides; only the trunk differs.",
        "d": "does the interval tell the sign of the difference?",
    }
    match(answer, right, "'positive', 'negative' or 'unclear'", hints)


def _nce(answer: Any) -> None:
    assert callable(answer), "write a function of source_labels and labels."
    z, labels = np.array([7, 7, 7, 7, 2, 2]), np.array([0, 0, 0, 5, 5, 5])
    value = answer(z, labels)
    right = (3 * np.log(0.75) + np.log(0.25)) / 6
    assert not np.isclose(value, -right), "the score is *minus* the entropy, so 0 or less."
    assert not np.isclose(value, 6 * right), "divide by the number of examples."
    assert not np.isclose(value, right / np.log(2)), (
        "use the natural logarithm, not that of base 2."
    )
    assert not np.isclose(value, (np.log(1 / 3) + 2 * np.log(2 / 3)) / 6), (
        "this is P(z | y); count among the examples that have the same source label."
    )
    assert np.isclose(value, right), (
        f"source labels {z.tolist()} and labels {labels.tolist()} give {right:.4f}, not {value}; "
        "P(0 | 7) is 3/4, P(5 | 7) is 1/4 and P(5 | 2) is 1."
    )
    assert np.isclose(answer(labels, labels), 0), "a source that knows the label gives 0."


def _leave_one_out_regret(answer: Any) -> None:
    assert callable(answer), "write a function of accuracy."
    table = np.array([[0.9, 0.4, 0.6], [0.2, 0.75, 0.6], [0.3, 0.9, 0.8]])
    value = answer(table)
    regrets = []
    for task in range(3):
        others = np.delete(table, task, axis=0).mean(axis=0)
        regrets.append(table[task].max() - table[task, others.argmax()])
    right = float(np.mean(regrets))
    everywhere = float((table.max(axis=1) - table[:, table.mean(axis=0).argmax()]).mean())
    assert not np.isclose(value, everywhere), (
        "the option was chosen on all tasks, the judged one included; leave it out."
    )
    assert not np.isclose(value, 0), "each task may not choose for itself."
    assert not np.isclose(value, 3 * right), "return the mean over tasks, not the sum."
    assert not np.isclose(value, -right), "the best accuracy comes first: regret is 0 or more."
    assert np.isclose(value, right), (
        f"for tasks with accuracies {table.tolist()} the mean regret is {right:.3f}, not {value}."
    )


def _log_evidence(answer: Any) -> None:
    assert callable(answer), "write a function of F, y, alpha and beta."
    rng = np.random.default_rng(0)
    for n, d in ((12, 3), (5, 9)):
        features, y = rng.normal(size=(n, d)), rng.normal(size=n)
        covariance = features @ features.T / 0.5 + np.eye(n) / 2.0
        right = -0.5 * (
            n * np.log(2 * np.pi)
            + np.linalg.slogdet(covariance)[1]
            + y @ np.linalg.solve(covariance, y)
        )
        value = float(answer(features, y, 0.5, 2.0))
        assert not np.isclose(value, right / n), "return the log evidence itself, not per example."
        assert n > d or not np.isclose(value, right + 0.5 * (d - n) * np.log(0.5)), (
            f"with N = {n} and D = {d} the matrix A has D eigenvalues; D - N of them are "
            "alpha, and their logarithms are missing."
        )
        assert not np.isclose(value, right + 0.5 * n * np.log(2 * np.pi)), (
            "the term with 2 pi is missing."
        )
        assert np.isclose(value, right), (
            f"with N = {n} and D = {d} the dense formula gives {right:.4f}, yours {value:.4f}."
        )


CHECKS: dict[str, Callable[[Any], None]] = {
    "10.1": _regret_of_one,
    "10.2": _which_transfer,
    "10.3": _nce,
    "10.4": _leave_one_out_regret,
    "10.5": _log_evidence,
}
