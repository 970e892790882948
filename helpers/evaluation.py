"""Accuracy as a count, and intervals that say how sure we are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from helpers.base.arguments import class_numbers, finite_numbers, one_number, real_array
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
        CourseError: the two differ in shape, have more than one axis, are empty, or are not whole
            numbers (scores, probabilities, text).
    """
    right = _right(predictions, labels)
    return int(right.sum()) / right.size


def bootstrap_interval(values: np.ndarray, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of a mean (Efron & Tibshirani 1993, chapter 13).

    Args:
        values: numbers, N items; or draws x items, for example whether each of N test images was
            classified correctly by each of several independently trained models. Then draws and
            items are both resampled, so that the interval covers both sources of chance (the
            pigeonhole bootstrap, Owen 2007, somewhat conservative). With fewer than about 5
            draws their own variation is still underestimated.
        level: coverage, between 0 and 1.
        seed: of the 2,000 resamples.

    Returns:
        Two floats, ``low`` and ``high``, from the smallest value to the largest.

    Raises:
        CourseError: no values, values that are not finite, more than two axes, or a level outside
            (0, 1).
    """
    matrix = np.atleast_2d(finite_numbers(values, "values"))
    if matrix.ndim != 2 or matrix.size == 0:
        raise CourseError(f"values must be N or draws x N numbers, not of shape {matrix.shape}.")
    if not 0 < one_number(level, "level") < 1:
        raise CourseError(f"level must lie between 0 and 1, not {level}.")
    rng = np.random.default_rng(seed)
    draws, items = matrix.shape
    means = np.empty(2000)
    for i in range(len(means)):
        rows = matrix[rng.integers(draws, size=draws)]
        # Resampling items is the same as weighting them by how often each was drawn.
        weights = np.bincount(rng.integers(items, size=items), minlength=items)
        means[i] = (rows.mean(axis=0) * weights).sum() / items
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def difference(new: np.ndarray, old: np.ndarray, *, seed: int = 0) -> Estimate:
    """Mean paired difference of two ways on the same images, with `bootstrap_interval` over images.

    Args:
        new: right or wrong, errors, or any number per image; N, or draws x N.
        old: the same images in the same order.
        seed: of the resampling.

    Raises:
        CourseError: as in `bootstrap_interval`, or shapes that differ.
    """
    new, old = finite_numbers(new, "new"), finite_numbers(old, "old")
    if new.shape != old.shape:
        raise CourseError(
            f"new and old must be about the same images, not of shapes {new.shape} and {old.shape}."
        )
    values = new - old
    return Estimate(float(values.mean()), *bootstrap_interval(values, seed=seed))


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
    old, new = real_array(before, "before").astype(float), real_array(after, "after").astype(float)
    if old.shape != new.shape or not old.size:
        raise CourseError(
            f"before and after must be accuracies of the same tasks, not of shapes {old.shape} "
            f"and {new.shape}."
        )
    if not all(((part >= 0) & (part <= 1)).all() for part in (old, new)):
        raise CourseError("before and after must be accuracies from 0 to 1.")
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
    right, labels = _right(predictions, labels), class_numbers(labels, "labels")
    return float(np.mean([right[labels == k].mean() for k in np.unique(labels)]))


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
    new, old = finite_numbers(multi, "multi"), finite_numbers(single, "single")
    better = real_array(higher_is_better, "higher_is_better")
    if new.ndim != 1 or not new.size or not new.shape == old.shape == better.shape:
        raise CourseError(
            "multi, single and higher_is_better must have one entry per task, not shapes "
            f"{new.shape}, {old.shape} and {better.shape}."
        )
    if not (old > 0).all():
        raise CourseError(f"the single-task metrics must be above 0, not {old.tolist()}.")
    if not np.isin(better, (0, 1)).all():
        raise CourseError(
            f"higher_is_better must be True or False per task, not {better.tolist()}."
        )
    return float(np.mean(np.where(better, 1, -1) * (new - old) / old))


def _right(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which predictions are right, bool, N."""
    predictions = class_numbers(predictions, "predictions")
    labels = class_numbers(labels, "labels")
    if predictions.shape != labels.shape or labels.ndim != 1 or labels.size == 0:
        raise CourseError(
            "predictions and labels must be class numbers of one length, at least 1, not of "
            f"shapes {predictions.shape} and {labels.shape}."
        )
    return np.asarray(predictions == labels)
