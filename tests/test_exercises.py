"""Every exercise: right answers in several styles pass, plausible wrong ones get a useful hint."""

import re
from typing import Any

import numpy as np
import pytest

from helpers.exercises import CHECKS

MEAN = np.array([103.939, 116.779, 123.68])


def count_in_loop(predict: Any, images: Any, labels: Any, batch_size: int) -> float:
    right = 0
    for begin in range(0, len(images), batch_size):
        guesses = predict(images[begin : begin + batch_size])
        right += sum(int(g == label) for g, label in zip(guesses, labels[begin:], strict=False))
    return right / len(labels)


def count_at_once(predict: Any, images: Any, labels: Any, batch_size: int) -> Any:
    starts = range(0, len(images), batch_size)
    guesses = np.concatenate([predict(images[i : i + batch_size]) for i in starts])
    return np.mean(guesses == labels)


def mean_of_means(predict: Any, images: Any, labels: Any, batch_size: int) -> Any:
    batches = [slice(i, i + batch_size) for i in range(0, len(images), batch_size)]
    return np.mean([(predict(images[b]) == labels[b]).mean() for b in batches])


def without_the_rest(predict: Any, images: Any, labels: Any, batch_size: int) -> float:
    whole = len(images) // batch_size
    batches = [slice(i * batch_size, (i + 1) * batch_size) for i in range(whole)]
    return sum((predict(images[b]) == labels[b]).sum() for b in batches) / len(images)


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


def preprocess_in_place(images: Any) -> Any:
    images[...] = images[..., ::-1]
    return images - MEAN


def standardize(train: Any, test: Any) -> tuple[Any, Any]:
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1
    return (train - mean) / deviation, (test - mean) / deviation


def standardize_by_library(train: Any, test: Any) -> tuple[Any, Any]:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def standardize_separately(train: Any, test: Any) -> tuple[Any, Any]:
    return standardize(train, train)[0], standardize(test, test)[0]


def divide_by_zero(train: Any, test: Any) -> tuple[Any, Any]:
    with np.errstate(all="ignore"):
        return tuple((part - train.mean(0)) / train.std(0) for part in (train, test))  # type: ignore[return-value]


def pyramid_in_loop(maps: Any) -> list[list[float]]:
    rows = []
    for m in maps:
        parts = [m, m[:2, :2], m[:2, 2:], m[2:, :2], m[2:, 2:]]
        rows.append([float(part[..., c].mean()) for part in parts for c in range(m.shape[-1])])
    return rows


def pyramid(maps: Any, order: str = "row") -> Any:
    quarters = maps.reshape(len(maps), 2, 2, 2, 2, -1).mean(axis=(2, 4))
    if order == "column":
        quarters = quarters.transpose(0, 2, 1, 3)
    return np.hstack([maps.mean(axis=(1, 2)), quarters.reshape(len(maps), -1)])


def stop_in_loop(val_losses: Any, patience: int) -> int:
    best, waited = 0, 0
    for epoch in range(1, len(val_losses)):
        if val_losses[epoch] < val_losses[best]:
            best, waited = epoch, 0
        else:
            waited += 1
            if waited == patience:
                return best
    return best


def stop_by_argmin(val_losses: Any, patience: int) -> int:
    for end in range(1, len(val_losses) + 1):
        best = int(np.argmin(val_losses[:end]))
        if end - 1 - best >= patience:
            break
    return best


