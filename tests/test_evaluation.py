"""Accuracy as a count; intervals against scipy and closed forms; what was forgotten."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import refused

from helpers.evaluation import (
    Interval,
    accuracy,
    balanced_accuracy,
    bootstrap_interval,
    forgetting,
    multitask_delta,
)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_accuracy_is_a_count(pairs: list[tuple[int, int]]) -> None:
    predictions, labels = np.array(pairs).T
    expected = sum(p == label for p, label in pairs) / len(pairs)
    assert accuracy(predictions, labels) == expected
    assert isinstance(accuracy(predictions, labels), float)


def test_accuracy_is_no_mean_of_batch_means() -> None:
    predictions, labels = np.zeros(10, int), np.array([0] * 9 + [1])
    batches = [accuracy(predictions[i : i + 3], labels[i : i + 3]) for i in range(0, 10, 3)]
    assert np.mean(batches) == 0.75
    assert accuracy(predictions, labels) == 0.9
    assert accuracy(list(predictions), list(labels)) == 0.9  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        ([1, 2], [1, 2, 3]),
        ([], []),
        ([[1], [2]], [1, 2]),  # would broadcast to 2 x 2
        (np.eye(3), np.eye(3)),  # one-hot: most entries agree whatever was predicted
        (np.ones((2, 3)), [0, 1]),
        (1, 1),
    ],
)
def test_accuracy_refuses(predictions: Any, labels: Any) -> None:
    with refused("predictions and labels must be class numbers of one length"):
        accuracy(predictions, labels)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_interval_agrees_with_scipy_and_the_closed_form(level: float) -> None:
    values = np.random.default_rng(0).exponential(size=200)
    low, high = bootstrap_interval(values, level=level)
    reference = stats.bootstrap(
        (values,), np.mean, confidence_level=level, method="percentile", rng=1
    ).confidence_interval
    error = values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx(tuple(reference), abs=0.15 * error)
    half = stats.norm.ppf((1 + level) / 2) * error
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_coverage() -> None:
    """About 90 of 100 intervals of level 0.9 hold the true mean."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        low, high = bootstrap_interval(rng.normal(3, 2, 40), level=0.9, seed=seed)
        held += low <= 3 <= high
    assert 80 <= held <= 97


def test_two_sources_of_chance_make_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.1, (20, 300))
    low, high = bootstrap_interval(draws)
    one = bootstrap_interval(draws.mean(axis=0))
    assert high - low > 5 * (one.high - one.low)
    spread = 2 * 1.96 * draws.mean(axis=1).std() / np.sqrt(20)
    assert high - low == pytest.approx(spread, rel=0.15)
    assert low < draws.mean() < high


numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12).map(np.array)


@settings(max_examples=15, deadline=None)
@given(numbers, st.integers(0, 100))
def test_what_every_interval_obeys(values: np.ndarray, seed: int) -> None:
    interval = bootstrap_interval(values, seed=seed)
    assert isinstance(interval, Interval)
    low, high = interval
    slack = 1e-9 * (1 + np.abs(values).max())
    assert values.min() - slack <= low <= high <= values.max() + slack
    assert bootstrap_interval(values, seed=seed) == interval
    narrow = bootstrap_interval(values, level=0.5, seed=seed)
    assert low <= narrow.low + slack
    assert narrow.high - slack <= high
    moved = bootstrap_interval(2 * values + 5, seed=seed)
    assert moved == pytest.approx((2 * low + 5, 2 * high + 5), abs=1e-6)
    assert bootstrap_interval(values[None], seed=seed) == interval


