"""Pulling the features of two domains together (PyTorch): the losses of domain adaptation."""

import math
from typing import Any

import torch
from torch import Tensor

from helpers.base.arguments import float_tensor, one_number, same
from helpers.base.errors import CourseError


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """How far apart the covariances of two sets of features are.

    The squared Frobenius norm of their difference over 4 d² (Sun & Saenko 2016, equation 1), with
    unbiased covariances (divided by N - 1). Means play no part in it.

    Args:
        source: float, N x d.
        target: float, M x d; N and M may differ.

    Returns:
        A scalar, 0 or more, through which gradients flow into both. Features in half precision
        are computed with in float32.

    Raises:
        CourseError: not two float tensors of as many columns, or fewer than 2 rows.
    """
    source, target = _features(source, target)
    d = source.shape[1]
    with torch.autocast(source.device.type, enabled=False):
        difference = _covariance(source) - _covariance(target)  # d x d
        return difference.square().sum() / (4 * d**2)


def mmd_rbf(source: Tensor, target: Tensor, bandwidth: float, unbiased: bool = False) -> Tensor:
    """Squared maximum mean discrepancy of two samples, with a Gaussian kernel.

    ``mean k(s, s') + mean k(t, t') - 2 mean k(s, t)`` with ``k(x, y) = exp(-|x - y|² / (2 b²))``
    (Gretton et al. 2012, equations 5 and 3).

    Args:
        source: float, N x d.
        target: float, M x d; N and M may differ.
        bandwidth: b, 1e-18 to 1e18, in units of the features.
        unbiased: leave a point's similarity to itself out of the first two means. The estimate is
            then right on average but can be negative; otherwise it is 0 or more.

    Returns:
        A scalar through which gradients flow into both. Features in half precision are computed
        with in float32.

    Raises:
        CourseError: as in `coral_loss`, or another bandwidth.
    """
    source, target = _features(source, target)
    bandwidth = one_number(bandwidth, "bandwidth", low=1e-18, high=1e18)
    with torch.autocast(source.device.type, enabled=False):
        s_s = _kernel(source, source, bandwidth)  # N x N
        t_t = _kernel(target, target, bandwidth)  # M x M
        s_t = _kernel(source, target, bandwidth)  # N x M
        if unbiased:
            return _mean_of_pairs(s_s) + _mean_of_pairs(t_t) - 2 * s_t.mean()
        return s_s.mean() + t_t.mean() - 2 * s_t.mean()


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return x.clone()  # a view must not be changed in place by the layer that follows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * gradient, None


def gradient_reversal(x: Tensor, coefficient: float) -> Tensor:
    """Pass a tensor on unchanged; its gradient comes back times ``-coefficient``.

    The layer between features and domain classifier of Ganin et al. (2016, section 4.2): what
    lies above it learns to tell the domains apart, what lies below learns to prevent that.

    Args:
        x: any float tensor.
        coefficient: how strongly the gradient is turned round, usually 0 to 1
            (see `grl_coefficient`); 0 or more, finite. Gradients above the layer are not scaled.

    Returns:
        A copy of x, of the same shape and type.

    Raises:
        CourseError: something other than a float tensor, or another coefficient.
    """
    float_tensor(x, "x")
    coefficient = one_number(coefficient, "coefficient", low=0)
    reversed_: Tensor = _Reversal.apply(x, coefficient)
    return reversed_


def grl_coefficient(progress: float) -> float:
    """Ganin's schedule for `gradient_reversal`: from 0 towards 1.

    ``2 / (1 + exp(-10 progress)) - 1`` (Ganin et al. 2016, section 5.2.2).

    Args:
        progress: share of the whole training that is done, 0 to 1; not of an epoch: step / steps.

    Returns:
        A float from 0 up to 1.

    Raises:
        CourseError: progress outside 0 to 1.
    """
    return math.tanh(5 * one_number(progress, "progress", low=0, high=1))  # the same function


def proxy_a_distance(error: float) -> float:
    """Distance of two domains from how often a classifier fails to tell them apart.

    ``2 (1 - 2 error)`` (Ben-David et al. 2007, section 4): 2 if it never fails, 0 if it guesses,
    below 0 if it does worse than that.

    Args:
        error: share of wrong answers on held-out items, half of them of each domain; 0 to 1.

    Returns:
        A float, -2 to 2.

    Raises:
        CourseError: an error outside 0 to 1.
    """
    return 2 * (1 - 2 * one_number(error, "error", low=0, high=1))


def _features(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as N x d and M x d, of one type: float32 or float64."""
    source, target = float_tensor(source, "source", axes=2), float_tensor(target, "target", axes=2)
    same("number of features", source=source.shape[1], target=target.shape[1])
    if min(len(source), len(target)) < 2:
        raise CourseError("source and target must have at least 2 rows each, not one.")
    kind = torch.promote_types(source.dtype, target.dtype)
    return source.to(kind), target.to(kind)


def _covariance(features: Tensor) -> Tensor:
    centered = features - features.mean(dim=0)
    return centered.T @ centered / (len(features) - 1)


def _kernel(a: Tensor, b: Tensor, bandwidth: float) -> Tensor:
    """Similarity of each row of a to each row of b."""
    # Not |a|² + |b|² - 2ab, which loses the digits of all that lies far from the origin.
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / bandwidth
    # Beyond 100 the similarity is 0 in float64 too; without the clamp inf could become NaN.
    return torch.exp(-distances.clamp(max=100).square() / 2)


def _mean_of_pairs(similarity: Tensor) -> Tensor:
    """Mean without the diagonal, where each point meets itself."""
    n = len(similarity)
    return (similarity.sum() - similarity.trace()) / (n * (n - 1))
