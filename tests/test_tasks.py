"""Tasks, masks and sampling: closed forms, no gradient without a label, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import CourseError
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


@pytest.mark.parametrize(
    ("call", "fragment"),
    [
        (lambda: Task("a", "binary", 2), "kind must be"),  # type: ignore[arg-type]
        (lambda: Task("a", "multiclass", 1), "cannot have 1 outputs"),
        (lambda: Task("a", "regression", 0), "cannot have 0 outputs"),
        (lambda: Task("a", "regression", 1, weight=-1), "0 or more"),
        (lambda: Task("a", "regression", 1, weight=float("nan")), "0 or more"),
        (lambda: masked_mean(torch.ones(3), torch.ones(2)), "one shape"),
        (lambda: task_sampling_probabilities([], 0.5), "one number per task"),
        (lambda: task_sampling_probabilities([3, 0], 0.5), "each 1 or more"),
        (lambda: task_sampling_probabilities([3, 1], 1.5), "from 0 to 1"),
    ],
)
def test_bad_input_gets_one_sentence(call, fragment: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CourseError, match=fragment) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
