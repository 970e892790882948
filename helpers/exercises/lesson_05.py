"""Checks of the exercises of notebook 05, Fine-tuning well."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_softmax

from helpers.evaluation import interval_of_draws


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


def _best_temperature(answer: Any) -> None:
    assert callable(answer), "write a function of logits, labels and candidates."
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(400, 3))  # scores that are as sure as they should be
    labels = np.array([rng.choice(3, p=np.exp(row)) for row in log_softmax(honest, axis=1)])
    logits = 4 * honest  # four times too sure
    candidates = [8.0, 0.25, 4.0, 1.0, 2.0]
    value = np.asarray(answer(logits.copy(), labels.copy(), list(candidates)))
    assert value.shape == (), f"return one of the candidates, not {value.size} numbers."
    assert value != 0.25, "divide the logits by the temperature; you multiplied."
    assert value != 8.0, (
        "the accuracy is the same at every temperature, so it cannot choose; compare the losses."
    )
    losses = [-log_softmax(logits / t, axis=1)[range(400), labels].mean() for t in candidates]
    assert not np.isclose(value, min(losses)), "that is the smallest loss; at which temperature?"
    assert value in candidates, f"{value} is none of the candidates {candidates}."
    assert value == 4.0, f"these scores are four times too sure, so 4 is best, not {value}."
    assert answer(1000 * logits, labels, [1.0, 4000.0]) == 4000.0, (
        "large scores overflow; subtract the largest of each row before you take exp."
    )


LORA_1 = 9 * (256 + 512 + 512) + 3 * 512  # weights of A and B of rank 1 in block 4


def _rank_one(answer: Any) -> None:
    assert isinstance(answer, dict) and answer.keys() == {"trained", "differences", "verdict"}, (
        "keep the dictionary with the keys trained, differences and verdict."
    )
    trained = int(answer["trained"])
    assert trained > LORA_1, f"A and B alone are {LORA_1:,} weights, and the head learns too."
    assert (trained - LORA_1) % 513 == 0, (
        f"of rank 1, A and B have {LORA_1:,} weights and the head has 513 for each class; "
        f"{trained:,} is not their sum. Do other weights learn too?"
    )
    differences = np.asarray(answer["differences"], float)
    assert differences.ndim == 1 and len(differences) >= 2, (
        "differences holds one number for each draw: accuracy of rank 1 minus that of rank 4."
    )
    assert (differences != 0).any(), "the two are the same in every draw: is it one model?"
    assert abs(differences).max() <= 0.25, (
        "a rank moves the accuracy by a few points, not by 25: did both start from the fitted "
        "head, and are these accuracies from 0 to 1?"
    )
    _, low, high = interval_of_draws(differences)
    right = "better" if low > 0 else "worse" if high < 0 else "cannot tell"
    given = str(answer["verdict"]).strip().lower()
    assert given in ("better", "worse", "cannot tell"), (
        "the verdict is better, worse or cannot tell (of rank 1, against rank 4)."
    )
    assert given == right, (
        f"the interval of your differences, {low:+.3f} to {high:+.3f}, does not say {given!r}."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "05.1": _discriminative_rates,
    "05.2": _stop_epoch,
    "05.3": _best_temperature,
    "05.4": _rank_one,
}