def fold(W: Any, b: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    return W / sigma, b - (W / sigma) @ mu


def fold_with_matrices(W: Any, b: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    scale = np.diag(1 / sigma)
    return np.matmul(W, scale), b - np.einsum("ij,j->i", W, mu / sigma)


RIGHT: dict[str, list[Any]] = {
    "00.1": [
        {"a": "multi-task", "b": "transfer", "c": "transfer", "d": "multi-task"},
        {"d": "Multi-task", "c": " transfer", "b": "Transfer", "a": "multi-task "},
    ],
    "00.2": [50, 5 * 10, 50.0, np.int64(50)],
    "00.3": [
        lambda labels: 1 / len(np.unique(labels)),
        lambda labels: 1.0 / len(set(labels.tolist())),
    ],
    "01.1": [
        {"a": "domain", "b": "task", "c": "both", "d": "neither"},
        {"d": "Neither", "c": "BOTH", "b": " task ", "a": "Domain"},
    ],
    "01.2": [
        lambda train, test: np.mean(test == np.bincount(train).argmax()),
        lambda train, test: (
            test.tolist().count(max(set(train.tolist()), key=train.tolist().count)) / len(test)
        ),
    ],
    "01.3": [count_in_loop, count_at_once],
    "01.4": [split_by_choice, lambda *a: np.array(split_by_set(*a)), split_by_set],
    "01.5": [reweight_in_loop, reweight_items],
    "02.1": [512 * 7 + 7, 3591, (512 + 1) * 7, np.int64(3591), 3591.0],
    "02.2": [
        lambda images: images[..., ::-1] - MEAN,
        lambda images: np.flip(images.astype("float32"), -1) - MEAN.astype("float32"),
        lambda images: np.stack([images[..., 2 - k] - MEAN[k] for k in range(3)], axis=-1),
    ],
    "02.3": [standardize, standardize_by_library],
    "02.4": [pyramid, pyramid_in_loop],
    "03.1": [np.log(2), 0.6931, -np.log(0.5)],
    "03.2": [
        lambda top, decay, depth: [top / decay ** (depth - 1 - k) for k in range(depth)],
        lambda top, decay, depth: top * decay ** -np.arange(depth)[::-1].astype(float),
    ],
    "03.3": [stop_in_loop, stop_by_argmin],
    "03.4": [fold, fold_with_matrices],
}

WRONG: dict[str, list[tuple[Any, str]]] = {
    "00.1": [
        ({"a": "transfer", "b": "transfer", "c": "transfer", "d": "multi-task"}, "a: is it"),
        ({"a": "both", "b": "transfer", "c": "transfer", "d": "multi-task"}, "a: use 'transfer'"),
        (["multi-task", "transfer"], "keep the dictionary"),
    ],
    "00.2": [(5, "for one class"), (500, "ten classes"), ("50", "ten classes")],
    "00.3": [
        (lambda labels: np.bincount(labels).max() / len(labels), "that is the majority class"),
        (lambda labels: 1 / (labels.max() + 1), "count the classes that occur"),
        (lambda labels: 1 / len(labels), "your function gives 0.25"),
        (0.1, "write a function"),
    ],
    "01.1": [
        ({"a": "task", "b": "task", "c": "both", "d": "neither"}, "a: the ten species"),
        ({"a": "domain", "b": "domain", "c": "both", "d": "neither"}, "b: the pictures are"),
        ({"a": "domain", "b": "task", "c": "domain", "d": "neither"}, "c: compare"),
        ({"a": "domain", "b": "task", "c": "both", "d": "both"}, "d: two random halves"),
        ({"a": "domains", "b": "task", "c": "both", "d": "neither"}, "a: use 'domain'"),
        ({"a": "domain"}, "keep the dictionary"),
    ],
    "01.2": [
        (lambda train, test: np.mean(test == np.bincount(test).argmax()), "majority of the test"),
        (lambda train, test: np.mean(train == np.bincount(train).argmax()), "gives 0.6"),
        (lambda train, test: np.bincount(train).argmax(), "your function gives 2"),
        (0.25, "write a function"),
    ],
    "01.3": [
        (mean_of_means, "still the mean of the batch means"),
        (without_the_rest, "see each of 10 images once, it saw 9"),
        (lambda predict, x, y, n: np.mean(predict(x) == y), "at most batch_size images"),
        (lambda predict, x, y, n: count_at_once(predict, x, y, n) * len(y), "gives 9"),
    ],
    "01.4": [
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
    "01.5": [
        (lambda correct, labels, shares: correct.mean(), "this is the plain accuracy"),
        (lambda correct, labels, shares: (correct * shares[labels]).sum(), "not 1.5"),
        (
            lambda correct, labels, shares: reweight_in_loop(correct, labels, [0.5, 0.5]),
            "with shares 0.9 and 0.1",
        ),
    ],
    "02.1": [
        (512 * 7, "biases"),
        (4 * 4 * 512 * 7 + 7, "one value per channel"),
        (512 * 10 + 10, "7 outputs"),
        ("3591", "block4_pool"),
    ],
    "02.2": [
        (lambda images: images - MEAN[::-1], "the order blue, green, red"),
        (lambda images: images / 255, "black should become negative"),
        (lambda images: images[..., ::-1] - MEAN.astype(np.uint8), "unsigned"),
        (lambda images: images[..., ::-1] / 255 - MEAN / 255, "no division by 255"),
        (lambda images: images - MEAN, "not (151.1, -116.8, -123.7)"),
        (lambda images: images[::-1] - MEAN, "should become"),
        (preprocess_in_place, "changed its input"),
        (lambda images: images.mean(0) - MEAN, "the shape should stay"),
    ],
    "02.3": [
        (standardize_separately, "with the training mean and deviation"),
        (divide_by_zero, "divide by 1"),
        (lambda train, test: standardize(train, test)[0], "return two arrays"),
        (lambda train, test: (train - train.mean(0), test - train.mean(0)), "deviation 1"),
    ],
    "02.4": [
        (lambda maps: maps.mean(axis=(1, 2)), "shape (3, 10), not (3, 2)"),
        (lambda maps: pyramid(maps, "column"), "part 3 should be"),
        (lambda maps: np.roll(pyramid(maps), 2, axis=1), "first comes the mean of all"),
    ],
    "03.1": [(1, "base 2"), (0.5, "the accuracy of guessing"), (-np.log(2), "-ln of it")],
    "03.2": [
        (lambda top, decay, depth: [top / decay**k for k in range(depth)], "lowest block"),
        (lambda top, decay, depth: [top / decay ** (depth - k) for k in range(depth)], "`top`"),
        (lambda top, decay, depth: [top] * depth, "not [0.8, 0.8, 0.8, 0.8]"),
        (lambda top, decay, depth: [top, top / decay], "4 blocks have 4 rates, not 2"),
    ],
    "03.3": [
        (lambda losses, patience: int(np.argmin(losses)), "0.1 was never seen"),
        (lambda losses, patience: stop_in_loop(losses, patience) + patience, "weights are kept"),
        (lambda losses, patience: stop_in_loop(losses, 2), "with patience 3"),
        (lambda losses, patience: 1, "with patience 3"),
        (
            lambda losses, patience: stop_in_loop(
                np.array(losses) - 1e-9 * np.arange(len(losses)), patience
            ),
            "an equal loss",
        ),
    ],
    "03.4": [
        (lambda W, b, mu, sigma: (W / sigma, b - W @ mu), "the bias must take up"),
        (lambda W, b, mu, sigma: (W / sigma, b), "the bias must take up"),
        (lambda W, b, mu, sigma: (W * sigma, b - W @ mu), "divide each column"),
        (lambda W, b, mu, sigma: ((W / sigma).T, b), "keep the shape (3, 5), not (5, 3)"),
        (lambda W, b, mu, sigma: W / sigma, "return two things"),
    ],
}


def test_every_exercise_is_tried() -> None:
    assert CHECKS.keys() == RIGHT.keys() == WRONG.keys()
    assert min(len(answers) for answers in RIGHT.values()) >= 2
    assert min(len(answers) for answers in WRONG.values()) >= 3


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [(name, answer) for name, answers in RIGHT.items() for answer in answers],
)
def test_right_answers_pass(exercise: str, answer: Any) -> None:
    CHECKS[exercise](answer)


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [(name, answer, hint) for name, answers in WRONG.items() for answer, hint in answers],
)
def test_wrong_answers_get_their_hint(exercise: str, answer: Any, hint: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(hint)) as caught:
        CHECKS[exercise](answer)
    text = str(caught.value)
    assert "\n" not in text
    assert re.search(r"[.?]$", text), text


@pytest.mark.parametrize(
    "exercise", [name for name, (first, *_) in RIGHT.items() if callable(first)]
)
def test_a_number_is_no_function(exercise: str) -> None:
    with pytest.raises(AssertionError, match="write a function of"):
        CHECKS[exercise](0.5)
