"""Accuracy as a count, and intervals that say how sure we are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from helpers.base.arguments import (
    class_labels,
    matrix,
    numbers,
    one_number,
    same,
    vector,
    zeros_and_ones,
)
from helpers.base.errors import CourseError


class Interval(NamedTuple):
    """Two-sided interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean with the ends of its interval; as text ``+0.248 (-0.033 to +0.523)``."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of right predictions: one count over all items, never a mean of batch means.

    Args:
        predictions: predicted classes, whole numbers, N.
        labels: true classes, whole numbers, N.

    Returns:
        A float, 0 to 1.

    Raises:
        CourseError: the two differ in length, have more than one axis, are empty, or are not whole
            numbers (scores, probabilities, text).
    """
    predictions, labels = _classes(predictions, labels)
    return int((predictions == labels).sum()) / len(labels)


def bootstrap_interval(values: np.ndarray, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of a mean (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: numbers, N items; or draws x items, for example whether each of N test images was
            classified correctly by each of several independently trained models. Then draws and
            items are both resampled, so that the interval holds both sources of chance (the
            pigeonhole bootstrap, Owen 2007). With few draws that differ much it is too narrow: see
            the coverage under `two_way_interval`. One row, or the mean over draws, gives an
            interval for these draws on other items: it covers 95% of those, and says nothing
            about other draws.
        level: coverage, between 0 and 1.
        seed: of the 2,000 resamples.

    Returns:
        Two floats, ``low`` and ``high``, from the smallest value to the largest.

    Raises:
        CourseError: no values, values that are not finite, more than two axes, or a level outside
            (0, 1).
    """
    level = one_number(level, "level", low=0, high=1, closed="neither")
    table = matrix(np.atleast_2d(numbers(values, "values")), "values")  # draws x items
    rng = np.random.default_rng(seed)
    draws, items = table.shape
    means = np.empty(2000)
    for i in range(len(means)):
        rows = table[rng.integers(draws, size=draws)]
        # Resampling items is the same as weighting them by how often each was drawn.
        weights = np.bincount(rng.integers(items, size=items), minlength=items)
        means[i] = (rows.mean(axis=0) * weights).sum() / items
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def difference(new: np.ndarray, old: np.ndarray, *, seed: int = 0) -> Estimate:
    """Mean paired difference of two ways on the same images, with its `bootstrap_interval`.

    Of N numbers the interval holds the variance over images, of draws x N that over both.

    Args:
        new: right or wrong, errors, or any number per image; N, or draws x N.
        old: the same images in the same order.
        seed: of the resampling.

    Returns:
        Mean and two ends of level 0.95.

    Raises:
        CourseError: as in `bootstrap_interval`, or shapes that differ.
    """
    new, old = numbers(new, "new"), numbers(old, "old")
    same("images (one shape)", new=new.shape, old=old.shape)
    values = new - old
    return Estimate(float(values.mean()), *bootstrap_interval(values, seed=seed))


