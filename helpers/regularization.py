"""Penalties that hold a network near what it was (PyTorch)."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.base.arguments import one_number
from helpers.base.errors import CourseError

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
        A scalar, 0 or more, through which gradients flow into `parameters`. Half precision is
        computed with in float32.

    Raises:
        CourseError: no collections of tensors, the two do not match, there are none, or an anchor
            *is* its parameter.
    """
    return _half_sum((p - a).square().sum() for p, a in _matched(parameters, anchors))


def ewc_penalty(parameters: Tensors, anchors: Tensors, fisher: Tensors) -> Tensor:
    """Half the squared distance from the anchors, each parameter weighted by its importance.

    Kirkpatrick et al. (2017), equation 3, without its factor lambda.

    Args:
        parameters: as in `l2_sp`.
        anchors: as in `l2_sp`.
        fisher: diagonal of the Fisher information at the anchors, 0 or more, same shapes. Every
            call looks at all of it once.

    Returns:
        A scalar, 0 or more, as in `l2_sp`.

    Raises:
        CourseError: as in `l2_sp`, or a Fisher tensor with values below 0 or not finite.
    """
    anchors = _collection(anchors, "anchor")
    pairs = _matched(parameters, anchors)
    weights = [weight.detach() for weight, _ in _matched(fisher, anchors, "Fisher tensor")]
    ends = [torch.stack(torch.aminmax(weight)) for weight in weights if weight.numel()]
    if ends and not ((low_high := torch.stack(ends)) >= 0).logical_and(low_high.isfinite()).all():
        raise CourseError(
            "the Fisher information must be 0 or more and finite; compute it as a mean of squared "
            "gradients."
        )
    return _half_sum((w * (p - a).square()).sum() for w, (p, a) in zip(weights, pairs, strict=True))


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence of the student from the teacher, both softened.

    ``T² · KL(softmax(teacher / T) || softmax(student / T))``, the mean over rows (Hinton, Vinyals &
    Dean 2015, section 2). The factor T² keeps the gradients of the same size whatever T is.

    Args:
        student_logits: float, N x classes.
        teacher_logits: float, N x classes; no gradient flows into them. -inf is a class that the
            teacher rules out: it adds nothing, whatever the student says.
        temperature: T, 0.001 to 10,000.

    Returns:
        A scalar, 0 or more, through which gradients flow into `student_logits`. Half precision is
        computed with in float32.

    Raises:
        CourseError: no float tensors, different shapes, no rows, no classes, or another
            temperature.
    """
    for name, logits in (("student", student_logits), ("teacher", teacher_logits)):
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            what = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
            raise CourseError(f"the {name}'s logits must be a float tensor, not {what}.")
    if student_logits.shape != teacher_logits.shape or student_logits.ndim != 2:
        raise CourseError(
            "student and teacher logits must both be N x classes, not of shapes "
            f"{tuple(student_logits.shape)} and {tuple(teacher_logits.shape)}."
        )
    if not len(student_logits):
        raise CourseError("the logits have no rows; give at least one.")
    if not student_logits.shape[1]:
        raise CourseError("the logits have no columns; give one per class.")
    if not 1e-3 <= one_number(temperature, "temperature") <= 1e4:
        raise CourseError(f"temperature must be from 0.001 to 10000, not {temperature}.")
    kind = torch.promote_types(student_logits.dtype, teacher_logits.dtype)
    kind = torch.promote_types(kind, torch.float32)
    student = F.log_softmax(student_logits.to(kind) / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach().to(kind) / temperature, dim=1)
    ruled_out = teacher == -torch.inf  # 0 log 0 is 0
    student, teacher = student.masked_fill(ruled_out, 0), teacher.masked_fill(ruled_out, 0)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def _collection(tensors: Tensors, kind: str) -> Mapping[str, Tensor] | list[Tensor]:
    if isinstance(tensors, Mapping):
        return tensors
    if isinstance(tensors, Tensor) or not isinstance(tensors, Iterable):
        raise CourseError(
            f"{kind}s must be a dictionary or list of tensors, such as "
            f"dict(model.named_parameters()), not one {type(tensors).__name__}."
        )
    return list(tensors)


def _matched(
    parameters: Tensors, anchors: Tensors, kind: str = "parameter"
) -> list[tuple[Tensor, Tensor]]:
    parameters, anchors = _collection(parameters, kind), _collection(anchors, "anchor")
    if isinstance(anchors, Mapping):
        named = dict(parameters) if isinstance(parameters, Mapping) else {}
        if missing := sorted(anchors.keys() - named.keys()):
            raise CourseError(
                f"there is no {kind} named {missing[0]!r}; give a dictionary that has all the "
                "anchors' names, such as dict(model.named_parameters())."
            )
        pairs = [(named[name], anchor) for name, anchor in anchors.items()]
    else:
        given = list(parameters.values()) if isinstance(parameters, Mapping) else parameters
        if len(given) != len(anchors):
            raise CourseError(f"there are {len(given)} {kind}s but {len(anchors)} anchors.")
        pairs = list(zip(given, anchors, strict=True))
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
        same = parameter.numel() and parameter.data_ptr() == anchor.data_ptr()
        if parameter.requires_grad and same:
            raise CourseError(
                "an anchor shares its memory with its parameter and will follow it; "
                "take a copy: p.detach().clone()."
            )
    return [(_wide(parameter), _wide(anchor.detach())) for parameter, anchor in pairs]


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _half_sum(terms: Iterable[Tensor]) -> Tensor:
    return 0.5 * torch.stack(list(terms)).sum()
