"""Penalties that hold a network near what it was (PyTorch)."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.base.arguments import float_tensor, one_number, same
from helpers.base.errors import CourseError


def l2_sp(parameters: Mapping[str, Tensor], anchors: Mapping[str, Tensor]) -> Tensor:
    """Half the squared distance between parameters and their starting point.

    Li, Grandvalet & Davoine (2018), equation 3, without its factor alpha. Weight decay is the same
    with all anchors at zero.

    Args:
        parameters: float tensors that learn, by name: ``dict(model.named_parameters())``. Those
            that `anchors` does not name, such as a new head, stay free.
        anchors: tensors of the same shapes: copies (``p.detach().clone()``), not references. No
            gradient flows into them.

    Returns:
        A scalar, 0 or more, through which gradients flow into `parameters`. Half precision is
        computed with in float32.

    Raises:
        CourseError: no dictionaries of tensors, the two do not match, there are no anchors, or an
            anchor *is* its parameter.
    """
    return 0.5 * _total((p - a).square().sum() for p, a in _pairs(parameters, anchors))


def ewc_penalty(
    parameters: Mapping[str, Tensor], anchors: Mapping[str, Tensor], fisher: Mapping[str, Tensor]
) -> Tensor:
    """Half the squared distance from the anchors, each parameter weighted by its importance.

    Kirkpatrick et al. (2017), equation 3, without its factor lambda.

    Args:
        parameters: as in `l2_sp`.
        anchors: as in `l2_sp`.
        fisher: diagonal of the Fisher information at the anchors, 0 or more, same names and shapes.
            Every call looks at all of it once.

    Returns:
        A scalar, 0 or more, as in `l2_sp`.

    Raises:
        CourseError: as in `l2_sp`, or a Fisher tensor with values below 0 or not finite.
    """
    weights = [w.detach() for w, _ in _pairs(fisher, anchors, "Fisher tensor")]
    if not torch.stack([((w >= 0) & w.isfinite()).all() for w in weights]).all():
        raise CourseError(
            "the Fisher information must be 0 or more and finite; compute it as a mean of squared "
            "gradients."
        )
    pairs = zip(weights, _pairs(parameters, anchors), strict=True)
    return 0.5 * _total((w * (p - a).square()).sum() for w, (p, a) in pairs)


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
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
    student = float_tensor(student_logits, "student_logits", axes=2)
    teacher = float_tensor(teacher_logits, "teacher_logits", axes=2).detach()
    same("shape", student_logits=tuple(student.shape), teacher_logits=tuple(teacher.shape))
    t = one_number(temperature, "temperature", low=1e-3, high=1e4)
    log_q = F.log_softmax(student / t, dim=1)
    log_p = F.log_softmax(teacher / t, dim=1)
    ruled_out = log_p == -torch.inf  # 0 log 0 is 0
    log_q, log_p = log_q.masked_fill(ruled_out, 0), log_p.masked_fill(ruled_out, 0)
    return t**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def _pairs(
    parameters: Mapping[str, Tensor], anchors: Mapping[str, Tensor], kind: str = "parameter"
) -> list[tuple[Tensor, Tensor]]:
    """The parameter of each anchor's name, and the anchor; in float32 or more precisely."""
    if not (isinstance(parameters, Mapping) and isinstance(anchors, Mapping) and anchors):
        raise CourseError(
            f"{kind}s and anchors must be dictionaries of tensors that are not empty, such as "
            "dict(model.named_parameters())."
        )
    pairs = []
    for name, anchor in anchors.items():
        if name not in parameters:
            raise CourseError(f"there is no {kind} named {name!r}, but an anchor of that name.")
        p = float_tensor(parameters[name], f"the {kind} {name!r}")
        a = float_tensor(anchor, f"the anchor {name!r}").detach()
        same("shape", **{f"the {kind} {name!r}": tuple(p.shape), "its anchor": tuple(a.shape)})
        if p.requires_grad and parameters[name].data_ptr() == anchor.data_ptr():
            raise CourseError(
                f"the anchor {name!r} shares its memory with its parameter and will follow it; "
                "take a copy: p.detach().clone()."
            )
        pairs.append((p, a))
    return pairs


def _total(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
