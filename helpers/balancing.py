"""Weighing the losses of several tasks, and comparing their gradients (PyTorch)."""

import torch
from torch import Tensor

from helpers.base.arguments import float_tensor, one_number, same


def dwa_weights(previous: Tensor, before_previous: Tensor) -> Tensor:
    """Dynamic weight average: a task whose loss falls slowly gets more weight.

    ``T · softmax(r / 2)`` with ``r = previous / before_previous`` (Liu, Johns & Davison 2019,
    equation 7, with their temperature of 2); in the first two epochs the paper takes ones.

    Args:
        previous: mean loss of each of T tasks in the last epoch, above 0, finite.
        before_previous: the same, one epoch earlier.

    Returns:
        T weights, float64, that add up to T; no gradient flows through them.

    Raises:
        CourseError: no float vectors of one length, or losses that are not above 0 and finite.
    """
    previous = float_tensor(previous, "previous", axes=1, low=0, closed="high")
    before_previous = float_tensor(before_previous, "before_previous", axes=1, low=0, closed="high")
    same("length", previous=len(previous), before_previous=len(before_previous))
    ratios = previous.detach().double() / before_previous.detach().double()
    return len(ratios) * torch.softmax(ratios / 2, dim=0)


def gradnorm_step(
    weights: Tensor,
    gradient_norms: Tensor,
    losses: Tensor,
    initial_losses: Tensor,
    *,
    alpha: float = 1.5,
    rate: float = 0.025,
) -> Tensor:
    """One update of the task weights towards gradients of balanced size (Chen et al. 2018).

    Gradient descent on ``sum_i |w_i G_i - mean(w G) r_i^alpha|`` (equation 2), where the target
    on the right is held constant, then scaled so that the weights add up to T (section 3.2).
    A weight that the step would bring to 0 or below is set to 1e-8 before the scaling.

    The slope of ``w_i`` is ``G_i`` itself: a step moves the weight by ``rate * G_i``. While the
    weight that balances the task shrinks as ``1 / G_i``, its step grows as ``G_i``: with norms far
    from 1 the rate must be chosen anew, or the weights jump.

    Args:
        weights: ``w``, T, above 0.
        gradient_norms: ``G``, T, 0 or more: norm of the gradient of each *unweighted* loss in the
            last shared layer.
        losses: of each task now, T, 0 or more.
        initial_losses: of each task before training, T, above 0.
        alpha: how strongly tasks that lag behind are favored, 0 or more; 0 only makes the
            gradients equally large.
        rate: step size, above 0.

    Returns:
        The new weights, T, all above 0, without a gradient.

    Raises:
        CourseError: no float vectors of one length, numbers that are not finite, weights, initial
            losses or a rate not above 0, norms, losses or an alpha below 0.
    """
    w = float_tensor(weights, "weights", axes=1, low=0, closed="high").detach()
    norms = float_tensor(gradient_norms, "gradient_norms", axes=1, low=0).detach()
    now = float_tensor(losses, "losses", axes=1, low=0).detach()
    first = float_tensor(initial_losses, "initial_losses", axes=1, low=0, closed="high").detach()
    same(
        "length",
        weights=len(w),
        gradient_norms=len(norms),
        losses=len(now),
        initial_losses=len(first),
    )
    alpha = one_number(alpha, "alpha", low=0)
    rate = one_number(rate, "rate", low=0, closed="high")
    progress = now / first
    lag = progress / progress.mean() if progress.any() else torch.ones_like(progress)  # r
    sizes = w * norms  # of the weighted gradients
    target = sizes.mean() * lag**alpha
    slope = torch.sign(sizes - target) * norms
    moved = (w - rate * slope).clamp(min=1e-8)  # a weight must not change its sign
    return moved * len(w) / moved.sum()


def gradient_cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of the angle between two gradients of one shape; 0 if either is zero.

    Args:
        a: floats of any shape, finite and of any size.
        b: the same.

    Returns:
        A float, -1 to 1, computed in float64.

    Raises:
        CourseError: no float tensors, different shapes, or values that are not finite.
    """
    x = float_tensor(a, "a", low=-torch.inf).detach().double().flatten()
    y = float_tensor(b, "b", low=-torch.inf).detach().double().flatten()
    same("shape", a=tuple(a.shape), b=tuple(b.shape))
    if not (x.any() and y.any()):
        return 0.0
    x, y = x / x.abs().max(), y / y.abs().max()  # or squares of the tiny would vanish
    cosine = x @ y / torch.sqrt((x @ x) * (y @ y))
    return float(cosine.clamp(-1, 1))  # rounding
