"""Class weights: hand-computed values, limits, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import all_refused

from helpers.imbalance import effective_number_weights


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


def test_weights_refuse() -> None:
    weights = effective_number_weights
    all_refused(
        [
            (lambda: weights([], 0.9), "counts must not be empty"),
            (lambda: weights([3, 0], 0.9), "counts must be finite and 1 or more"),
            (lambda: weights([[3, 1]], 0.9), "counts must have 1 axis"),  # type: ignore[list-item]
            (lambda: weights([3, np.inf], 0.9), "counts must be finite and 1 or more"),
            (lambda: weights([3, np.nan], 0.9), "counts must be finite and 1 or more"),
            (lambda: weights(["3"], 0.9), "counts must be an array of numbers"),  # type: ignore[list-item]
            (lambda: weights([3, 1], 1.0), "beta must be 0 or more and below 1, not 1.0"),
            (lambda: weights([3, 1], -0.1), "beta must be 0 or more and below 1, not -0.1"),
            (lambda: weights([3, 1], np.nan), "beta must be 0 or more and below 1, not nan"),
            (lambda: weights([3], "0.9"), "beta must be one number"),  # type: ignore[arg-type]
            (lambda: weights([3], None), "beta must be one number"),  # type: ignore[arg-type]
        ]
    )
