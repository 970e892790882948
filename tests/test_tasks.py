"""Tasks, masks and sampling: closed forms, no gradient without a label, bad input."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import all_refused

from helpers.tasks import Task, masked_mean, task_sampling_probabilities


def test_losses_of_each_kind() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    expected = [np.log1p(np.exp(-2.0)), np.log1p(np.exp(1.0))]
    found = Task("species", "multiclass", 2).losses(logits, torch.tensor([0, 0]))
    assert found.tolist() == pytest.approx(expected)
    found = Task("parts", "multilabel", 2).losses(logits, torch.tensor([[1, 0], [0, 1]]))
    first = (np.log1p(np.exp(-2.0)) + np.log(2)) / 2
    assert found[0].item() == pytest.approx(first)
    found = Task("area", "regression", 2).losses(logits, torch.tensor([[0.0, 0.0], [0.0, 0.0]]))
    assert found.tolist() == [2.0, 0.5]
    found = Task("area", "regression", 1).losses(torch.tensor([[1.0], [3.0]]), torch.zeros(2))
    assert found.tolist() == [1.0, 9.0]


def test_metrics_of_each_kind() -> None:
    outputs = np.array([[2.0, -1.0], [-3.0, 1.0]])
    species, parts = Task("species", "multiclass", 2), Task("parts", "multilabel", 2)
    area = Task("area", "regression", 2)
    assert species.metric(outputs, np.array([0, 0])) == 0.5
    assert parts.metric(outputs, np.array([[1, 1], [0, 1]])) == 0.75
    assert area.metric(outputs, np.zeros((2, 2))) == 7 / 4
    assert species.higher_is_better and parts.higher_is_better and not area.higher_is_better


def test_masked_mean() -> None:
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert masked_mean(losses, torch.tensor([True, False, True])).item() == 3.5
    assert masked_mean(losses, torch.zeros(3, dtype=torch.bool)).item() == 0
    assert masked_mean(losses.numpy(), np.array([1, 0, 1])) == 3.5
    assert masked_mean(losses.numpy(), np.zeros(3)) == 0
    assert masked_mean(np.array([np.nan, 2.0]), np.array([0, 1])) == 2


def test_no_label_no_loss_and_no_gradient() -> None:
    losses = torch.tensor([float("nan"), 2.0], requires_grad=True)
    mean = masked_mean(losses, torch.tensor([False, True]))
    mean.backward()
    assert mean.item() == 2 and losses.grad is not None and losses.grad.tolist() == [0, 1]
    head = torch.nn.Linear(3, 2)
    task = Task("species", "multiclass", 2)
    per_item = task.losses(head(torch.randn(4, 3)), torch.zeros(4, dtype=torch.long))
    masked_mean(per_item, torch.zeros(4)).backward()
    assert head.weight.grad is not None and not head.weight.grad.any()


def test_sampling_by_hand() -> None:
    assert task_sampling_probabilities([100, 300], 1.0) == pytest.approx([0.25, 0.75])
    assert task_sampling_probabilities([100, 300], 0.0) == pytest.approx([0.5, 0.5])
    assert task_sampling_probabilities([1, 4], 0.5) == pytest.approx([1 / 3, 2 / 3])


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.floats(0, 1))
def test_sampling_adds_up_and_is_between_uniform_and_proportional(
    sizes: list[int], alpha: float
) -> None:
    found = task_sampling_probabilities(sizes, alpha)
    assert found.sum() == pytest.approx(1)
    smallest, counts = int(np.argmin(sizes)), np.array(sizes)
    share = counts[smallest] / counts.sum()
    assert share - 1e-12 <= found[smallest] <= 1 / len(sizes) + 1e-12


def test_tasks_refuse() -> None:
    kinds: list[tuple[tuple[Any, ...], str]] = [
        (("a", "binary", 2), "kind must be 'multiclass', 'multilabel' or 'regression'"),
        (("a", "multiclass", 1), "the size of 'a' must be a whole number, 2 or more, not 1"),
        (("a", "regression", 0), "the size of 'a' must be a whole number, 1 or more, not 0"),
        (("a", "regression", 2.5), "must be a whole number"),
        (("a", "regression", "3"), "must be a whole number"),
        (("a", "regression", None), "must be a whole number"),
        (("a", "regression", True), "must be a whole number"),
        (("a", "regression", 1, -1), "the weight of 'a' must be finite and 0 or more, not -1"),
        (("a", "regression", 1, NAN), "the weight of 'a' must be finite"),
        (("a", "regression", 1, INF), "the weight of 'a' must be finite"),
        (("a", "regression", 1, "2"), "the weight of 'a' must be one number"),
        ((" ", "regression", 1), "text that is not empty"),
        ((3, "regression", 1), "text that is not empty"),
    ]
    all_refused((lambda arguments=arguments: Task(*arguments), match) for arguments, match in kinds)


def test_masked_mean_refuses() -> None:
    libraries = "losses and mask must be two NumPy arrays or two torch tensors"
    pairs: list[tuple[Any, Any, str]] = [
        (torch.ones(3), torch.ones(2), "must have the same shape, not (3,) and (2,)"),
        ([1.0], [1], libraries),
        (torch.ones(1), np.ones(1), libraries),
        (np.ones(1), torch.ones(1), libraries),
        (np.ones(1), None, libraries),
        (torch.ones(1), [True], libraries),
        (np.ones(2), np.array([0.5, 1]), "0 and 1"),
        (torch.ones(2), torch.tensor([2, 1]), "0 and 1"),
        (torch.ones(2), torch.tensor([-1, 1]), "0 and 1"),
        (torch.ones(2), torch.tensor([NAN, 1]), "0 and 1"),
    ]
    all_refused((lambda v=v, m=m: masked_mean(v, m), match) for v, m, match in pairs)


def test_sampling_refuses() -> None:
    cases: list[tuple[Any, Any, str]] = [
        ([3, INF], 0.5, "sizes must be finite and 1 or more"),
        ([3, NAN], 0.5, "sizes must be finite and 1 or more"),
        ([3, 0], 0.5, "sizes must be finite and 1 or more"),
        (["3"], 0.5, "sizes must be an array of numbers"),
        ([], 0.5, "sizes must not be empty"),
        ([[3, 1]], 0.5, "sizes must have 1 axis"),
        ([3, 1], None, "alpha must be one number"),
        ([3, 1], [0.5], "alpha must be one number"),
        ([3, 1], "0.5", "alpha must be one number"),
        ([3, 1], 1.5, "alpha must be from 0 to 1, not 1.5"),
        ([3, 1], NAN, "alpha must be from 0 to 1, not nan"),
    ]
    all_refused((lambda n=n, a=a: task_sampling_probabilities(n, a), m) for n, a, m in cases)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("task", "labels", "unknown"),
    [
        (Task("species", "multiclass", 3), [2, 0, 1], -1),
        (Task("species", "multiclass", 3), [2, 0, 1], -100),  # cross_entropy would count 0
        (Task("species", "multiclass", 3), [2, 0, 1], 3),
        (Task("species", "multiclass", 3), [[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], NAN),
        (Task("species", "multiclass", 3), [[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], -1),
        (Task("parts", "multilabel", 3), [[1.0, 0, 1], [0, 0, 1], [1, 1, 1]], NAN),
        (Task("parts", "multilabel", 3), [[1.0, 0, 1], [0, 0, 1], [1, 1, 1]], -1),
        (Task("box", "regression", 3), [[1.0, 0, 1], [0, 0, 1], [1, 1, 1]], NAN),
        (Task("box", "regression", 3), [[1.0, 0, 1], [0, 0, 1], [1, 1, 1]], INF),
        (Task("area", "regression", 1), [1.0, 0, 1], -INF),
    ],
)
def test_an_unknown_label_is_nan_without_a_gradient(
    task: Task, labels: list[float], unknown: float
) -> None:
    outputs = torch.randn(3, task.size, requires_grad=True)
    complete, partly = torch.tensor(labels), torch.tensor(labels)
    partly[1, ...] = unknown
    expected = task.losses(outputs, complete)
    found = task.losses(outputs, partly)
    assert found.isnan().tolist() == [False, True, False]
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    assert found.mean().isnan()  # nobody masked it out: `train` will stop
    mask = torch.tensor([True, False, True])
    gradients = [
        torch.autograd.grad(masked_mean(loss, mask), outputs)[0] for loss in (expected, found)
    ]
    assert torch.equal(*gradients) and gradients[1].isfinite().all()


def test_one_unknown_number_of_several() -> None:
    labels = torch.tensor([[1.0, NAN], [0.0, 1.0]])
    for kind in ("regression", "multilabel"):
        outputs = torch.randn(2, 2, requires_grad=True)
        found = Task("a", kind, 2).losses(outputs, labels)  # type: ignore[arg-type]
        assert found.isnan().tolist() == [True, False]
        masked_mean(found, torch.tensor([False, True])).backward()
        assert outputs.grad is not None and not outputs.grad[0].any()


def test_probabilities_and_a_head_that_is_too_wide() -> None:
    task, outputs, labels = Task("species", "multiclass", 3), torch.randn(4, 5), torch.arange(4) % 3
    expected = torch.nn.functional.cross_entropy(outputs, labels, reduction="none")
    assert torch.equal(task.losses(outputs, labels), expected)
    soft = torch.eye(5)[labels]
    assert task.losses(outputs, soft).numpy() == pytest.approx(expected.numpy())
    hits = (outputs.argmax(dim=1) == labels).float().mean().item()
    assert task.metric(outputs, labels) == hits


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_losses_are_float32_at_least(half: torch.dtype) -> None:
    area, species = Task("area", "regression", 1), Task("species", "multiclass", 2)
    label = torch.tensor([1.001])  # would be rounded to 1
    found = area.losses(torch.ones(1, 1, dtype=half), label)
    assert found.dtype == torch.float32 and found.item() == pytest.approx(1e-6, rel=1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = area.losses(torch.nn.Linear(1, 1)(torch.ones(1, 1)), label)
    assert found.dtype == torch.float32
    assert species.losses(torch.zeros(1, 2, dtype=half), torch.tensor([1])).dtype == torch.float32
    double = torch.zeros(1, 1, dtype=torch.float64)
    assert area.losses(double, label).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_class_labels_of_any_whole_type(dtype: torch.dtype) -> None:
    outputs, task = torch.randn(3, 300), Task("species", "multiclass", 300)
    labels = torch.tensor([0, 5, 255 if dtype == torch.uint8 else 100])
    labels[2] = min(int(labels[2]), 127)
    assert torch.equal(task.losses(outputs, labels.to(dtype)), task.losses(outputs, labels))


MISMATCHES = [
    ("multiclass", 3, (4, 2), (4,)),
    ("multiclass", 3, (4, 3), (4, 1)),
    ("multiclass", 3, (4, 3), (4, 3)),
    ("multiclass", 3, (3,), (3,)),
    ("multilabel", 3, (4, 3), (12,)),  # would be reshaped
    ("multilabel", 3, (4, 3), (3, 4)),
    ("regression", 1, (4, 2), (4,)),
    ("regression", 1, (4, 1), (1, 4)),
    ("regression", 1, (4,), (4,)),
    ("regression", 2, (4, 2), (4,)),  # would broadcast if it could
    ("regression", 2, (4, 2), (8,)),
]


def test_losses_and_metric_refuse_other_shapes() -> None:
    cases = []
    for kind, size, outputs, labels in MISMATCHES:
        task, match = Task("a", kind, size), f"must be N x {size} and its labels"  # type: ignore[arg-type]
        x, y = torch.zeros(outputs), torch.zeros(labels, dtype=torch.long)
        cases.append((lambda task=task, x=x, y=y: task.losses(x, y), match))
        if len(labels) == 1 or kind != "multiclass":
            cases.append((lambda task=task, x=x, y=y: task.metric(x, y), match))
    all_refused(cases)


def test_losses_refuse() -> None:
    outputs, classes = torch.zeros(2, 3), torch.zeros(2).long()
    floats = "outputs of 'a' must be a torch tensor of floats"
    cases: list[tuple[Any, Any, str]] = [
        (outputs.long(), classes, floats),
        (outputs.numpy(), classes, floats),
        (outputs * 1j, classes, floats),
        (outputs[:0], classes[:0], "outputs of 'a' must not be empty"),
        (outputs, classes.float(), "labels N whole numbers"),
        (outputs, classes.float()[:, None], "labels N whole numbers"),
        (outputs, [0, 1], "labels of 'a' must be a torch tensor of real numbers"),
        (outputs, classes * 1j, "labels of 'a' must be a torch tensor of real numbers"),
    ]
    task = Task("a", "multiclass", 3)
    all_refused((lambda x=x, y=y: task.losses(x, y), match) for x, y, match in cases)


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        np.ndarray.tolist,
        torch.from_numpy,
        lambda a: torch.from_numpy(a).requires_grad_() if a.dtype.kind == "f" else a,
        lambda a: torch.from_numpy(a).bfloat16() if a.dtype.kind == "f" else a,
    ],
)
def test_metric_takes_arrays_lists_and_tensors(make) -> None:  # type: ignore[no-untyped-def]
    outputs = np.array([[2.0, -1.0], [-3.0, 1.0]])
    found = Task("a", "multiclass", 2).metric(make(outputs), make(np.array([0, 0])))
    assert found == 0.5 and type(found) is float
    found = Task("a", "multilabel", 2).metric(make(outputs), make(np.array([[1, 1], [0, 1]])))
    assert found == 0.75 and type(found) is float
    found = Task("a", "regression", 2).metric(make(outputs), make(np.zeros((2, 2))))
    assert found == 7 / 4 and type(found) is float


def test_metric_of_unsigned_numbers_does_not_wrap() -> None:
    outputs, labels = np.array([[3]], np.uint8), np.array([[5]], np.uint8)
    assert Task("a", "regression", 1).metric(outputs, labels) == 2


def test_metric_refuses() -> None:
    two = np.zeros((1, 2))
    cases: list[tuple[Any, int, Any, Any, str]] = [
        ("multiclass", 2, two[:0], np.zeros(0, int), "outputs of 'a' must not be empty"),
        ("multiclass", 2, two, np.array([0.5]), "labels of 'a' must be class numbers"),
        ("multiclass", 2, two, np.array([-1]), "labels of 'a' must be from 0 to 1"),
        ("multiclass", 2, two, np.array([2]), "labels of 'a' must be from 0 to 1"),
        ("multiclass", 2, two * NAN, np.array([0]), "outputs of 'a' must be finite"),
        ("multilabel", 2, two, np.array([[1, -1]]), "labels of 'a' must be 0 or 1"),
        ("multilabel", 2, two, np.array([[1, 0.5]]), "labels of 'a' must be 0 or 1"),
        ("regression", 1, two[:, :1], np.array([NAN]), "labels of 'a' must be finite"),
        ("regression", 1, np.array([[INF]]), np.array([1.0]), "outputs of 'a' must be finite"),
        ("regression", 1, "text", np.array([1.0]), "array of numbers"),
        ("regression", 1, [[1.0], [2.0, 3.0]], [1.0, 2.0], "array of numbers"),
        ("regression", 1, [[1.0]], [None], "array of numbers"),
    ]
    all_refused(
        (lambda kind=kind, n=n, x=x, y=y: Task("a", kind, n).metric(x, y), match)
        for kind, n, x, y, match in cases
    )


def test_masked_mean_of_half_precision() -> None:
    many = torch.full((70_000,), 2.0)  # float16 ends at 65,504
    for half in (torch.float16, torch.bfloat16):
        found = masked_mean(many.to(half), torch.ones(70_000, dtype=torch.bool))
        assert found.dtype == torch.float32 and found.item() == 2
    assert masked_mean(many.numpy().astype(np.float16), np.ones(70_000)) == 2
