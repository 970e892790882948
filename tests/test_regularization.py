"""Penalties against closed forms, their own gradients and PyTorch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import refused

from helpers.regularization import distillation_loss, ewc_penalty, l2_sp

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py
from torch import Tensor, nn  # isort: skip


def made(*values: Any, learns: bool = True) -> list[Tensor]:
    return [torch.tensor(v, dtype=torch.float64, requires_grad=learns) for v in values]


PENALTIES: list[Callable[[Any, Any], Tensor]] = [
    l2_sp,
    lambda parameters, anchors: ewc_penalty(parameters, anchors, copy.deepcopy(anchors)),
]


def ones_like(anchors: Any) -> Any:
    if isinstance(anchors, dict):
        return {name: torch.ones_like(anchor) for name, anchor in anchors.items()}
    return [torch.ones_like(anchor) for anchor in anchors]


# --- L2-SP and EWC -------------------------------------------------------------------------------


def test_l2_sp_in_closed_form() -> None:
    parameters, anchors = made([3.0, 1.0], [[2.0]]), made([1.0, 1.0], [[5.0]], learns=False)
    penalty = l2_sp(parameters, anchors)
    assert penalty.shape == ()
    assert penalty.item() == 0.5 * (2**2 + 3**2)
    penalty.backward()
    for parameter, anchor in zip(parameters, anchors, strict=True):
        assert torch.equal(parameter.grad, parameter.detach() - anchor)


def test_ewc_in_closed_form() -> None:
    parameters, anchors = made([3.0, 1.0], [[2.0]]), made([1.0, 2.0], [[5.0]], learns=False)
    fisher = made([10.0, 0.0], [[0.1]], learns=False)
    penalty = ewc_penalty(parameters, anchors, fisher)
    assert penalty.item() == pytest.approx(0.5 * (10 * 2**2 + 0.1 * 3**2))
    penalty.backward()
    for parameter, anchor, weight in zip(parameters, anchors, fisher, strict=True):
        assert torch.equal(parameter.grad, weight * (parameter.detach() - anchor))


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


def test_lists_iterators_and_dictionaries_agree() -> None:
    model, start = network(0), network(1)
    fisher = [p.detach().abs() for p in network(2).parameters()]
    names = [name for name, _ in model.named_parameters()]
    expected = ewc_penalty(list(model.parameters()), list(start.parameters()), fisher)
    variants = [
        (model.parameters(), start.parameters(), iter(fisher)),
        (tuple(model.parameters()), list(start.parameters()), tuple(fisher)),
        (dict(model.named_parameters()), start.parameters(), iter(fisher)),
        (
            dict(model.named_parameters()),
            dict(start.named_parameters()),
            dict(reversed(list(zip(names, fisher, strict=True)))),  # another order
        ),
    ]
    for parameters, anchors, weights in variants:
        assert torch.equal(ewc_penalty(parameters, anchors, weights), expected)
    assert torch.equal(
        l2_sp(model.parameters(), start.parameters()),
        l2_sp(dict(model.named_parameters()), dict(reversed(list(start.named_parameters())))),
    )


def test_tensors_of_one_shape_are_not_mixed_up() -> None:
    one, two = made([1.0], [2.0])
    parameters = {"a": one, "b": two}
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
        zero = [torch.zeros_like(p) for p in model.parameters()]
        start = [p.detach().clone() for p in model.parameters()]
        optimizer = torch.optim.SGD(
            model.parameters(), 0.1, momentum=0.9, weight_decay=0.3 if how == "decay" else 0
        )
        for _ in range(10):
            loss = model(torch.arange(20.0).double().reshape(5, 4)).square().mean()
            if how != "decay":
                loss = loss + 0.3 * l2_sp(model.parameters(), zero if how == "penalty" else start)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    assert torch.allclose(ends[0], ends[1], rtol=1e-9, atol=1e-12)
    assert not torch.allclose(ends[0], ends[2], rtol=1e-2)


def test_no_gradient_into_anchors_and_weights() -> None:
    parameters, anchors = (list(network(seed).parameters()) for seed in range(2))
    fisher = [nn.Parameter(p.detach().abs()) for p in network(2).parameters()]
    (l2_sp(parameters, anchors) + ewc_penalty(parameters, anchors, fisher)).backward()
    assert all(parameter.grad is not None for parameter in parameters)
    assert all(other.grad is None for other in [*anchors, *fisher])


def test_references_are_refused() -> None:
    """A snapshot that follows its parameter would be a penalty of zero for ever."""
    model = network(0)
    named = dict(model.named_parameters())
    state = {name: model.state_dict()[name] for name in named}
    for anchors in (named, state, {name: p.detach() for name, p in named.items()}):
        with refused("an anchor shares its memory with its parameter"):
            l2_sp(named, anchors)
        with refused("an anchor shares its memory with its parameter"):
            ewc_penalty(named, anchors, ones_like(anchors))
    with refused("an anchor shares its memory"):
        l2_sp(model.parameters(), model.parameters())
    clones = {name: p.detach().clone() for name, p in named.items()}
    assert l2_sp(named, clones).item() == 0
    with torch.no_grad():
        named["0.bias"] += 2
    assert l2_sp(named, clones).item() == pytest.approx(0.5 * 3 * 2**2)
    assert l2_sp(named, copy.deepcopy(clones)).item() > 0
    frozen = model.requires_grad_(False)  # what cannot learn may be its own anchor
    assert l2_sp(frozen.parameters(), frozen.parameters()).item() == 0


@pytest.mark.parametrize("penalty", PENALTIES, ids=["l2_sp", "ewc"])
@pytest.mark.parametrize(
    ("parameters", "anchors", "match"),
    [
        (made([1.0], [2.0]), made([1.0]), "there are 2 parameters but 1 anchors"),
        (made([1.0]), made([1.0], [2.0]), "there are 1 parameters but 2 anchors"),
        (made([1.0]), [], "there are 1 parameters but 0 anchors"),
        ([], [], "there are no anchors; an iterator gives its tensors only once"),
        ({"a": made([1.0])[0]}, {}, "there are no anchors"),
        (made([1.0, 2.0]), made([1.0]), "shape (2,) meets an anchor of shape (1,)"),
        (made([[1.0, 2.0]]), made([[1.0], [2.0]]), "shape (1, 2) meets an anchor of shape (2, 1)"),
        (made(1.0), made([1.0]), "shape () meets an anchor of shape (1,)"),  # would broadcast
        ({"a": made(1.0)[0]}, {"b": made(1.0)[0]}, "there is no parameter named 'b'"),
        (made(1.0), {"b": made(1.0)[0]}, "such as dict(model.named_parameters())"),
        ([("a", made(1.0)[0])], [("a", made(1.0)[0])], "must be tensors"),
        ([nn.Linear(1, 1)], [nn.Linear(1, 1)], "not Linear and Linear"),
        (made([1.0]), [np.ones(1)], "not Tensor and ndarray"),
        (made([1.0])[0], made([1.0]), "parameters must be a dictionary or list of tensors"),
        (made([1.0]), made([1.0])[0], "anchors must be a dictionary or list of tensors"),
        (nn.Linear(1, 1), made([1.0]), "not one Linear"),
        (made([1.0]), nn.Linear(1, 1), "not one Linear"),
        (None, made([1.0]), "not one NoneType"),
        (made([1.0]), None, "not one NoneType"),
    ],
)
def test_penalties_refuse(penalty: Any, parameters: Any, anchors: Any, match: str) -> None:
    with refused(match):
        penalty(parameters, anchors)


def test_an_iterator_that_is_used_up() -> None:
    """In the second step it gives nothing, which must not become a penalty of zero."""
    model = network(0)
    parameters, anchors = model.parameters(), (p.detach() + 1 for p in model.parameters())
    assert l2_sp(parameters, anchors).item() > 0
    with refused("there are no anchors; an iterator gives its tensors only once"):
        l2_sp(parameters, anchors)


def test_buffers_are_no_parameters() -> None:
    model = network(0)
    with refused("there is no parameter named '1.num_batches_tracked'"):
        l2_sp(dict(model.named_parameters()), copy.deepcopy(model.state_dict()))


@pytest.mark.parametrize(
    ("fisher", "match"),
    [
        ({"b": torch.ones(2)}, "there is no Fisher tensor named 'a'"),
        ({}, "there is no Fisher tensor named 'a'"),
        ([torch.ones(2)], "there is no Fisher tensor named 'a'"),
        ({"a": torch.ones(1)}, "a Fisher tensor of shape (1,) meets an anchor of shape (2,)"),
        ({"a": 1.0}, "Fisher tensors and anchors must be tensors"),
        (torch.ones(2), "Fisher tensors must be a dictionary or list of tensors"),
        (None, "Fisher tensors must be a dictionary or list of tensors"),
        ({"a": torch.tensor([1.0, -1e-9])}, "the Fisher information must be 0 or more and finite"),
        ({"a": torch.tensor([1.0, float("nan")])}, "the Fisher information must be 0 or more"),
        ({"a": torch.tensor([1.0, float("inf")])}, "the Fisher information must be 0 or more"),
    ],
)
def test_ewc_refuses(fisher: Any, match: str) -> None:
    with refused(match):
        ewc_penalty({"a": made([1.0, 2.0])[0]}, {"a": torch.zeros(2)}, fisher)
    with refused("there are 2 Fisher tensors but 1 anchors"):
        ewc_penalty(made([1.0]), made([2.0], learns=False), made([1.0], [1.0], learns=False))


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
    assert distillation_loss(student, teacher).item() == distillation_loss(student, teacher, 1)


def test_extreme_logits_stay_finite() -> None:
    student = torch.tensor([[1e4, -1e4], [0.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-1e4, 1e4], [1e4, -1e4]])
    loss = distillation_loss(student, teacher, 0.5)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(student.grad).all()


@pytest.mark.parametrize(
    ("student", "teacher", "temperature", "match"),
    [
        (logits(0), logits(1, classes=5), 1, "of shapes (6, 4) and (6, 5)"),
        (logits(0), logits(1, rows=1), 1, "of shapes (6, 4) and (1, 4)"),  # would broadcast
        (logits(0)[0], logits(1)[0], 1, "must both be N x classes"),
        (logits(0)[None], logits(1)[None], 1, "must both be N x classes"),
        (logits(0)[:0], logits(1)[:0], 1, "the logits have no rows"),
        (logits(0)[:, :0], logits(1)[:, :0], 1, "the logits have no columns"),
        (logits(0).long(), logits(1), 1, "the student's logits must be a float tensor"),
        (logits(0), logits(1).long(), 1, "the teacher's logits must be a float tensor"),
        (logits(0), logits(1).numpy(), 1, "must be a float tensor, not ndarray"),
        (None, logits(1), 1, "must be a float tensor, not NoneType"),
        (logits(0), logits(1), "2", "temperature must be one number"),
        (logits(0), logits(1), None, "temperature must be one number"),
        (logits(0), logits(1), [2.0], "temperature must be one number"),
        (logits(0), logits(1), 1e-4, "temperature must be from 0.001 to 10000, not 0.0001"),
        (logits(0), logits(1), 2e4, "temperature must be from 0.001 to 10000, not 20000"),
        (logits(0), logits(1), 0, "temperature must be from 0.001 to 10000, not 0"),
        (logits(0), logits(1), -2.0, "not -2.0"),
        (logits(0), logits(1), float("nan"), "not nan"),
        (logits(0), logits(1), float("inf"), "not inf"),
    ],
)
def test_distillation_refuses(student: Any, teacher: Any, temperature: Any, match: str) -> None:
    with refused(match):
        distillation_loss(student, teacher, temperature)


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
    found = penalty([parameter], [anchor])
    assert found.dtype == torch.float32
    apart = parameter.detach().float() - 1
    assert found.item() == pytest.approx(0.5 * apart.square().sum().item())
    found.backward()
    assert parameter.grad.dtype == half
    assert torch.allclose(parameter.grad.float(), apart, rtol=0.01)


@pytest.mark.parametrize("penalty", PENALTIES, ids=["l2_sp", "ewc"])
def test_empty_tensors_share_no_memory(penalty: Any) -> None:
    parameters = [torch.empty(0, requires_grad=True), torch.ones(2, requires_grad=True)]
    assert penalty(parameters, [torch.empty(0), torch.full((2,), 2.0)]).item() > 0
