"""Exercises of lessons 01 and 02: right answers pass, plausible wrong ones get a useful hint."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from support import none_fails

from helpers.exercises import CHECKS

A_FALL = [-0.08, -0.05, -0.06, -0.07, -0.04]


def error_of_differences(right_a: Any, right_b: Any) -> Any:
    return np.std(right_b.astype(int) - right_a.astype(int)) / np.sqrt(len(right_a))


def error_by_covariance(right_a: Any, right_b: Any) -> Any:
    table = np.cov(right_a.astype(float), right_b.astype(float))
    return np.sqrt((table[0, 0] + table[1, 1] - 2 * table[0, 1]) / len(right_a))


def error_unpaired(right_a: Any, right_b: Any) -> Any:
    return np.sqrt((right_a.var() + right_b.var()) / len(right_a))


def error_by_counts(right_a: Any, right_b: Any) -> float:
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    n = len(right_a)
    return float(((only_a + only_b) / n - ((only_b - only_a) / n) ** 2) ** 0.5 / n**0.5)


def split_by_choice(groups: Any, share: float, seed: int) -> Any:
    distinct = np.unique(groups)
    drawn = np.random.default_rng(seed).choice(distinct, round(share * distinct.size), False)
    return np.isin(groups, drawn)


def split_by_set(groups: Any, share: float, seed: int) -> list[bool]:
    rng = np.random.default_rng(seed)
    drawn = {group for group in sorted(set(groups.tolist())) if rng.random() < share}
    return [group in drawn for group in groups.tolist()]


def reweight_in_loop(correct: Any, labels: Any, target_shares: Any) -> float:
    total = 0.0
    for k, share in enumerate(target_shares):
        total += share * correct[labels == k].sum() / (labels == k).sum()
    return total


def reweight_items(correct: Any, labels: Any, target_shares: Any) -> Any:
    weights = (target_shares / np.bincount(labels))[labels]
    return np.average(correct, weights=weights)


def distance_in_loop(guesses: Any, domain: Any) -> float:
    errors = []
    for pile in (0, 1):
        members = [i for i in range(len(domain)) if domain[i] == pile]
        errors.append(sum(int(guesses[i] != pile) for i in members) / len(members))
    return 2 * (1 - errors[0] - errors[1])


def distance_by_library(guesses: Any, domain: Any) -> Any:
    from sklearn.metrics import balanced_accuracy_score

    return 4 * balanced_accuracy_score(domain, guesses) - 2


def marked(images: Any) -> Any:
    changed = images.copy()
    changed[:, :3, :3] = 255
    return changed


def marked_in_place(images: Any) -> Any:
    images[:, :3, :3] = 255
    return images


def change(
    function: Any = marked, distances: Any = (1.98, 1.99), costs: Any = (0.0, 0.01)
) -> dict[str, Any]:
    return {"change": function, "distances": distances, "costs": costs}


RIGHT: dict[str, list[Any]] = {
    "01.1": [
        lambda train, test: np.mean(test == np.bincount(train).argmax()),
        lambda train, test: (
            test.tolist().count(max(set(train.tolist()), key=train.tolist().count)) / len(test)
        ),
    ],
    "01.2": [error_of_differences, error_by_covariance, error_by_counts],
    "01.3": [split_by_choice, lambda *a: np.array(split_by_set(*a)), split_by_set],
    "01.4": [
        {"gains": A_FALL, "verdict": "below"},
        {"gains": np.array(A_FALL), "verdict": " Below"},
        {"gains": [-0.09, 0.02, -0.08, 0.01, -0.02], "verdict": "cannot tell"},
    ],
    "02.1": [
        {"a": "domain", "b": "task", "c": "both", "d": "neither"},
        {"d": "Neither", "c": "BOTH", "b": " task ", "a": "Domain"},
    ],
    "02.2": [reweight_in_loop, reweight_items],
    "02.3": [distance_in_loop, distance_by_library],
    "02.4": [change(), change(lambda images: np.maximum(images, 9), [1.2, 1.1], np.zeros(2))],
}

WRONG: dict[str, list[tuple[Any, str]]] = {
    "01.1": [
        (lambda train, test: np.mean(test == np.bincount(test).argmax()), "majority of the test"),
        (lambda train, test: np.mean(train == np.bincount(train).argmax()), "gives 0.6"),
        (lambda train, test: np.bincount(train).argmax(), "your function gives 2"),
    ],
    "01.2": [
        (error_unpaired, "as if each model had"),
        (lambda a, b: np.std(a.astype(int) - b), "the spread of single images"),
        (lambda a, b: error_of_differences(a, b) ** 2, "take its square root"),
        (lambda a, b: a.mean() - b.mean(), "this is the difference itself"),
        (lambda a, b: 1.96 * error_of_differences(a, b), "leave the 1.96 out"),
        (lambda a, b: a.astype(int) - b, "return one number"),
        (lambda a, b: 0.3, "not 0.3"),
        (
            lambda a, b: np.sqrt(abs(a.sum() - b.sum()) * 0.8) / 10 if a[0] else 0.0,
            "right and wrong swapped",
        ),
    ],
    "01.3": [
        (lambda g, share, seed: np.random.default_rng(seed).random(g.size) < share, "both sides"),
        (lambda g, share, seed: split_by_choice(g, share, 0), "another seed"),
        (lambda g, share, seed: split_by_choice(g, 0.5, seed), "a share of 0.25"),
        (lambda g, share, seed: split_by_choice(g, share, seed).astype(int), "True and False"),
        (lambda g, share, seed: np.flatnonzero(split_by_choice(g, share, seed)), "one entry per"),
        (lambda g, share, seed: ~split_by_choice(g, share, seed), "on average 0.75"),
        (
            lambda g, share, seed: np.isin(g, g[np.random.default_rng().random(g.size) < 0.02]),
            "the same seed",
        ),
    ],
    "01.4": [
        (A_FALL, "keep the dictionary"),
        ({"gains": A_FALL[:3], "verdict": "below"}, "five draws or more"),
        ({"gains": [-0.06] * 5, "verdict": "below"}, "images of its own"),
        ({"gains": -np.array(A_FALL), "verdict": "above"}, "not one minus five"),
        ({"gains": 100 * np.array(A_FALL), "verdict": "below"}, "between -1 and 1"),
        ({"gains": 0.2 * np.array(A_FALL), "verdict": "below"}, "between -0.1 and -0.025"),
        ({"gains": A_FALL, "verdict": "harmful"}, "verdict: use"),
        ({"gains": A_FALL, "verdict": "above"}, "on which side of 0"),
    ],
    "02.1": [
        ({"a": "task", "b": "task", "c": "both", "d": "neither"}, "a: the ten species"),
        ({"a": "domain", "b": "domain", "c": "both", "d": "neither"}, "b: the pictures are"),
        ({"a": "domain", "b": "task", "c": "domain", "d": "neither"}, "c: compare"),
        ({"a": "domain", "b": "task", "c": "both", "d": "both"}, "d: two random halves"),
        ({"a": "domains", "b": "task", "c": "both", "d": "neither"}, "a: use 'domain'"),
        ({"a": "domain"}, "keep the dictionary"),
    ],
    "02.2": [
        (lambda correct, labels, shares: correct.mean(), "this is the plain accuracy"),
        (lambda correct, labels, shares: (correct * shares[labels]).sum(), "not 1.5"),
        (
            lambda correct, labels, shares: reweight_in_loop(correct, labels, [0.5, 0.5]),
            "with shares 0.9 and 0.1",
        ),
    ],
    "02.3": [
        (lambda g, d: 2 * (1 - 2 * (g != d).mean()), "the larger pile gives 1.2"),
        (lambda g, d: (2 - distance_in_loop(g, d)) / 4, "should give 0, not 0.5"),
        (lambda g, d: distance_in_loop(g, d) / 2, "not 0.25"),
        (lambda g, d: max(0.0, distance_in_loop(g, d) * (d[0] == 0)), "the names of the piles"),
    ],
    "02.4": [
        (marked, "keep the dictionary"),
        (change(0.5), "change is a function"),
        (change(marked_in_place), "copy first"),
        (change(lambda images: images[:, 1:]), "have the shape"),
        (change(lambda images: images / 255), "uint8"),
        (change(np.copy), "leaves the images as they are"),
        (change(distances=[1.9]), "one distance and one cost per draw"),
        (change(distances=[3.0, 2.5]), "between -2 and 2"),
        (change(costs=[2.0, 3.0]), "a difference of two accuracies"),
        (change(distances=[0.2, 0.3]), "the mean distance is 0.25"),
        (change(costs=[0.2, 0.3]), "the mean cost is 0.250"),
    ],
}


def test_every_exercise_of_these_lessons_is_tried() -> None:
    found = {exercise for exercise in CHECKS if exercise[:2] in ("01", "02")}
    assert found == RIGHT.keys() == WRONG.keys()


def cases_of(exercise: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """All that is tried of an exercise: a name for each case, and the case."""

    def is_refused(answer: Any, hint: str) -> None:
        with pytest.raises(AssertionError, match=re.escape(hint)) as caught:
            CHECKS[exercise](answer)
        text = str(caught.value)
        assert "\n" not in text
        assert re.search(r"[.?]$", text), text

    for place, answer in enumerate(RIGHT[exercise]):
        yield f"{exercise}, right answer {place}", partial(CHECKS[exercise], answer)
    for answer, hint in WRONG[exercise]:
        yield f"{exercise}, {hint!r}", partial(is_refused, answer, hint)
    if callable(RIGHT[exercise][0]):
        yield f"{exercise}, a number", partial(is_refused, 0.5, "write a function of")


@pytest.mark.parametrize("exercise", sorted(RIGHT))
def test_right_answers_pass_and_wrong_ones_get_their_hint(exercise: str) -> None:
    none_fails(cases_of(exercise))
