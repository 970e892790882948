"""Accuracy as a count; intervals against scipy and closed forms; what was forgotten."""

from typing import Any

import numpy as np
import pytest
from coverage_of_intervals import DRAWS, coverage
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import all_refused

from helpers.evaluation import (
    Estimate,
    Interval,
    accuracy,
    balanced_accuracy,
    bootstrap_interval,
    difference,
    forgetting,
    interval_of_draws,
    multitask_delta,
    two_way_interval,
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


def test_bootstrap_refuses() -> None:
    bounds = "level must be above 0 and below 1, not"
    cases: list[tuple[Any, dict[str, Any], str]] = [
        ([], {}, "values must not be empty, but has the shape (0,)"),
        (np.ones((2, 2, 2)), {}, "values must have 2 axes, not the shape (2, 2, 2)"),
        (np.ones((0, 5)), {}, "values must not be empty, but has the shape (0, 5)"),
        *(([1, 2], {"level": v}, f"{bounds} {v}") for v in (0, 1, 95, float("nan"))),
        *(([1, 2], {"level": v}, "level must be one number") for v in ("0.9", None, [0.9])),
        ([1, float("nan")], {}, "values must be finite"),
        ([[1, 2], [3, float("inf")]], {}, "values must be finite"),
        (["1", "2"], {}, "values must be an array of numbers"),
        ([1, None], {}, "values must be an array of numbers"),
    ]
    all_refused(
        (lambda v=v, options=options: bootstrap_interval(v, **options), match)
        for v, options, match in cases
    )


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


def test_forgetting_refuses() -> None:
    shapes, range_ = "before and after must have the same shape, not", "must be from 0 to 1, all of"
    cases: list[tuple[Any, Any, str]] = [
        ([0.9, 0.8], 0.7, f"{shapes} (2,) and ()"),  # would broadcast
        ([0.9, 0.8], [0.7], f"{shapes} (2,) and (1,)"),
        ([[0.9, 0.8]], [[0.9], [0.8]], f"{shapes} (1, 2) and (2, 1)"),
        ("high", 0.7, "before must be an array of numbers"),
        ([], [], "before must not be empty"),
        (90, 70, f"before {range_}"),
        (0.9, -0.1, f"after {range_}"),
        ([0.9, 1.1], [0.9, 0.9], f"before {range_}"),
        (0.9, float("nan"), f"after {range_}"),
        ([0.9, float("nan")], [0.9, 0.9], f"before {range_}"),
        (float("inf"), 0.5, f"before {range_}"),
    ]
    all_refused((lambda b=b, a=a: forgetting(b, a), match) for b, a, match in cases)


@pytest.mark.parametrize("score", [accuracy, balanced_accuracy])
def test_accuracies_refuse(score: Any) -> None:
    cases: list[tuple[Any, Any, str]] = [
        ([1, 2], [1, 2, 3], "predictions and labels must have the same length, not 2 and 3"),
        ([], [], "predictions must not be empty"),
        ([[1], [2]], [1, 2], "predictions must have 1 axis"),  # would broadcast to 2 x 2
        (np.eye(3), np.eye(3), "predictions must have 1 axis"),  # one-hot: most entries agree
        (np.ones((2, 3)), [0, 1], "predictions must have 1 axis"),
        ([0, 1], np.eye(2), "labels must have 1 axis"),
        (1, 1, "predictions must have 1 axis"),
        ([0.9, 0.2], [1, 0], "predictions must be class numbers, all of them whole"),
        ([1.0, float("nan")], [1, 0], "predictions must be class numbers"),
        ([1.0, float("inf")], [1, 0], "predictions must be class numbers"),
        ([1, 0], [0.5, 0.5], "labels must be class numbers"),
        (["cat", "dog"], ["cat", "dog"], "predictions must be an array of numbers"),
        ([None, None], [None, None], "predictions must be an array of numbers"),
        (None, [1, 0], "predictions must be an array of numbers"),
        ([1, 0], [[1], [1, 0]], "labels must be an array of numbers"),
        ([1j, 0], [1, 0], "predictions must be an array of numbers"),
    ]
    all_refused((lambda p=p, y=y: score(p, y), match) for p, y, match in cases)


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


def test_multitask_delta_refuses() -> None:
    binary = "higher_is_better must be 0 or 1 (False or True)"
    cases: list[tuple[Any, Any, Any, str]] = [
        ([1.0], [1.0], [2], binary),
        ([1.0], [1.0], [-1], binary),
        ([1.0], [1.0], [0.5], binary),
        *(([1.0], [1.0], [v], "higher_is_better must be an array") for v in ("True", "1", None)),
        ([float("nan")], [1.0], [True], "multi must be finite"),
        ([float("inf")], [1.0], [True], "multi must be finite"),
        ([1.0], [float("inf")], [True], "single must be finite and above 0"),
        (["a"], [1.0], [True], "multi must be an array of numbers"),
        ([1.0], [0.0], [True], "single must be finite and above 0"),
        ([1.0], [1.0], [True, False], "must have the same number of tasks, not 1, 1 and 2"),
        ([], [], [], "multi must not be empty"),
    ]
    all_refused((lambda m=m, s=s, b=b: multitask_delta(m, s, b), t) for m, s, b, t in cases)


# --- intervals over draws ------------------------------------------------------------------------


def test_an_estimate_as_text() -> None:
    assert str(Estimate(0.248, -0.033, 0.5231)) == "+0.248 (-0.033 to +0.523)"
    mean, low, high = Estimate(1, 2, 3)
    assert (mean, low, high) == (1, 2, 3)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_interval_of_draws_agrees_with_scipy(level: float) -> None:
    values = np.array([0.81, 0.78, 0.85, 0.8])
    found = interval_of_draws(values, level)
    library = stats.ttest_1samp(values, 0).confidence_interval(level)
    assert found == pytest.approx((values.mean(), library.low, library.high))
    assert interval_of_draws([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)  # type: ignore[arg-type]


def test_two_way_interval_by_hand() -> None:
    values = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 7.0]])  # draws 2 and 4, images 2, 2 and 5
    a, b = 2 / 2, 3 / 3  # variances 2 and 3, over 2 and 3
    freedom = (a + b) ** 2 / (a**2 / 1 + b**2 / 2)
    half = stats.t.ppf(0.95, freedom) * np.sqrt(a + b)
    assert two_way_interval(values, 0.9) == pytest.approx((3, 3 - half, 3 + half))
    assert two_way_interval(np.ones((3, 4))) == (1, 1, 1)


