"""Checks of the exercises of notebook 06, Domain transfer."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _equal_lambda(answer: Any) -> None:
    value = float(answer)
    assert not np.isclose(value, 1 / 30, atol=1e-3), (
        "the other way round: the target has fewer images, so it needs more weight."
    )
    assert not np.isclose(value, 1), "that would be right for means; here the losses are summed."
    assert np.isclose(value, 30), "lambda times 30 images should weigh as much as 900 images."


def _fisher(answer: Any) -> None:
    assert callable(answer), "write a function of gradients."
    gradients = np.array([[1.0, 2.0, 0.0], [-1.0, 4.0, 0.0]])
    value = np.asarray(answer(gradients.copy()))
    assert value.shape == (3,), f"3 parameters give shape (3,), not {value.shape}."
    assert not np.allclose(value, [0, 9, 0]), (
        "you squared the mean; gradients of opposite sign then cancel. First square, then average."
    )
    assert not np.allclose(value, [2, 20, 0]), "take the mean over the images, not the sum."
    assert np.allclose(value, [1, 10, 0]), (
        f"for gradients {gradients.tolist()} it should be [1, 10, 0], not {value.tolist()}."
    )


def _reservoir(answer: Any) -> None:
    assert callable(answer), "write a function of stream, k and rng."
    assert sorted(answer(iter("ab"), 5, np.random.default_rng(0))) == ["a", "b"], (
        "a stream with fewer than k items is kept as a whole."
    )
    counts = np.zeros(10)
    rng = np.random.default_rng(0)
    for _ in range(3000):
        kept = list(answer(iter(range(10)), 3, rng))
        assert len(kept) == 3, f"with k = 3 keep 3 items, not {len(kept)}."
        assert len(set(kept)) == 3, f"an item of the stream may be kept only once, not {kept}."
        counts[kept] += 1
    # 5 standard deviations of a binomial count around 900
    assert abs(counts - 900).max() < 5 * np.sqrt(3000 * 0.3 * 0.7), (
        "the items are not equally likely: of 3000 times each of 10 items should be kept about "
        f"900 times, but the counts run from {counts.min():.0f} to {counts.max():.0f}."
    )


def _distillation(answer: Any) -> None:
    assert callable(answer), "write a function of student, teacher and T."
    student = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
    teacher = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)

    p, q = softmax(teacher / 2), softmax(student / 2)
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    value = float(answer(student.copy(), teacher.copy(), 2.0))
    assert not np.isclose(value, divergence), "the factor T squared is missing."
    assert not np.isclose(value, 4 * (q * np.log(q / p)).sum(axis=1).mean()), (
        "the two are swapped: the teacher comes first in KL(teacher || student)."
    )
    assert not np.isclose(value, 4 * divergence / 3), (
        "average over the rows only; you averaged over the classes too."
    )
    assert not np.isclose(value, 8 * divergence), "take the mean over the rows, not the sum."
    assert np.isclose(value, 4 * divergence), f"expected {4 * divergence:.4f}, got {value:.4f}."
    assert np.isclose(float(answer(teacher, teacher, 3.0)), 0), "equal logits should give 0."
    large = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    with np.errstate(all="ignore"):
        value = float(answer(large / 2, large, 1.0))
    assert np.isfinite(value), "it overflows for large logits; subtract the largest of a row first."


CHECKS: dict[str, Callable[[Any], None]] = {
    "06.1": _equal_lambda,
    "06.2": _fisher,
    "06.3": _reservoir,
    "06.4": _distillation,
}
