"""Transferability scores: how well would features of a source model serve a target task?

All three look at labeled target examples only, train no network and take milliseconds. They rank
candidates; none of them is the accuracy that you will get (Agostinelli et al. 2022).
"""

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf

from helpers.base.errors import CourseError

# Limits of signal to noise along the strongest direction of the features, see `logme`.
_LOWEST, _HIGHEST = 1e-8, 1e10


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Log of maximum evidence (You et al. 2021, equations 2 to 4), higher is better.

    Bayesian linear regression of each class's 0/1 indicator y on the features F, without a bias:
    w ~ N(0, I / alpha), y ~ N(F w, I / beta). The score is log p(y | F), maximized over alpha and
    beta, divided by N, and averaged over the classes.

    With lambda = beta / alpha and the singular values s of F, the best beta has a closed form and
    one search over log lambda remains: exact for N > D and N < D alike, without the fixed-point
    iteration of the paper, which can diverge. The evidence itself can have no maximum (noise-free
    labels), so lambda s_max² is kept between 1e-8 and 1e10, or is 0. The score does not change
    if the features are rotated or multiplied by a number.

    Args:
        features: finite numbers, N x D, neither centered nor scaled; computed in float64.
        labels: integers, N, two classes or more; any numbers.

    Returns:
        A finite float of either sign.

    Raises:
        CourseError: other shapes, features that are not finite, or fewer than two classes.
    """
    matrix, classes = _checked(features, labels)
    n = len(matrix)
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    top = singular.max(initial=0.0)
    kept = singular > top * max(matrix.shape) * np.finfo(float).eps
    left, spread = left[:, kept], (singular[kept] / top) ** 2 if top else singular[kept]

    def evidence(signal: np.ndarray, inside: np.ndarray, outside: float) -> np.ndarray:
        """Log evidence / N for each value of lambda s_max², beta being the best one for it."""
        gain = 1 + signal[:, None] * spread
        error = (inside**2 / gain).sum(axis=1) + outside  # N / beta
        error = np.maximum(error, np.finfo(float).tiny)
        return -0.5 * (np.log(2 * np.pi * error / n) + 1 + np.log(gain).sum(axis=1) / n)

    grid = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), 120)
    scores = []
    for indicator in (classes[:, None] == np.arange(classes.max() + 1)).T.astype(float):
        inside = left.T @ indicator
        outside = float(((indicator - left @ inside) ** 2).sum())
        signals = np.concatenate([[0.0], np.exp(grid)])
        values = evidence(signals, inside, outside)
        place = int(values[1:].argmax())
        around = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
        found = minimize_scalar(
            lambda log, i=inside, o=outside: -evidence(np.exp([log]), i, o)[0],
            bounds=around,
            method="bounded",
            options={"xatol": 1e-6},
        )
        scores.append(max(float(values.max()), -float(found.fun)))
    return float(np.mean(scores))


def leep(source_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Log expected empirical prediction (Nguyen et al. 2020, equation 2), 0 or less.

    The source model's probabilities theta_z(x) of its own classes z are turned into a prediction
    of the target classes by P(y | z), estimated on the same examples:
    mean over i of log sum_z P(y_i | z) theta_z(x_i). Source classes that no example has any
    probability of are left out. Depends on the number of source classes: compare models with care.

    Args:
        source_probabilities: N x source classes, 0 to 1, rows that sum to 1 (to within 0.001).
        labels: target classes, integers, N, two classes or more; any numbers.

    Returns:
        A float, 0 or less.

    Raises:
        CourseError: other shapes, numbers that are no probabilities, or fewer than two classes.
    """
    theta, classes = _checked(source_probabilities, labels, "source_probabilities")
    sums = theta.sum(axis=1)
    trouble = ""
    if theta.min() < 0:
        trouble = f"the smallest is {theta.min():.4g}"
    elif np.abs(sums - 1).max() > 1e-3:
        trouble = f"they sum to between {sums.min():.4g} and {sums.max():.4g}"
    if trouble:
        raise CourseError(
            "source_probabilities must be 0 or more and each row must sum to 1, but "
            f"{trouble}; pass the softmax of the scores."
        )
    theta = theta / sums[:, None]
    joint = (classes[:, None] == np.arange(classes.max() + 1)).T.astype(float) @ theta
    mass = joint.sum(axis=0)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)  # P(y | z)
    return min(float(np.log((given[classes] * theta).sum(axis=1)).mean()), 0.0)


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Shrunken H-score (Ibrahim et al. 2021) of Bao et al. (2019), 0 to classes - 1.

    ``(1 - a) tr(S_a^-1 cov(E[f | y]))``, where ``S_a = (1 - a) cov(f) + a m I`` is the covariance
    of Ledoit & Wolf (2004), a its shrinkage and m the mean variance; covariances divide by N. Bao's
    ``tr(cov(f)^-1 cov(E[f | y]))`` is the case a = 0, to which it tends for N >> D; without
    shrinkage it is classes - 1 for any features once N <= D. The score does not change if the
    features are shifted, rotated or multiplied by a number; unlike Bao's it does if they are
    scaled one by one.

    Args:
        features: finite numbers, N x D; computed in float64.
        labels: integers, N, two classes or more; any numbers.

    Returns:
        A float, 0 to classes - 1; 0 if all features are constant.

    Raises:
        CourseError: other shapes, features that are not finite, or fewer than two classes.
    """
    matrix, classes = _checked(features, labels)
    # A power of 2 changes no digit, and neither sums nor squares overflow any more.
    matrix = np.ldexp(matrix, -np.frexp(np.abs(matrix).max())[1])
    columns = np.abs(matrix).max(axis=0)
    matrix = matrix - matrix.mean(axis=0)
    rounding = len(matrix) * np.finfo(float).eps * columns
    matrix[:, np.abs(matrix).max(axis=0) <= rounding] = 0  # what is left of a constant
    size = np.abs(matrix).max()
    if size == 0:
        return 0.0
    matrix = matrix / size  # so that very small and very large features neither vanish nor overflow
    estimate = LedoitWolf(assume_centered=True, store_precision=False).fit(matrix)
    keep = 1 - float(estimate.shrinkage_)
    indicator = (classes[:, None] == np.arange(classes.max() + 1)).astype(float)
    counts = indicator.sum(axis=0)
    means = indicator.T @ matrix / counts[:, None]
    between = (means.T * (counts / len(matrix))) @ means
    solved = np.linalg.lstsq(estimate.covariance_, between, rcond=None)[0]
    return float(np.clip(keep * np.trace(solved), 0.0, len(counts) - 1.0))


def _checked(
    values: np.ndarray, labels: np.ndarray, name: str = "features"
) -> tuple[np.ndarray, np.ndarray]:
    """The values in float64, and the classes numbered from 0."""
    matrix, given = np.asarray(values), np.asarray(labels)
    if matrix.ndim != 2 or not matrix.size or given.shape != matrix.shape[:1]:
        raise CourseError(
            f"{name} must be N x columns with one label per row, not of shapes {matrix.shape} and "
            f"{given.shape}."
        )
    if given.dtype.kind not in "iu":
        raise CourseError(f"labels must be integers, not {given.dtype}.")
    if matrix.dtype.kind not in "fiub":
        raise CourseError(f"{name} must be real numbers, not {matrix.dtype}.")
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise CourseError(f"{name} must be finite, but some are NaN or infinite.")
    found, classes = np.unique(given, return_inverse=True)
    if len(found) < 2:
        raise CourseError(
            f"labels must have two classes or more, but all are {int(found[0])}; a score says how "
            "well classes can be told apart."
        )
    return matrix, classes