def test_seeds_differ_and_sides_are_right() -> None:
    values = np.arange(30) % 7
    assert bootstrap_interval(values, seed=0) != bootstrap_interval(values, seed=1)
    assert bootstrap_interval(np.array([True] * 20)) == (1, 1)
    skewed = np.array([0.0] * 95 + [1.0] * 5)
    low, high = bootstrap_interval(skewed)
    assert 0 <= low < 0.05 < high < 0.15


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        ([], {}, "not of shape (1, 0)"),
        (np.ones((2, 2, 2)), {}, "not of shape (2, 2, 2)"),
        (np.ones((0, 5)), {}, "not of shape (0, 5)"),
        ([1, 2], {"level": 0}, "level must lie between 0 and 1, not 0"),
        ([1, 2], {"level": 1}, "level must lie between 0 and 1"),
        ([1, 2], {"level": 95}, "not 95"),
        ([1, 2], {"level": float("nan")}, "not nan"),
        ([1, 2], {"level": "0.9"}, "level must be one number"),
        ([1, 2], {"level": None}, "level must be one number"),
        ([1, 2], {"level": [0.9]}, "level must be one number"),
        ([1, float("nan")], {}, "values holds values that are not finite"),
        ([[1, 2], [3, float("inf")]], {}, "values holds values that are not finite"),
        (["1", "2"], {}, "values must be an array of numbers"),
        ([1, None], {}, "values must be an array of numbers"),
    ],
)
def test_interval_refuses(values: Any, options: Any, match: str) -> None:
    with refused(match):
        bootstrap_interval(values, **options)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.9, 0.7, 0.2),
        (0.7, 0.9, -0.2),  # the old task gained
        (1, 0, 1),
        (0.5, 0.5, 0),
        (np.float32(0.75), np.float32(0.25), 0.5),
        ([0.9, 0.8], [0.7, 0.8], 0.1),
        (np.array([0.5]), np.array([0.25]), 0.25),
        (np.array([[1.0, 0.5], [0.5, 0.0]]), np.zeros((2, 2)), 0.5),
        (np.array([True, False]), np.array([False, False]), 0.5),
    ],
)
def test_forgetting(before: Any, after: Any, expected: float) -> None:
    found = forgetting(before, after)
    assert type(found) is float
    assert found == pytest.approx(expected)
    assert forgetting(after, before) == pytest.approx(-expected)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_forgetting_is_a_mean_over_tasks(pairs: list[tuple[float, float]]) -> None:
    before, after = np.array(pairs).T
    each = [forgetting(b, a) for b, a in pairs]
    assert forgetting(before, after) == pytest.approx(np.mean(each))
    assert min(each) - 1e-12 <= forgetting(before, after) <= max(each) + 1e-12
    assert forgetting(before, before) == 0


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ([0.9, 0.8], 0.7, "of the same tasks, not of shapes (2,) and ()"),  # would broadcast
        ([0.9, 0.8], [0.7], "not of shapes (2,) and (1,)"),
        ("high", 0.7, "before must be an array of numbers"),
        ([[0.9, 0.8]], [[0.9], [0.8]], "not of shapes (1, 2) and (2, 1)"),
        ([], [], "not of shapes (0,) and (0,)"),
        (90, 70, "before and after must be accuracies from 0 to 1"),
        (0.9, -0.1, "must be accuracies from 0 to 1"),
        ([0.9, 1.1], [0.9, 0.9], "must be accuracies from 0 to 1"),
        (0.9, float("nan"), "must be accuracies from 0 to 1"),
        ([0.9, float("nan")], [0.9, 0.9], "must be accuracies from 0 to 1"),
        (float("inf"), 0.5, "must be accuracies from 0 to 1"),
    ],
)
def test_forgetting_refuses(before: Any, after: Any, match: str) -> None:
    with refused(match):
        forgetting(before, after)


@pytest.mark.parametrize("score", [accuracy, balanced_accuracy])
@pytest.mark.parametrize(
    ("predictions", "labels", "match"),
    [
        ([0.9, 0.2], [1, 0], "predictions must be class numbers, all of them whole"),
        ([1.0, float("nan")], [1, 0], "predictions must be class numbers"),
        ([1.0, float("inf")], [1, 0], "predictions must be class numbers"),
        ([1, 0], [0.5, 0.5], "labels must be class numbers"),
        (["cat", "dog"], ["cat", "dog"], "predictions must be an array of numbers"),
        ([None, None], [None, None], "predictions must be an array of numbers"),
        (None, [1, 0], "predictions must be an array of numbers"),
        ([1, 0], [[1], [1, 0]], "labels must be an array of numbers"),
        ([1j, 0], [1, 0], "predictions must be an array of numbers"),
    ],
)
def test_accuracies_refuse_what_is_no_class(
    score: Any, predictions: Any, labels: Any, match: str
) -> None:
    with refused(match):
        score(predictions, labels)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int32, np.float32, float])
def test_accuracies_of_whole_numbers_of_any_type(kind: Any) -> None:
    predictions, labels = np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1])
    assert accuracy(predictions.astype(kind), labels) == 0.5
    assert balanced_accuracy(predictions.astype(kind), labels.tolist()) == pytest.approx(2 / 3)  # type: ignore[arg-type]


def test_multitask_delta() -> None:
    multi, single = [0.9, 0.2], [0.6, 0.4]
    for better in ([True, False], [1, 0], np.array([1.0, 0.0]), (np.True_, np.False_)):
        found = multitask_delta(multi, single, better)  # type: ignore[arg-type]
        assert type(found) is float
        assert found == pytest.approx((0.5 + 0.5) / 2)


@pytest.mark.parametrize(
    ("multi", "single", "better", "match"),
    [
        ([1.0], [1.0], [2], "higher_is_better must be True or False per task, not [2]"),
        ([1.0], [1.0], [-1], "must be True or False per task"),
        ([1.0], [1.0], [0.5], "must be True or False per task"),
        ([1.0], [1.0], ["True"], "higher_is_better must be an array of numbers"),
        ([1.0], [1.0], ["1"], "higher_is_better must be an array of numbers"),
        ([1.0], [1.0], [None], "higher_is_better must be an array of numbers"),
        ([float("nan")], [1.0], [True], "multi holds values that are not finite"),
        ([float("inf")], [1.0], [True], "multi holds values that are not finite"),
        ([1.0], [float("inf")], [True], "single holds values that are not finite"),
        (["a"], [1.0], [True], "multi must be an array of numbers"),
        ([1.0], [0.0], [True], "must be above 0"),
        ([1.0], [1.0], [True, False], "one entry per task"),
    ],
)
def test_multitask_delta_refuses(multi: Any, single: Any, better: Any, match: str) -> None:
    with refused(match):
        multitask_delta(multi, single, better)
