"""Accuracy as a count, and intervals that say how sure we are."""

from typing import NamedTuple

import numpy as np

from helpers.errors import CourseError


class Interval(NamedTuple):
    """Two-sided interval."""

    low: float
    high: float


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of right predictions: one count over all items, never a mean of batch means.

    Args:
        predictions: predicted classes, integer, N.
        labels: true classes, integer, N.

    Raises:
        CourseError: the two differ in shape, have more than one axis, or are empty.
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim != 1 or labels.size == 0:
        raise CourseError(
            "predictions and labels must be class numbers of one length, at least 1, not of "
            f"shapes {predictions.shape} and {labels.shape}."
        )
    return int((predictions == labels).sum()) / labels.size


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

    Raises:
        CourseError: no values, more than two axes, or a level outside (0, 1).
    """
    matrix = np.atleast_2d(np.asarray(values, dtype=float))
    if matrix.ndim != 2 or matrix.size == 0:
        raise CourseError(f"values must be N or draws x N numbers, not of shape {matrix.shape}.")
    if not 0 < level < 1:
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
