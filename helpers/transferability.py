"""Transferability scores: how well would features of a source model serve a target task?

All three look at labeled target examples only, train no network and take milliseconds. They rank
candidates; none of them is the accuracy that you will get (Agostinelli et al. 2022).
"""

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf

from helpers.base.arguments import class_labels, matrix, same
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
    f, indicators = _checked(features, labels)  # N x D, N x classes
    n = len(f)
    left, singular, _ = np.linalg.svd(f, full_matrices=False)
    top = singular.max()
    kept = singular > top * max(f.shape) * np.finfo(float).eps
    left, spread = left[:, kept], (singular[kept] / top) ** 2  # s² / s_max²
    scores = []
    for y in indicators.T:
        along = left.T @ y  # y along each direction of the features
        beyond = float(((y - left @ along) ** 2).sum())  # and its part in none of them
        scores.append(_most_evidence(spread, along, beyond, n))
    return float(np.mean(scores))


def _most_evidence(spread: np.ndarray, along: np.ndarray, beyond: float, n: int) -> float:
    """Log evidence / N at the best signal, lambda s_max²: none, or the best between the limits."""

    def evidence(signal: float) -> float:
        gain = 1 + signal * spread
        error = (along**2 / gain).sum() + beyond  # N / beta, beta being the best for this signal
        error = max(error, np.finfo(float).tiny)
        return float(-0.5 * (np.log(2 * np.pi * error / n) + 1 + np.log(gain).sum() / n))

    grid = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), 120)
    values = [evidence(signal) for signal in np.exp(grid)]
    best = int(np.argmax(values))
    found = minimize_scalar(
        lambda log_signal: -evidence(np.exp(log_signal)),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return max(evidence(0.0), values[best], -float(found.fun))


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
        A float, 0 or less (to within rounding).

    Raises:
        CourseError: other shapes, numbers that are no probabilities, or fewer than two classes.
    """
    theta, indicators = _checked(source_probabilities, labels, "source_probabilities")
    sums = theta.sum(axis=1)
    if theta.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise CourseError(
            "source_probabilities must be 0 or more and each row must sum to 1, but the smallest "
            f"is {theta.min():.4g} and rows sum to between {sums.min():.4g} and {sums.max():.4g}; "
            "pass the softmax of the scores."
        )
    theta = theta / sums[:, None]  # N x source classes z
    joint = indicators.T @ theta  # target classes y x z: N P(y, z)
    mass = joint.sum(axis=0)  # N P(z)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)  # P(y | z)
    right = (theta @ given.T)[indicators == 1]  # of each example's own class
    return float(np.log(right).mean())


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
        A float, 0 to classes - 1 (to within rounding); 0 if all features are constant.

    Raises:
        CourseError: other shapes, features that are not finite, or fewer than two classes.
    """
    f, indicators = _checked(features, labels)  # N x D, N x classes
    f = f / max(np.abs(f).max(), np.finfo(float).tiny)  # units do not matter, and might overflow
    centered = f - f.mean(axis=0)
    centered[:, np.ptp(f, axis=0) == 0] = 0  # rounding must not make a constant vary
    if not centered.any():
        return 0.0
    estimate = LedoitWolf(assume_centered=True, store_precision=False).fit(centered)
    counts = indicators.sum(axis=0)
    means = indicators.T @ centered / counts[:, None]  # classes x D: E[f | y]
    between = (means.T * counts) @ means / len(f)  # D x D: their covariance
    ratio = np.linalg.lstsq(estimate.covariance_, between, rcond=None)[0]
    return float((1 - estimate.shrinkage_) * np.trace(ratio))


def _checked(
    values: np.ndarray, labels: np.ndarray, name: str = "features"
) -> tuple[np.ndarray, np.ndarray]:
    """The values in float64, and for each example and class whether it is its own, 0 or 1."""
    table, given = matrix(values, name), class_labels(labels, "labels")
    same("number of rows", **{name: len(table), "labels": len(given)})
    found = np.unique(given)
    if len(found) < 2:
        raise CourseError(
            f"labels must have two classes or more, but all are {found[0]}; a score says how "
            "well classes can be told apart."
        )
    return table, (given[:, None] == found).astype(float)
