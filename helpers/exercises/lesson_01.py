"""Checks of the exercises of notebook 01, Honest comparisons."""

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.evaluation import interval_of_draws


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


def _paired_error(answer: Any) -> None:
    assert callable(answer), "write a function of right_a and right_b."
    a = np.array([1, 1, 1, 1, 0, 0, 1, 1, 0, 1], bool)
    b = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 1], bool)
    value = answer(a.copy(), b.copy())
    assert np.ndim(value) == 0, f"return one number, not something of shape {np.shape(value)}."
    gap = a.astype(float) - b
    wrong = {
        np.sqrt((a.var() + b.var()) / 10): "this adds the two variances as if each model had "
        "images of its own; subtract image by image first.",
        gap.std(): "this is the spread of single images; the mean of N images has 1 / sqrt(N) "
        "of it.",
        gap.var() / 10: "this is the variance of the mean; take its square root.",
        gap.mean(): "this is the difference itself; how sure is it?",
        1.96 * gap.std() / np.sqrt(10): "this is half the width of the interval; leave the 1.96 "
        "out.",
    }
    for number, hint in wrong.items():
        assert not np.isclose(value, number), hint
    right = [gap.std(ddof=k) / np.sqrt(10) for k in (0, 1)]
    assert np.isclose(value, right).any(), (
        f"the differences are 1 twice and 0 eight times: spread 0.4, divided by sqrt(10) that is "
        f"{right[0]:.4f} (or {right[1]:.4f} with N - 1), not {value}."
    )
    value = answer(~a, ~b)
    assert np.isclose(value, right).any(), "right and wrong swapped should not change the error."


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


def _voting(answer: Any) -> None:
    assert isinstance(answer, dict) and answer.keys() == {"gains", "verdict"}, (
        "keep the dictionary with the two keys gains and verdict."
    )
    gains = np.asarray(answer["gains"], float)
    assert gains.ndim == 1 and len(gains) >= 5, (
        "gains holds one number per draw, of five draws or more."
    )
    assert (np.abs(gains) <= 1).all(), "a difference of two accuracies lies between -1 and 1."
    assert len(np.unique(gains)) > 1, (
        "all draws give the same number; does each have training images of its own?"
    )
    assert gains.mean() < 0.02, "five neighbors minus one, please, not one minus five."
    assert -0.1 < gains.mean() < -0.025, (
        f"with 20 training images per class the mean lies between -0.1 and -0.025, not at "
        f"{gains.mean():.3f}; are both models judged on all test images, after the same training "
        "images?"
    )
    _, low, high = interval_of_draws(gains)
    right = "above" if low > 0 else "below" if high < 0 else "cannot tell"
    verdict = str(answer["verdict"]).strip().lower()
    allowed = ("above", "below", "cannot tell")
    assert verdict in allowed, "verdict: use 'above', 'below' or 'cannot tell'."
    assert verdict == right, (
        f"the interval of your draws runs from {low:.3f} to {high:.3f}; on which side of 0 is that?"
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "01.1": _majority_accuracy,
    "01.2": _paired_error,
    "01.3": _group_split,
    "01.4": _voting,
}
