"""Weighing the losses of several tasks, and combining their gradients (PyTorch).

Where a function takes a tensor, a NumPy array or a list of numbers will do.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers.base.arguments import one_number
from helpers.base.errors import CourseError


def _floats(values: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor of floats; tensors, in a list too, keep their type and their gradient."""
    try:
        tensor = _tensor(values, dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CourseError(
            "numbers must come as a tensor, an array or a list, with rows of one length and on "
            f"one device, not as this value of type {type(values).__name__}."
        ) from error
    if tensor.is_complex():
        raise CourseError("complex numbers have no place here; give real ones.")
    return tensor if tensor.is_floating_point() else tensor.float()


def _tensor(values: Any, dtype: torch.dtype | None) -> Tensor:
    if isinstance(values, np.ndarray):
        values = np.array(values)  # torch takes neither read-only memory nor negative strides
    elif isinstance(values, list | tuple):
        nested = [isinstance(value, Tensor | np.ndarray | list | tuple) for value in values]
        if any(nested):  # torch.as_tensor would cut the tensors off from their gradients
            return torch.stack([_tensor(value, dtype) for value in values])
    return torch.as_tensor(values, dtype=dtype)


def uncertainty_weighting(losses: Tensor, log_variances: Tensor) -> Tensor:
    """Sum of ``0.5 exp(-s) L + 0.5 s`` over the tasks (Kendall, Gal & Cipolla 2018, equation 7).

    This is the form for regression. For a classification task the paper uses ``exp(-s) L + 0.5 s``
    (equation 10): give twice its loss. The ``s`` are learned with the network, without weight
    decay; each has its optimum where ``exp(s)`` is the loss.

    Args:
        losses: one number per task, T, 0 or more, finite.
        log_variances: ``s``, the logarithm of each task's variance, T, finite.

    Returns:
        A scalar, through which gradients flow into both.

    Raises:
        CourseError: the two are not vectors of one length, or their numbers are out of range.
    """
    losses, log_variances = _floats(losses), _floats(log_variances)
    if losses.ndim != 1 or losses.shape != log_variances.shape or not len(losses):
        raise CourseError(
            "losses and log_variances must be vectors of one length, not of shapes "
            f"{tuple(losses.shape)} and {tuple(log_variances.shape)}."
        )
    fits = (losses.detach() >= 0) & (losses.detach() < math.inf)
    if not (fits & log_variances.detach().isfinite()).all():
        raise CourseError(
            "losses must be 0 or more and finite, and log_variances finite; lower the learning "
            "rate, or look for the loss that is not."
        )
    return (0.5 * torch.exp(-log_variances) * losses + 0.5 * log_variances).sum()


def dwa_weights(
    previous: Sequence[float], before_previous: Sequence[float], temperature: float = 2.0
) -> Tensor:
    """Dynamic weight average: a task whose loss falls slowly gets more weight.

    ``T · softmax(r / temperature)`` with ``r = previous / before_previous`` (Liu, Johns & Davison
    2019, equation 7); in the first two epochs the paper takes ones.

    Args:
        previous: mean loss of each of T tasks in the last epoch, above 0, finite.
        before_previous: the same, one epoch earlier.
        temperature: above 0, finite; large values give equal weights.

    Returns:
        T weights, float64, that add up to T; no gradient flows through them.

    Raises:
        CourseError: different lengths, losses or a temperature that are not above 0 and finite.
    """
    last, earlier = (_floats(v, torch.float64).detach() for v in (previous, before_previous))
    if last.ndim != 1 or last.shape != earlier.shape or not len(last):
        raise CourseError(
            "previous and before_previous must be vectors of one length, not of shapes "
            f"{tuple(last.shape)} and {tuple(earlier.shape)}."
        )
    softness = one_number(temperature, "temperature")
    ratios = last / earlier / softness
    fits = (last > 0) & (earlier > 0) & earlier.isfinite() & ratios.isfinite()
    if not (fits.all() and 0 < softness < math.inf):
        raise CourseError(
            "the losses and the temperature must be above 0 and finite, and no ratio too large."
        )
    return len(last) * torch.softmax(ratios, dim=0)


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
        CourseError: vectors of different lengths, numbers that are not finite, weights, initial
            losses or a rate not above 0, norms, losses or an alpha below 0.
    """
    given = (weights, gradient_norms, losses, initial_losses)
    vectors = tuple(_floats(v).detach() for v in given)
    weights, gradient_norms, losses, initial_losses = vectors
    if len({tuple(v.shape) for v in vectors}) != 1 or weights.ndim != 1 or not len(weights):
        raise CourseError(
            "weights, gradient_norms, losses and initial_losses must be vectors of one length, "
            f"not of shapes {', '.join(str(tuple(v.shape)) for v in vectors)}."
        )
    if not all(v.isfinite().all() for v in vectors):
        raise CourseError(
            "weights, gradient_norms, losses and initial_losses must be finite numbers."
        )
    if not ((weights > 0).all() and (initial_losses > 0).all()):
        raise CourseError("weights and initial_losses must be above 0.")
    if not ((gradient_norms >= 0).all() and (losses >= 0).all()):
        raise CourseError("gradient_norms and losses must be 0 or more.")
    if not 0 <= one_number(alpha, "alpha") < math.inf:
        raise CourseError(f"alpha must be a finite number, 0 or more, not {alpha}.")
    if not 0 < one_number(rate, "rate") < math.inf:
        raise CourseError(f"rate must be a finite number above 0, not {rate}.")
    progress = losses / initial_losses
    lag = progress / progress.mean() if progress.any() else torch.ones_like(progress)
    sizes = weights * gradient_norms
    target = sizes.mean() * lag**alpha
    slope = torch.sign(sizes - target) * gradient_norms
    moved = (weights - rate * slope).clamp(min=1e-8)  # a weight must not change its sign
    return moved * len(weights) / moved.sum()


def pcgrad(gradients: Tensor, order: Sequence[int] | None = None) -> Tensor:
    """Projecting conflicting gradients (Yu et al. 2020, algorithm 1).

    From each task's gradient, what opposes another task's *original* gradient is taken out, one
    other task after the other; the results are added.

    Args:
        gradients: tasks x parameters, finite.
        order: all task numbers, in the order in which the others are visited; None draws a new
            order for each task from torch's global generator, as the paper does.

    Returns:
        The sum of the projected gradients, one number per parameter, of the type of the gradients
        (of half precision too, which is computed with in float32).

    Raises:
        CourseError: gradients that are no matrix or not finite, or an order that is no
            permutation.
    """
    gradients = _floats(gradients)
    if gradients.ndim != 2 or not gradients.numel():
        raise CourseError(
            f"gradients must be tasks x parameters, not of shape {tuple(gradients.shape)}."
        )
    tasks = len(gradients)
    visits = None if order is None else _permutation(order, tasks)
    kind = torch.promote_types(gradients.dtype, torch.float32)
    wide = gradients.to(kind)
    sizes = wide.detach().abs().amax(dim=1).tolist()
    if not all(map(math.isfinite, sizes)):
        raise CourseError("the gradients hold values that are not finite; lower the learning rate.")
    # Powers of 2 change no digit, and squares of what they leave neither vanish nor overflow.
    limit = int(math.log2(torch.finfo(kind).max)) - 7
    scales = [2.0 ** max(-limit, min(limit, math.frexp(size)[1])) for size in sizes]
    scaled = [row / scale for row, scale in zip(wide, scales, strict=True)]
    total = torch.zeros_like(wide[0])
    for i in range(tasks):
        projected = scaled[i]
        for j in visits if visits is not None else torch.randperm(tasks).tolist():
            other = scaled[j]
            if j != i and (overlap := projected @ other) < 0:
                projected = projected - overlap / (other @ other) * other
        total = total + (wide[i] if projected is scaled[i] else projected * scales[i])
    return total.to(gradients.dtype)


def _permutation(order: Sequence[int], tasks: int) -> list[int]:
    try:
        numbers = list(map(operator.index, order))
    except TypeError:
        numbers = []
    if sorted(numbers) != list(range(tasks)):
        raise CourseError(
            f"order must name each of the tasks 0 to {tasks - 1} once, not {numbers or order}."
        )
    return numbers


def gradient_cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of the angle between two gradients of one shape; 0 if either is zero.

    Args:
        a: numbers of any shape, finite and of any size.
        b: the same.

    Returns:
        A float, -1 to 1, computed in float64.

    Raises:
        CourseError: different shapes, nothing in them, or values that are not finite.
    """
    a, b = _floats(a), _floats(b)
    if a.shape != b.shape or not a.numel():
        raise CourseError(
            "the two gradients must have one shape with at least one number, not "
            f"{tuple(a.shape)} and {tuple(b.shape)}."
        )
    flat = [part.detach().flatten() for part in (a, b)]
    sizes = [part.abs().max().double() for part in flat]
    if not all(map(torch.isfinite, sizes)):
        raise CourseError("the gradients hold values that are not finite; lower the learning rate.")
    if not all(sizes):
        return 0.0
    x, y = (part.double() / size for part, size in zip(flat, sizes, strict=True))
    return max(-1.0, min(1.0, float(x @ y / torch.sqrt((x @ x) * (y @ y)))))
