"""How often the intervals of `helpers.evaluation` hold what they are about: a simulation.

    python tests/coverage_of_intervals.py

prints the table from which the docstrings quote; `test_evaluation` repeats it with fewer worlds.

In each world several draws (trainings) answer the same 500 test images. An image has a difficulty,
a draw a quality, and an answer is right with the probability that both give together: accuracy
about 0.73, which another 500 images would change by 0.014 (standard deviation), another draw by
0.02 where draws are alike and by 0.07 where they are not. Three questions can be asked about the
mean accuracy; each has another true answer.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from helpers.evaluation import bootstrap_interval, interval_of_draws, two_way_interval

IMAGES = 500
MEAN, DIFFICULTY = 1.6, 2.0  # of the logit: mean, and standard deviation between images
QUALITY = {"alike": 0.15, "unlike": 0.6}  # standard deviation between draws
DRAWS = (3, 5, 10)

INTERVALS: dict[str, Callable[[np.ndarray], tuple[float, ...]]] = {
    "bootstrap over images": lambda right: bootstrap_interval(right.mean(axis=0)),
    "bootstrap over both": lambda right: bootstrap_interval(right),
    "t over draws": lambda right: interval_of_draws(right.mean(axis=1)),
    "two-way": lambda right: two_way_interval(right),
}

# Normal averages as weighted sums (Gauss and Hermite).
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def _chance(logits: np.ndarray, spread: float) -> np.ndarray:
    """Mean chance of a right answer over a normal spread of the logit."""
    return np.asarray(expit(np.asarray(logits)[..., None] + spread * _POINTS) @ _WEIGHTS)


def coverage(interval: str, quality: str, draws: int, worlds: int, seed: int) -> dict[str, float]:
    """In which share of the worlds the interval holds the true answer to each question."""
    spread = QUALITY[quality]
    rng = np.random.default_rng([seed, draws])
    held = {"same draws, other images": 0, "other draws, same images": 0, "both other": 0}
    for _ in range(worlds):
        image, draw = rng.normal(MEAN, DIFFICULTY, IMAGES), rng.normal(0, spread, (draws, 1))
        right = (rng.random((draws, IMAGES)) < expit(image + draw)).astype(float)
        truth = {
            "same draws, other images": _chance(MEAN + draw, DIFFICULTY).mean(),
            "other draws, same images": _chance(image, spread).mean(),
            "both other": _chance(np.array(MEAN), float(np.hypot(DIFFICULTY, spread))),
        }
        low, high = INTERVALS[interval](right)[-2:]
        for question, answer in truth.items():
            held[question] += bool(low <= answer <= high)
    return {question: count / worlds for question, count in held.items()}


if __name__ == "__main__":
    for quality in QUALITY:
        for name in INTERVALS:
            for number in DRAWS:
                shares = coverage(name, quality, number, worlds=2000, seed=0)
                print(f"{quality:6} {name:22} {number:2} draws", shares)
