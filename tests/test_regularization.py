"""Penalties against closed forms, their own gradients and PyTorch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import all_refused, refused

from helpers.regularization import distillation_loss, ewc_penalty, l2_sp

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py
from torch import Tensor, nn  # isort: skip


def made(*values: Any, learns: bool = True) -> dict[str, Tensor]:
    """Tensors named a, b, c ..."""
    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=learns) for v in values]
    return dict(zip("abc", tensors, strict=False))


PENALTIES: list[Callable[[Any, Any], Tensor]] = [
    l2_sp,
    lambda parameters, anchors: ewc_penalty(parameters, anchors, copy.deepcopy(anchors)),
]


def ones_like(anchors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.ones_like(anchor) for name, anchor in anchors.items()}


# --- L2-SP and EWC -------------------------------------------------------------------------------


def test_l2_sp_in_closed_form() -> None:
    parameters, anchors = made([3.0, 1.0], [[2.0]]), made([1.0, 1.0], [[5.0]], learns=False)
    penalty = l2_sp(parameters, anchors)
    assert penalty.shape == ()
    assert penalty.item() == 0.5 * (2**2 + 3**2)
    penalty.backward()
    for name, parameter in parameters.items():
        assert torch.equal(parameter.grad, parameter.detach() - anchors[name])


def test_ewc_in_closed_form() -> None:
    parameters, anchors = made([3.0, 1.0], [[2.0]]), made([1.0, 2.0], [[5.0]], learns=False)
    fisher = made([10.0, 0.0], [[0.1]], learns=False)
    penalty = ewc_penalty(parameters, anchors, fisher)
    assert penalty.item() == pytest.approx(0.5 * (10 * 2**2 + 0.1 * 3**2))
    penalty.backward()
    for name, parameter in parameters.items():
        assert torch.equal(parameter.grad, fisher[name] * (parameter.detach() - anchors[name]))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()


def test_both_on_a_network() -> None:
    model, start = network(0), network(1)
    named, anchors = dict(model.named_parameters()), dict(start.named_parameters())
    vector = nn.utils.parameters_to_vector
    apart = vector(model.parameters()) - vector(start.parameters())
    expected = 0.5 * apart.square().sum().item()
    assert l2_sp(named, anchors).item() == pytest.approx(expected)
    assert ewc_penalty(named, anchors, ones_like(anchors)).item() == pytest.approx(expected)
    three = {name: 3 * one for name, one in ones_like(anchors).items()}
    assert ewc_penalty(named, anchors, three).item() == pytest.approx(3 * expected)
    # nothing apart, nothing to pay, no force
    same = {name: p.detach().clone() for name, p in named.items()}
    for penalty in (l2_sp(named, same), ewc_penalty(named, same, three)):
        assert penalty.item() == 0
        gradients = torch.autograd.grad(penalty, list(named.values()))
        assert not any(gradient.any() for gradient in gradients)


def test_tensors_of_one_shape_are_not_mixed_up() -> None:
    parameters = made([1.0], [2.0])
    anchors = {"b": torch.zeros(1), "a": torch.ones(1)}
    assert l2_sp(parameters, anchors).item() == 0.5 * 2**2
    fisher = {"a": torch.tensor([100.0]), "b": torch.tensor([3.0])}
    assert ewc_penalty(parameters, anchors, fisher).item() == 0.5 * 3 * 2**2


def test_a_new_head_stays_free() -> None:
    model = network(0)
    named = dict(model.named_parameters())
    anchors = {name: p.detach() + 1 for name, p in named.items() if not name.startswith("2.")}
    fisher = ones_like({name: p.detach() for name, p in named.items()})
    for penalty in (l2_sp(named, anchors), ewc_penalty(named, anchors, fisher)):
        assert penalty.item() == pytest.approx(0.5 * sum(a.numel() for a in anchors.values()))
        model.zero_grad()
        penalty.backward()
        assert {name for name, p in named.items() if p.grad is not None} == set(anchors)


def test_weight_decay_is_the_case_of_anchors_at_zero() -> None:
    """Ten steps of SGD with either; with other anchors the weights go elsewhere."""
    ends = []
    for how in ("decay", "penalty", "start"):
        model = network(0)
        named = dict(model.named_parameters())
        zero = {name: torch.zeros_like(p) for name, p in named.items()}
        start = {name: p.detach().clone() for name, p in named.items()}
        optimizer = torch.optim.SGD(
            model.parameters(), 0.1, momentum=0.9, weight_decay=0.3 if how == "decay" else 0
        )
        for _ in range(10):
            loss = model(torch.arange(20.0).double().reshape(5, 4)).square().mean()
            if how != "decay":
                loss = loss + 0.3 * l2_sp(named, zero if how == "penalty" else start)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    assert torch.allclose(ends[0], ends[1], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(ends[0], ends[2], rtol=1e-2)


def test_no_gradient_into_anchors_and_weights() -> None:
    parameters, anchors = (dict(network(seed).named_parameters()) for seed in range(2))
    fisher = {name: nn.Parameter(p.detach().abs()) for name, p in network(2).named_parameters()}
    (l2_sp(parameters, anchors) + ewc_penalty(parameters, anchors, fisher)).backward()
    assert all(parameter.grad is not None for parameter in parameters.values())
    assert all(other.grad is None for other in [*anchors.values(), *fisher.values()])


def test_references_are_refused() -> None:
    """A snapshot that follows its parameter would be a penalty of zero for ever."""
    model = network(0)
    named = dict(model.named_parameters())
    state = {name: model.state_dict()[name] for name in named}
    for anchors in (named, state, {name: p.detach() for name, p in named.items()}):
        with refused("the anchor '0.weight' shares its memory with its parameter"):
            l2_sp(named, anchors)
        with refused("the anchor '0.weight' shares its memory with its parameter"):
            ewc_penalty(named, anchors, ones_like(anchors))
    clones = {name: p.detach().clone() for name, p in named.items()}
    assert l2_sp(named, clones).item() == 0
    with torch.no_grad():
        named["0.bias"] += 2
    assert l2_sp(named, clones).item() == pytest.approx(0.5 * 3 * 2**2)
    assert l2_sp(named, copy.deepcopy(clones)).item() > 0
    frozen = dict(model.requires_grad_(False).named_parameters())
    assert l2_sp(frozen, frozen).item() == 0  # what cannot learn may be its own anchor


@pytest.mark.parametrize("penalty", PENALTIES, ids=["l2_sp", "ewc"])
def test_penalties_refuse(penalty: Any) -> None:
    linear, list_ = nn.Linear(1, 1), [torch.ones(1)]
    dictionaries = "must be dictionaries of tensors that are not empty"
    cases: list[tuple[Any, Any, str]] = [
        (made([1.0]), {}, dictionaries),
        ({}, {}, dictionaries),
        (list_, made([1.0]), dictionaries),
        (made([1.0]), list_, dictionaries),
        (linear, made([1.0]), dictionaries),
        (made([1.0]), linear, dictionaries),
        (None, made([1.0]), dictionaries),
        (made([1.0]), None, dictionaries),
        (made([1.0]), made([1.0], [2.0]), "'b', but an anchor of that name"),
        (made([1.0, 2.0]), made([1.0]), "must have the same shape, not (2,) and (1,)"),
        (made([[1.0, 2.0]]), made([[1.0], [2.0]]), "must have the same shape"),
        (made(1.0), made([1.0]), "must have the same shape, not () and (1,)"),  # would broadcast
        ({"a": linear}, made([1.0]), "'a' must be a torch tensor of floats"),
        (made([1.0]), {"a": np.ones(1)}, "'a' must be a torch tensor of floats"),
        ({"a": torch.ones(1).long()}, made([1.0]), "'a' must be a torch tensor of floats"),
    ]
    all_refused((lambda p=p, a=a: penalty(p, a), match) for p, a, match in cases)


def test_buffers_are_no_parameters() -> None:
    model = network(0)
    with refused("there is no parameter named '1.running_mean'"):
        l2_sp(dict(model.named_parameters()), copy.deepcopy(model.state_dict()))


def test_ewc_refuses() -> None:
    of_fisher = "the Fisher information must be 0 or more and finite"
    cases: list[tuple[Any, str]] = [
        ({"b": torch.ones(2)}, "there is no Fisher tensor named 'a'"),
        ({}, "there is no Fisher tensor named 'a'"),
        ([torch.ones(2)], "Fisher tensors and anchors must be dictionaries"),
        (torch.ones(2), "Fisher tensors and anchors must be dictionaries"),
        (None, "Fisher tensors and anchors must be dictionaries"),
        ({"a": torch.ones(1)}, "the Fisher tensor 'a' and its anchor must have the same shape"),
        ({"a": 1.0}, "the Fisher tensor 'a' must be a torch tensor of floats"),
        ({"a": torch.tensor([1.0, -1e-9])}, of_fisher),
        ({"a": torch.tensor([1.0, float("nan")])}, of_fisher),
        ({"a": torch.tensor([1.0, float("inf")])}, of_fisher),
    ]
    parameters, anchors = made([1.0, 2.0]), {"a": torch.zeros(2)}
    all_refused((lambda f=f: ewc_penalty(parameters, anchors, f), match) for f, match in cases)


# --- distillation --------------------------------------------------------------------------------


def logits(seed: int, rows: int = 6, classes: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


TEMPERATURES = [0.5, 1, 2, 4.0, 10]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_distillation_is_the_divergence(temperature: float) -> None:
    student, teacher = logits(0), logits(1)
    found = distillation_loss(student, teacher, temperature)
    p, q = ((z / temperature).softmax(1) for z in (teacher, student))
    by_hand = temperature**2 * (p * (p / q).log()).sum(1).mean()
    assert found.shape == ()
    assert found.item() == pytest.approx(by_hand.item())
    library = nn.KLDivLoss(reduction="batchmean")(q.log(), p) * temperature**2
    assert found.item() == pytest.approx(library.item())
    swapped = distillation_loss(teacher, student, temperature)
    assert found.item() != pytest.approx(swapped.item(), rel=1e-3)
    assert found > 0


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_of_distillation(temperature: float) -> None:
    """T (softmax(student/T) - softmax(teacher/T)) / N, and nothing for the teacher."""
    student, teacher = logits(0).requires_grad_(), logits(1).requires_grad_()
    distillation_loss(student, teacher, temperature).backward()
    q, p = ((z.detach() / temperature).softmax(1) for z in (student, teacher))
    assert torch.allclose(student.grad, temperature * (q - p) / len(student))
    assert teacher.grad is None


def test_gradient_keeps_its_size() -> None:
    """For a large T it is (student - teacher) / (N C), each row centered (Hinton, equation 4)."""
    gradients = []
    for temperature in (20, 200, 2000):
        student = logits(0).requires_grad_()
        distillation_loss(student, logits(1), temperature).backward()
        gradients.append(student.grad)
    apart = logits(0) - logits(1)
    limit = (apart - apart.mean(1, keepdim=True)) / apart.numel()
    for gradient, far in zip(gradients, (0.2, 0.02, 0.002), strict=True):
        assert (gradient - limit).norm() < far * limit.norm()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equal_logits_cost_nothing(temperature: float) -> None:
    teacher = logits(0)
    for student in (teacher.clone(), teacher + 5):  # a constant changes no probability
        student.requires_grad_()
        loss = distillation_loss(student, teacher, temperature)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-12)
        assert student.grad.abs().max() < 1e-12


def test_distillation_is_a_mean_over_rows() -> None:
    student, teacher = logits(0), logits(1)
    each = [distillation_loss(student[i : i + 1], teacher[i : i + 1], 2).item() for i in range(6)]
    assert distillation_loss(student, teacher, 2).item() == pytest.approx(np.mean(each))


def test_extreme_logits_stay_finite() -> None:
    student = torch.tensor([[1e4, -1e4], [0.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-1e4, 1e4], [1e4, -1e4]])
    loss = distillation_loss(student, teacher, 0.5)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(student.grad).all()


def test_distillation_refuses() -> None:
    a, b = logits(0), logits(1)
    bounds = "temperature must be from 0.001 to 10000, not"
    cases: list[tuple[Any, Any, Any, str]] = [
        (a, logits(1, classes=5), 1, "must have the same shape, not (6, 4) and (6, 5)"),
        (a, logits(1, rows=1), 1, "must have the same shape, not (6, 4) and (1, 4)"),  # broadcasts
        (a[0], b[0], 1, "student_logits must have 2 axes"),
        (a[None], b[None], 1, "student_logits must have 2 axes"),
        (a, b[0], 1, "teacher_logits must have 2 axes"),
        (a[:0], b[:0], 1, "student_logits must not be empty"),
        (a[:, :0], b[:, :0], 1, "student_logits must not be empty"),
        (a.long(), b, 1, "student_logits must be a torch tensor of floats"),
        (a, b.long(), 1, "teacher_logits must be a torch tensor of floats"),
        (a, b.numpy(), 1, "teacher_logits must be a torch tensor of floats"),
        (None, b, 1, "student_logits must be a torch tensor of floats, not a value of type None"),
        (a, b, "2", "temperature must be one number"),
        (a, b, None, "temperature must be one number"),
        (a, b, [2.0], "temperature must be one number"),
        *((a, b, t, f"{bounds} {t}") for t in (1e-4, 2e4, 0, -2.0, float("nan"), float("inf"))),
    ]
    all_refused((lambda s=s, t=t, T=T: distillation_loss(s, t, T), m) for s, t, T, m in cases)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_class_that_the_teacher_rules_out(temperature: float) -> None:
    student, teacher = logits(0).requires_grad_(), logits(1)
    teacher[:, 2] = -torch.inf
    found = distillation_loss(student, teacher, temperature)
    found.backward()
    q, p = ((z.detach() / temperature).softmax(1) for z in (student, teacher))
    by_hand = temperature**2 * torch.where(p > 0, p * (p / q).log(), 0).sum(1).mean()
    assert found.item() == pytest.approx(by_hand.item())
    assert torch.allclose(student.grad, temperature * (q - p) / len(student))


def test_a_class_that_both_rule_out() -> None:
    masked = torch.tensor([0.0, 0.0, -torch.inf, 0.0])
    student, teacher = logits(0).requires_grad_(), logits(1)
    found = distillation_loss(student + masked, teacher + masked, 2.0)
    found.backward()
    kept = [0, 1, 3]
    assert found.item() == pytest.approx(
        distillation_loss(logits(0)[:, kept], teacher[:, kept], 2.0).item()
    )
    assert student.grad.isfinite().all() and not student.grad[:, 2].any()


def test_distillation_in_half_precision() -> None:
    student, teacher = (logits(seed).half() for seed in (0, 1))
    found = distillation_loss(student, teacher, 1e-3)  # divided by T they leave float16
    assert found.dtype == torch.float32 and found.isfinite()
    assert found.item() == distillation_loss(student.float(), teacher.float(), 1e-3).item()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("penalty", PENALTIES, ids=["l2_sp", "ewc"])
def test_penalties_of_half_precision(penalty: Any, half: torch.dtype) -> None:
    parameter = torch.full((10,), 301.0, dtype=half, requires_grad=True)  # squares leave float16
    anchor = torch.ones(10, dtype=half)
    found = penalty({"a": parameter}, {"a": anchor})
    assert found.dtype == torch.float32
    apart = parameter.detach().float() - 1
    assert found.item() == pytest.approx(0.5 * apart.square().sum().item())
    found.backward()
    assert parameter.grad.dtype == half
    assert torch.allclose(parameter.grad.float(), apart, rtol=0.01)
