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


def _learning_rate(answer: Any) -> None:
    assert callable(answer), "write a function of step, steps and peak."
    rates = [float(answer(step, 200, 3e-4)) for step in range(201)]
    assert np.isclose(rates[0], 0, atol=1e-9), "training starts with the rate 0."
    assert np.isclose(rates[10], 1.5e-4), (
        f"at step 10 of 200 half of the warm-up is over, so the rate is peak / 2, not {rates[10]}."
    )
    assert np.isclose(rates[20], 3e-4), "after a tenth of the steps the rate is `peak`."
    middle = rates[110]  # half of what remains
    assert not np.isclose(middle, 3e-4 * np.cos(np.pi / 4)), (
        "a half wave, from cos 0 = 1 to cos pi = -1, moved and scaled to go from peak to 0."
    )
    assert np.isclose(middle, 1.5e-4), (
        f"halfway between warm-up and end the rate is peak / 2, not {middle}."
    )
    assert np.isclose(rates[200], 0, atol=1e-9), "at the last step the rate is 0."
    falling = 3e-4 * (1 + np.cos(np.pi * np.arange(181) / 180)) / 2
    assert np.allclose(rates[20:], falling), "the fall is peak * (1 + cos(pi t)) / 2."


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


def _block_4_alone(answer: Any) -> None:
    gain = float(answer)
    assert abs(gain) < 1, "give the gain as a share, such as 0.03, not in points."
    assert gain < 0.25, (
        f"{gain:+.2f} is far more than both blocks gain; subtract the probe of the same draw."
    )
    assert gain > -0.1, (
        f"{gain:+.2f} is a great loss: does the head start as the probe, and are the maps those "
        "of block3_pool?"
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "04.1": _guessing_loss,
    "04.2": _learning_rate,
    "04.3": _fold,
    "04.4": _block_4_alone,
}
