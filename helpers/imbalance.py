"""Classes of unequal size: weights that look at the rare ones (NumPy)."""

from collections.abc import Sequence

import numpy as np

from helpers.base.arguments import one_number, vector


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
    n = vector(counts, "counts", low=1)
    beta = one_number(beta, "beta", low=0, high=1, closed="low")
    # 1 - beta^n, with all its digits where beta is very close to 1
    effective = -np.expm1(n * np.log(beta)) if beta > 0 else np.ones_like(n)
    weights = 1 / effective  # 1 - beta is the same for all classes
    return np.asarray(weights * len(n) / weights.sum())