def interval_of_draws(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Student's t interval of a mean over draws: what another draw would give.

    Args:
        values: one number per draw (an accuracy, a gain), independent of each other; n, 2 or more.
        level: coverage, between 0 and 1.

    It holds the variance between draws only, on these images. What more draws on *these images*
    would give it covers in 95% of cases with 3, 5 and 10 draws alike, and pays for few draws with
    width: 2.48 standard deviations of the draws to either side with 3, 1.24 with 5, 0.72 with 10.
    For *other images* see the table of `two_way_interval`.

    Returns:
        Mean and two ends.

    Raises:
        CourseError: fewer than 2 draws, values that are not finite, or another level.
    """
    draws = vector(values, "values")
    level = one_number(level, "level", low=0, high=1, closed="neither")
    if len(draws) < 2:
        raise CourseError("one draw says nothing about the next; give the values of 2 or more.")
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    return _student(draws.mean(), error, len(draws) - 1, level)


def two_way_interval(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Interval of a mean for other draws on other images: both vary.

    The variance of the mean is that of the D draws' means over D plus that of the N images' means
    over N, with Satterthwaite's (1946) degrees of freedom. The chance in single answers is in both,
    so the interval is a little too wide rather than too narrow (two-way random effects, Owen 2007).

    Args:
        values: numbers, draws x images, 2 or more of each; each row another training on another
            sample, measured on the same test images. For a comparison the paired differences.
        level: coverage, between 0 and 1.

    How often an interval of level 0.95 held the mean for *other draws on other images*, in a
    simulation (tests/coverage_of_intervals.py; 500 images, accuracy 0.73, which other images would
    move by 0.014) where another draw moves the accuracy by 0.02 / by 0.07:

    - `bootstrap_interval` of the draws' mean, over images only: 3 draws .88 / .47, 5 draws
      .91 / .53, 10 draws .92 / .64;
    - `bootstrap_interval` of draws x images: .96 / .81, .97 / .90, .97 / .94;
    - `interval_of_draws`: .93 / .94, .86 / .94, .74 / .93;
    - `two_way_interval`: .96 / .91, .97 / .94, .96 / .96.

    Returns:
        Mean and two ends.

    Raises:
        CourseError: other shapes, values that are not finite, or another level.
    """
    table = matrix(values, "values")  # D x N
    level = one_number(level, "level", low=0, high=1, closed="neither")
    if min(table.shape) < 2:
        raise CourseError(f"values must be 2 draws x 2 images or more, not {table.shape}.")
    by_draw = table.mean(axis=1).var(ddof=1) / len(table)
    by_image = table.mean(axis=0).var(ddof=1) / table.shape[1]
    variance = by_draw + by_image
    parts = by_draw**2 / (len(table) - 1) + by_image**2 / (table.shape[1] - 1)
    freedom = variance**2 / parts if parts > 0 else 1.0  # all equal: no width
    return _student(table.mean(), np.sqrt(variance), freedom, level)


def _student(mean: float, error: float, freedom: float, level: float) -> Estimate:
    """Mean plus and minus the standard error times the quantile of Student's t."""
    half = float(error * stats.t.ppf((1 + level) / 2, freedom))
    return Estimate(float(mean), float(mean) - half, float(mean) + half)


def forgetting(before: float | np.ndarray, after: float | np.ndarray) -> float:
    """How much of an old ability was lost: accuracy before minus accuracy after.

    The mean over tasks if there are several (Chaudhry et al. 2018, section 3.2, for one step).
    Negative if the old tasks gained.

    Args:
        before: accuracy on each old task, 0 to 1, before the new training; a number or an array.
        after: the same after it, of the same shape.

    Returns:
        A float, -1 to 1.

    Raises:
        CourseError: different shapes, nothing to compare, or no accuracies.
    """
    old, new = numbers(before, "before", low=0, high=1), numbers(after, "after", low=0, high=1)
    same("shape", before=old.shape, after=new.shape)
    return float((old - new).mean())


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes of the share of their items that are right (mean recall).

    Classes that do not occur in `labels` do not count.

    Args:
        predictions: predicted classes, whole numbers, N.
        labels: true classes, whole numbers, N.

    Returns:
        A float, 0 to 1.

    Raises:
        CourseError: as in `accuracy`.
    """
    predictions, labels = _classes(predictions, labels)
    return float(np.mean([(predictions[labels == k] == k).mean() for k in np.unique(labels)]))


def multitask_delta(
    multi: Sequence[float], single: Sequence[float], higher_is_better: Sequence[bool]
) -> float:
    """Mean relative change of a multi-task model against single-task models.

    The mean over tasks of ``(multi - single) / single``, with the sign turned for metrics where
    lower is better (Maninis, Radosavovic & Kokkinos 2019, equation 4); 0.02 means 2% better.

    Args:
        multi: one metric per task, of the multi-task model.
        single: the same of the single-task models, above 0.
        higher_is_better: for each task, whether a larger metric is better; True or False.

    Returns:
        A float; above 0 if the multi-task model is better.

    Raises:
        CourseError: different lengths, no task, a metric that is not finite, a single-task metric
            that is not above 0, or a `higher_is_better` other than True and False.
    """
    new, old = vector(multi, "multi"), vector(single, "single", low=0, closed="high")
    better = zeros_and_ones(higher_is_better, "higher_is_better", 1)
    same("number of tasks", multi=len(new), single=len(old), higher_is_better=len(better))
    change = (new - old) / old
    return float(np.mean(np.where(better, change, -change)))


def _classes(predictions: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as class numbers of one length."""
    predictions = class_labels(predictions, "predictions")
    labels = class_labels(labels, "labels")
    same("length", predictions=len(predictions), labels=len(labels))
    return predictions, labels