def test_two_way_interval_in_the_limits() -> None:
    """Draws that do not differ leave the images' interval, images that do not the draws'."""
    rng = np.random.default_rng(0)
    image, draw = rng.normal(size=(1, 400)), rng.normal(size=(6, 1))
    z = stats.ttest_1samp(image[0], 0).confidence_interval()
    assert two_way_interval(np.repeat(image, 6, axis=0))[1:] == pytest.approx((z.low, z.high))
    assert two_way_interval(np.repeat(draw, 400, axis=1)) == pytest.approx(
        interval_of_draws(draw[:, 0])
    )


def test_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    old = rng.normal(size=(4, 90))
    new = old + 0.5 + 0.01 * rng.normal(size=(4, 90))
    found = difference(new, old, seed=3)
    assert found.mean == pytest.approx((new - old).mean())
    assert found[1:] == bootstrap_interval(new - old, seed=3)
    assert 0.49 < found.low < found.high < 0.51


def test_intervals_over_draws_refuse() -> None:
    one, two = interval_of_draws, two_way_interval
    bounds = "level must be above 0 and below 1"
    table = np.ones((3, 4))
    cases: list[tuple[Any, tuple[Any, ...], str]] = [
        (one, ([0.5],), "one draw says nothing about the next"),
        (one, (0.5,), "values must have 1 axis"),
        (one, (table,), "values must have 1 axis, not the shape (3, 4)"),
        (one, ([],), "values must not be empty"),
        (one, ([0.5, float("nan")],), "values must be finite"),
        (one, ([0.5, 0.6], 95), bounds),
        (two, ([0.5, 0.6],), "values must have 2 axes"),
        (two, (table[:1],), "values must be 2 draws x 2 images or more, not (1, 4)"),
        (two, (table[:, :1],), "values must be 2 draws x 2 images or more, not (3, 1)"),
        (two, (np.full((2, 2), np.inf),), "values must be finite"),
        (two, (table, 0), bounds),
        (difference, (table, table[:1]), "new and old must have the same images (one shape)"),
        (difference, (table, table * np.nan), "old must be finite"),
    ]
    all_refused((lambda call=call, a=a: call(*a), match) for call, a, match in cases)


# What the docstrings of `interval_of_draws` and `two_way_interval` say: the share of intervals that
# hold the true answer, by how much draws differ, question, interval and 3, 5 or 10 draws.
QUOTED: dict[tuple[str, str, str], tuple[float, float, float]] = {
    ("alike", "both other", "t over draws"): (0.93, 0.86, 0.74),
    ("alike", "both other", "two-way"): (0.96, 0.97, 0.96),
    ("alike", "other draws, same images", "t over draws"): (0.95, 0.95, 0.95),
    ("alike", "same draws, other images", "bootstrap over images"): (0.95, 0.95, 0.95),
    ("unlike", "both other", "t over draws"): (0.94, 0.94, 0.93),
    ("unlike", "both other", "two-way"): (0.91, 0.94, 0.96),
    ("unlike", "both other", "bootstrap over images"): (0.47, 0.53, 0.64),
    ("unlike", "both other", "bootstrap over both"): (0.81, 0.90, 0.94),
}


@pytest.mark.parametrize(("quality", "question", "interval"), QUOTED)
def test_intervals_cover_what_their_docstrings_say(
    quality: str, question: str, interval: str
) -> None:
    worlds = 40 if "bootstrap" in interval else 1000  # which is slow
    for draws, quoted in zip(DRAWS, QUOTED[quality, question, interval], strict=True):
        found = coverage(interval, quality, draws, worlds, seed=1)[question]
        error = np.sqrt(quoted * (1 - quoted) * (1 / worlds + 1 / 1000))
        assert abs(found - quoted) < 3.3 * error + 0.005, (draws, found)
