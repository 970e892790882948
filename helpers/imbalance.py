"""Classes of unequal size: weights and a loss that look at the rare ones (NumPy)."""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

from helpers.base.arguments import one_number, real_array
from helpers.base.errors import CourseError


def effective_number_weights(counts: Sequence[int] | np.ndarray, beta: float) -> np.ndarray:
    """Class-balanced weights by the effective number of examples (Cui et al. 2019, equation 4).

    ``(1 - beta) / (1 - beta^n)`` for each class, scaled to add up to the number of classes. With
    beta 0 all weights are 1; as beta approaches 1 they approach inverse frequency.

    Args:
        counts: examples of each class, 1 or more, finite.
        beta: from 0 up to, but not including, 1.

    Returns:
        float64, one weight per class.

    Raises:
        CourseError: no classes, a class without examples, or another beta.
    """
    sizes = real_array(counts, "counts").astype(float)
    if sizes.ndim != 1 or not sizes.size or not ((sizes >= 1) & (sizes < np.inf)).all():
        raise CourseError(f"counts must be one number per class, each 1 or more, not {counts}.")
    if not 0 <= one_number(beta, "beta") < 1:
        raise CourseError(f"beta must be 0 or more and below 1, not {beta}.")
    # expm1 keeps its digits where beta is very close to 1
    effective = -np.expm1(sizes * np.log(beta)) if beta > 0 else np.ones_like(sizes)
    weights = 1 / effective
    return np.asarray(weights * sizes.size / weights.sum())


def focal_loss(logits: np.ndarray, labels: np.ndarray, gamma: float) -> np.ndarray:
    """``-(1 - p)^gamma log p`` with p the probability of the right class (Lin et al. 2017, eq. 4).

    Without the paper's class weight alpha; gamma 0 is cross-entropy.

    Args:
        logits: N x classes; -inf is a class that cannot be.
        labels: right classes, integer, N.
        gamma: 0 or more, finite.

    Returns:
        The loss of each example, float64, N.

    Raises:
        CourseError: shapes that do not match, no classes, logits that are NaN or inf, labels out
            of range, or another gamma.
    """
    scores, right = real_array(logits, "logits").astype(float), real_array(labels, "labels")
    if scores.ndim != 2 or right.shape != scores.shape[:1]:
        raise CourseError(
            f"logits must be N x classes and labels N, not {scores.shape} and {right.shape}."
        )
    if not scores.shape[1]:
        raise CourseError("logits must have one column per class, at least 1, not none.")
    if not np.isfinite(scores.max(axis=1)).all():
        raise CourseError(
            "logits must not be NaN or inf, and each row needs one that is finite; look for the "
            "step that made them so."
        )
    if not np.issubdtype(right.dtype, np.integer) or (
        right.size and not (0 <= right.min() and right.max() < scores.shape[1])
    ):
        raise CourseError(f"labels must be whole numbers from 0 to {scores.shape[1] - 1}.")
    if not 0 <= one_number(gamma, "gamma") < np.inf:
        raise CourseError(f"gamma must be 0 or more and finite, not {gamma}.")
    log_p = np.take_along_axis(log_softmax(scores, axis=1), right[:, None], axis=1)[:, 0]
    return np.asarray((-np.expm1(log_p)) ** gamma * -log_p)
