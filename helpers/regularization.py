"""Penalties that hold a network near what it was (PyTorch)."""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.errors import CourseError

Tensors = Mapping[str, Tensor] | Iterable[Tensor]


def l2_sp(parameters: Tensors, anchors: Tensors) -> Tensor:
    """Half the squared distance between parameters and their starting point.

    Li, Grandvalet & Davoine (2018), equation 3, without its factor alpha. Weight decay is the same
    with all anchors at zero.

    Args:
        parameters: float tensors that learn, in order or by name; of a mapping, those that
            `anchors` names are used, so a new head may stay free.
        anchors: tensors of the same shapes: copies (``p.detach().clone()``), not references. No
            gradient flows into them.

    Returns:
        A scalar, 0 or more, through which gradients flow into `parameters`.

    Raises:
        CourseError: the two do not match, there are none, or an anchor *is* its parameter.
    """
    return _half_sum((p - a).square().sum() for p, a in _matched(parameters, anchors))


def ewc_penalty(parameters: Tensors, anchors: Tensors, fisher: Tensors) -> Tensor:
    """Half the squared distance from the anchors, each parameter weighted by its importance.

    Kirkpatrick et al. (2017), equation 3, without its factor lambda.

    Args:
        parameters: as in `l2_sp`.
        anchors: as in `l2_sp`.
        fisher: diagonal of the Fisher information at the anchors, 0 or more, same shapes.

    Returns:
        A scalar, 0 or more.

    Raises:
        CourseError: as in `l2_sp`.
    """
    anchors = anchors if isinstance(anchors, Mapping) else list(anchors)
    pairs = _matched(parameters, anchors)
    weights = [weight.detach() for weight, _ in _matched(fisher, anchors, "Fisher tensor")]
    return _half_sum((w * (p - a).square()).sum() for w, (p, a) in zip(weights, pairs, strict=True))


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence of the student from the teacher, both softened.

    ``T² · KL(softmax(teacher / T) || softmax(student / T))``, the mean over rows (Hinton, Vinyals &
    Dean 2015, section 2). The factor T² keeps the gradients of the same size whatever T is.

    Args:
        student_logits: N x classes.
        teacher_logits: N x classes; no gradient flows into them.
        temperature: T, above 0.

    Raises:
        CourseError: different shapes, no rows, or a temperature that is not above 0 and finite.
    """
    if student_logits.shape != teacher_logits.shape or student_logits.ndim != 2:
        raise CourseError(
            "student and teacher logits must both be N x classes, not of shapes "
            f"{tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}."
        )
    if not len(student_logits):
        raise CourseError("the logits have no rows; give at least one.")
    if not 0 < temperature < math.inf:
        raise CourseError(f"temperature must be above 0 and finite, not {temperature}.")
    student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def _matched(
    parameters: Tensors, anchors: Tensors, kind: str = "parameter"
) -> list[tuple[Tensor, Tensor]]:
    if isinstance(anchors, Mapping):
        named = dict(parameters) if isinstance(parameters, Mapping) else {}
        if missing := sorted(anchors.keys() - named.keys()):
            raise CourseError(
                f"there is no {kind} named {missing[0]!r}; give a dictionary that has all the "
                "anchors' names, such as dict(model.named_parameters())."
            )
        pairs = [(named[name], anchor) for name, anchor in anchors.items()]
    else:
        given = parameters.values() if isinstance(parameters, Mapping) else parameters
        left, right = list(given), list(anchors)
        if len(left) != len(right):
            raise CourseError(f"there are {len(left)} {kind}s but {len(right)} anchors.")
        pairs = list(zip(left, right, strict=True))
    if not pairs:
        raise CourseError("there are no anchors; an iterator gives its tensors only once.")
    for parameter, anchor in pairs:
        if not (isinstance(parameter, Tensor) and isinstance(anchor, Tensor)):
            raise CourseError(
                f"{kind}s and anchors must be tensors, such as model.parameters() gives, not "
                f"{type(parameter).__name__} and {type(anchor).__name__}."
            )
        if parameter.shape != anchor.shape:
            raise CourseError(
                f"a {kind} of shape {tuple(parameter.shape)} meets an anchor of shape "
                f"{tuple(anchor.shape)}; they must be in the same order."
            )
        if parameter.requires_grad and parameter.data_ptr() == anchor.data_ptr():
            raise CourseError(
                "an anchor shares its memory with its parameter and will follow it; "
                "take a copy: p.detach().clone()."
            )
    return [(parameter, anchor.detach()) for parameter, anchor in pairs]


def _half_sum(terms: Iterable[Tensor]) -> Tensor:
    return 0.5 * torch.stack(list(terms)).sum()
