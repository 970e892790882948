"""Checks of the exercises of notebook 04, Fine-tuning."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _guessing_loss(answer: Any) -> None:
    value = float(answer)
    assert not np.isclose(value, 1.0, atol=1e-3), "use the natural logarithm, not that of base 2."
    assert not np.isclose(value, 0.5, atol=1e-3), "that is the accuracy of guessing, not its loss."
    assert np.isclose(value, np.log(2), atol=1e-3), (
        "a guess gives each of the two classes probability one half; the loss is -ln of it."
    )


def _discriminative_rates(answer: Any) -> None:
    assert callable(answer), "write a function of top, decay and depth."
    rates = list(answer(0.8, 2.0, 4))
    assert len(rates) == 4, f"4 blocks have 4 rates, not {len(rates)}."
    assert not np.allclose(rates, [0.8, 0.4, 0.2, 0.1]), "the lowest block comes first."
    assert np.isclose(rates[-1], 0.8), "the uppermost block learns with `top` itself."
    assert np.allclose(rates, [0.1, 0.2, 0.4, 0.8]), (
        f"top 0.8, decay 2 and 4 blocks give [0.1, 0.2, 0.4, 0.8], not {rates}."
    )


def _stop_epoch(answer: Any) -> None:
    assert callable(answer), "write a function of val_losses and patience."
    losses = [1.0, 0.6, 0.7, 0.8, 0.1]
    value = answer(losses, 2)
    assert value != 4, "training stopped before epoch 4; its loss of 0.1 was never seen."
    assert value != 3, "epoch 3 is where training stops; which weights are kept?"
    assert value == 1, f"for {losses} with patience 2 epoch 1 is kept, not {value}."
    assert answer(losses, 3) == 4, "with patience 3 training goes on and finds epoch 4."
    assert answer([3.0, 2.0, 1.0], 1) == 2, "while the loss falls, training goes on to the end."
    assert answer([1.0, 1.0, 1.0, 0.5], 2) == 0, "an equal loss is no new minimum."


def _fold(answer: Any) -> None:
    assert callable(answer), "write a function of W, b, mu and sigma."
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(3, 5)), rng.normal(size=3)
    mean, deviation = rng.normal(size=5), rng.uniform(0.5, 2, size=5)
    features = rng.normal(size=(4, 5))
    result = answer(weights, bias, mean, deviation)
    assert isinstance(result, tuple) and len(result) == 2, "return two things: weights, bias."
    new_weights, new_bias = (np.asarray(part) for part in result)
    assert new_weights.shape == (3, 5), (
        f"the weights keep the shape (3, 5), not {new_weights.shape}."
    )
    assert new_bias.shape == (3,), f"the bias keeps the shape (3,), not {new_bias.shape}."
    assert np.allclose(new_weights, weights / deviation), "divide each column of W by its sigma."
    expected = (features - mean) / deviation @ weights.T + bias
    assert np.allclose(features @ new_weights.T + new_bias, expected), (
        "the weights are right; the bias must take up what the mean contributes."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "04.1": _guessing_loss,
    "04.2": _discriminative_rates,
    "04.3": _stop_epoch,
    "04.4": _fold,
}
