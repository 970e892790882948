"""Class weights and the focal loss: hand-computed values, limits, references, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.base.errors import CourseError
from helpers.imbalance import effective_number_weights, focal_loss


def test_weights_by_hand() -> None:
    # effective numbers 1 and 1 + 0.5 + 0.25 at beta 0.5
    raw = np.array([1, 1 / 1.75])
    assert effective_number_weights([1, 3], 0.5) == pytest.approx(2 * raw / raw.sum())


def test_weights_at_the_ends_of_beta() -> None:
    assert effective_number_weights([1, 10, 100], 0.0).tolist() == [1, 1, 1]
    inverse = 1 / np.array([1, 10, 100])
    near_one = effective_number_weights([1, 10, 100], 1 - 1e-12)
    assert near_one == pytest.approx(3 * inverse / inverse.sum(), rel=1e-6)


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
    st.floats(0, 0.999999),
)
def test_weights_add_up_and_fall_with_the_size(counts: list[int], beta: float) -> None:
    weights = effective_number_weights(counts, beta)
    assert weights.sum() == pytest.approx(len(counts))
    order = np.argsort(counts)
    assert (np.diff(weights[order]) <= 1e-12).all()


def test_focal_loss_is_cross_entropy_without_gamma() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    reference = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits), torch.from_numpy(labels), reduction="none"
    )
    assert focal_loss(logits, labels, 0.0) == pytest.approx(reference.numpy())


def test_focal_loss_against_torchvision_for_two_classes() -> None:
    from torchvision.ops import sigmoid_focal_loss

    z, y = np.array([-2.0, 0.3, 4.0]), np.array([1, 0, 1])
    reference = sigmoid_focal_loss(
        torch.from_numpy(z), torch.from_numpy(y).double(), alpha=-1, gamma=2
    )
    two = np.stack([np.zeros(3), z], axis=1)
    assert focal_loss(two, y, 2.0) == pytest.approx(reference.numpy())


def test_focal_loss_is_below_cross_entropy_and_most_for_easy_examples() -> None:
    logits, labels = np.array([[5.0, 0.0], [0.0, 5.0]]), np.array([0, 0])
    easy, hard = focal_loss(logits, labels, 2.0) / focal_loss(logits, labels, 0.0)
    assert easy < 1e-4 and 0.9 < hard < 1


def test_focal_loss_of_large_logits_is_finite() -> None:
    found = focal_loss(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 0]), 2.0)
    assert found.tolist() == [0.0, 1e4]


@pytest.mark.parametrize(
    ("call", "fragment"),
    [
        (lambda: effective_number_weights([], 0.9), "one number per class"),
        (lambda: effective_number_weights([3, 0], 0.9), "each 1 or more"),
        (lambda: effective_number_weights([[3, 1]], 0.9), "one number per class"),  # type: ignore[list-item]
        (lambda: effective_number_weights([3, 1], 1.0), "below 1"),
        (lambda: effective_number_weights([3, 1], -0.1), "below 1"),
        (lambda: effective_number_weights([3, np.inf], 0.9), "each 1 or more"),
        (lambda: effective_number_weights([3, np.nan], 0.9), "each 1 or more"),
        (lambda: effective_number_weights(["3"], 0.9), "array of numbers"),  # type: ignore[list-item]
        (lambda: effective_number_weights([3], "0.9"), "beta must be one number"),  # type: ignore[arg-type]
        (lambda: effective_number_weights([3], None), "beta must be one number"),  # type: ignore[arg-type]
        (lambda: focal_loss(np.zeros((2, 3)), np.array([0, 1]), [1.0]), "gamma must be one number"),  # type: ignore[arg-type]
        (lambda: focal_loss(np.zeros((2, 3)), np.array([0, 1]), np.inf), "gamma must be 0 or more"),
        (lambda: focal_loss(np.zeros((2, 0)), np.array([0, 1]), 1.0), "one column per class"),
        (lambda: focal_loss(np.array([[0, np.nan]]), np.array([0]), 1.0), "NaN or inf"),
        (lambda: focal_loss(np.array([[0, np.inf]]), np.array([0]), 1.0), "NaN or inf"),
        (lambda: focal_loss(np.full((1, 2), -np.inf), np.array([0]), 1.0), "NaN or inf"),
        (lambda: focal_loss("text", np.array([0]), 1.0), "array of numbers"),  # type: ignore[arg-type]
        (lambda: focal_loss(np.zeros((2, 3)), np.zeros(3, int), 1.0), "N x classes"),
        (lambda: focal_loss(np.zeros((2, 3)), np.array([0, 3]), 1.0), "from 0 to 2"),
        (lambda: focal_loss(np.zeros((2, 3)), np.array([0.0, 1.0]), 1.0), "whole numbers"),
        (lambda: focal_loss(np.zeros((2, 3)), np.array([0, 1]), -1.0), "gamma"),
    ],
)
def test_bad_input_gets_one_sentence(call, fragment: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CourseError, match=fragment) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_focal_loss_with_a_class_that_cannot_be() -> None:
    found = focal_loss(np.array([[0.0, 0.0, -np.inf]]), np.array([0]), 0.0)
    assert found == pytest.approx(np.log(2))
    assert focal_loss(np.zeros((0, 3)), np.zeros(0, int), 1.0).shape == (0,)
