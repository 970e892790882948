"""Checks of the exercises: each raises AssertionError with a hint if an answer is not right."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _match(answer: Any, right: dict[str, str], allowed: str, hints: dict[str, str]) -> None:
    """One word for each of the cases a, b, c and d."""
    assert isinstance(answer, dict) and answer.keys() == right.keys(), (
        "keep the dictionary with the four keys a, b, c and d."
    )
    for case, value in right.items():
        given = str(answer[case]).strip().lower()
        assert given in right.values(), f"{case}: use {allowed}."
        assert given == value, f"{case}: {hints[case]}"


# --- 00 Start here -------------------------------------------------------------------------------


def _which_idea(answer: Any) -> None:
    right = {"a": "multi-task", "b": "transfer", "c": "transfer", "d": "multi-task"}
    hint = "is it learned one after the other, or at the same time?"
    _match(answer, right, "'transfer' or 'multi-task'", dict.fromkeys(right, hint))


def _images_used(answer: Any) -> None:
    assert answer != 5, "that is the number for one class."
    assert answer == 50, "PER_CLASS counts the images of each class; animals has ten classes."


def _accuracy_of_guessing(answer: Any) -> None:
    assert callable(answer), "write a function of labels."
    value = answer(np.array([0, 0, 0, 1]))
    assert not np.isclose(value, 0.75), "that is the majority class; here every class is guessed."
    assert np.isclose(value, 0.5), (
        "with two classes the guess is right half of the time, however frequent each is; your "
        f"function gives {value}."
    )
    assert np.isclose(answer(np.array([3, 5, 9, 9])), 1 / 3), (
        "labels 3, 5 and 9 are three classes; count the classes that occur."
    )


# --- 01 Domains and tasks ------------------------------------------------------------------------


def _what_changes(answer: Any) -> None:
    right = {"a": "domain", "b": "task", "c": "both", "d": "neither"}
    hints = {
        "a": "the ten species are the same, but do the pictures look the same?",
        "b": "the pictures are the same; is the question?",
        "c": "compare the pictures, then compare the label sets.",
        "d": "two random halves: is there any difference at all?",
    }
    _match(answer, right, "'domain', 'task', 'both' or 'neither'", hints)


def _majority_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of train_labels and test_labels."
    train, test = np.array([2, 2, 2, 0, 1]), np.array([2, 0, 0, 0])
    value = answer(train, test)
    assert value != 0.75, "you counted the majority of the test labels; use the training labels."
    assert np.isclose(value, 0.25), (
        f"with training labels {train.tolist()} and test labels {test.tolist()} the answer is "
        f"always 2 and 1 of 4 is right; your function gives {value}."
    )
    value = answer(np.array([7, 7, 1]), np.array([7, 7, 7]))
    assert np.isclose(value, 1), f"three right of three should give 1, not {value}."


def _counted_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of predict, images, labels and batch_size."
    images, labels = np.zeros((10, 2, 2, 3)), np.array([0] * 9 + [1])
    sizes = []

    def predict(batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        return np.zeros(len(batch), int)

    value = answer(predict, images, labels, 3)
    assert sizes and max(sizes) <= 3, "call predict on at most batch_size images at a time."
    assert sum(sizes) == 10, f"predict should see each of 10 images once, it saw {sum(sizes)}."
    assert not np.isclose(value, 0.75), "this is still the mean of the batch means."
    assert np.isclose(value, 0.9), f"9 of 10 are right, but your function gives {value}."


def _group_split(answer: Any) -> None:
    assert callable(answer), "write a function of groups, share and seed."
    rng = np.random.default_rng(3)
    # Groups of very different sizes, with numbers that are no row numbers.
    groups = rng.permutation(np.repeat(10_000 + 7 * np.arange(400), rng.integers(1, 30, 400)))
    test = np.asarray(answer(groups, 0.25, 0))
    assert test.shape == groups.shape, (
        f"return one entry per picture ({groups.size}), not an array of shape {test.shape}."
    )
    assert test.dtype == bool, f"return True and False, not numbers of type {test.dtype}."
    both = np.intersect1d(groups[test], groups[~test])
    assert both.size == 0, f"{both.size} groups are on both sides; draw groups, not pictures."
    shares = [
        len(np.unique(groups[np.asarray(answer(groups, 0.25, seed))])) / 400 for seed in range(20)
    ]
    assert 0.22 < np.mean(shares) < 0.28, (
        f"a share of 0.25 of the groups was asked for, but on average {np.mean(shares):.2f} of "
        "them are in the test set; draw among the distinct groups, whatever their size."
    )
    assert (np.asarray(answer(groups, 0.25, 0)) == test).all(), (
        "the same seed should give the same split twice."
    )
    assert any((np.asarray(answer(groups, 0.25, seed)) != test).any() for seed in (1, 2, 3)), (
        "another seed should give another split."
    )


def _reweighted_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of correct, labels and target_shares."
    correct = np.array([True, True, True, False, False, False])
    labels = np.array([0, 0, 0, 0, 1, 1])
    value = answer(correct, labels, np.array([0.5, 0.5]))
    assert not np.isclose(value, 0.5), "this is the plain accuracy; where do the shares come in?"
    assert np.isclose(value, 0.375), (
        "class 0 is right in 3 of 4 cases and class 1 in 0 of 2; with equal shares that gives "
        f"0.5 · 0.75 + 0.5 · 0 = 0.375, not {value}."
    )
    value = answer(correct, labels, np.array([0.9, 0.1]))
    assert np.isclose(value, 0.675), f"with shares 0.9 and 0.1 it should be 0.675, not {value}."


# --- 02 Feature reuse ----------------------------------------------------------------------------


def _head_size(answer: Any) -> None:
    assert answer != 512 * 7, "do not forget the biases."
    assert answer != 4 * 4 * 512 * 7 + 7, "averaging leaves one value per channel."
    assert answer == 512 * 7 + 7, (
        "block4_pool has 512 channels; averaging leaves 512 numbers, each meets 7 outputs, and "
        "every output has one bias."
    )


def _preprocess(answer: Any) -> None:
    assert callable(answer), "write a function of images."
    images = np.zeros((2, 3, 3, 3), np.uint8)
    images[0, ..., 0] = 255  # pure red
    before = images.copy()
    result = np.asarray(answer(images))
    assert (images == before).all(), "the function changed its input; work on a copy."
    assert result.shape == images.shape, f"the shape should stay {images.shape}."
    assert result.min() < 0, "black should become negative; are you still in unsigned integers?"
    assert abs(result).max() > 2, "there is no division by 255 in this recipe."
    red = result[0, 0, 0]
    assert not np.allclose(red, [131.32, -116.779, -103.939], atol=0.01), (
        "the mean is right, but the channels must be in the order blue, green, red."
    )
    assert np.allclose(red, [-103.939, -116.779, 131.32], atol=0.01), (
        "a pure red pixel should become (-103.9, -116.8, 131.3), not "
        f"({', '.join(f'{value:.1f}' for value in red)})."
    )


def _standardize(answer: Any) -> None:
    assert callable(answer), "write a function of train and test."
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 2, (50, 4)), rng.normal(10, 5, (20, 4))
    train[:, 2] = 1.0
    result = answer(train.copy(), test.copy())
    assert isinstance(result, tuple) and len(result) == 2, "return two arrays: train, test."
    scaled_train, scaled_test = (np.asarray(part) for part in result)
    assert np.isfinite(scaled_train).all() and np.isfinite(scaled_test).all(), (
        "the third feature never varies in the training set; its deviation is 0: divide by 1 there."
    )
    varies = [0, 1, 3]
    assert np.allclose(scaled_train[:, varies].mean(axis=0), 0) and np.allclose(
        scaled_train[:, varies].std(axis=0), 1, atol=0.02
    ), "the training features should have mean 0 and standard deviation 1."
    expected = (test - train.mean(axis=0))[:, varies] / train.std(axis=0)[varies]
    assert np.allclose(scaled_test[:, varies], expected, rtol=0.03), (
        "the test features must be shifted and scaled with the training mean and deviation."
    )


def _spatial_pyramid(answer: Any) -> None:
    assert callable(answer), "write a function of maps."
    maps = np.random.default_rng(0).normal(size=(3, 4, 4, 2))
    result = np.asarray(answer(maps))
    assert result.shape == (3, 10), (
        f"3 maps with 2 channels give shape (3, 10), not {result.shape}."
    )
    assert np.allclose(result[:, :2], maps.mean(axis=(1, 2))), "first comes the mean of all."
    corners = [(0, 0), (0, 2), (2, 0), (2, 2)]
    for place, (row, column) in enumerate(corners, start=1):
        expected = maps[:, row : row + 2, column : column + 2].mean(axis=(1, 2))
        assert np.allclose(result[:, 2 * place : 2 * place + 2], expected), (
            f"part {place + 1} should be the mean of rows {row} and {row + 1}, columns {column} "
            f"and {column + 1}."
        )


# --- 03 Fine-tuning ------------------------------------------------------------------------------


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
    "00.1": _which_idea,
    "00.2": _images_used,
    "00.3": _accuracy_of_guessing,
    "01.1": _what_changes,
    "01.2": _majority_accuracy,
    "01.3": _counted_accuracy,
    "01.4": _group_split,
    "01.5": _reweighted_accuracy,
    "02.1": _head_size,
    "02.2": _preprocess,
    "02.3": _standardize,
    "02.4": _spatial_pyramid,
    "03.1": _guessing_loss,
    "03.2": _discriminative_rates,
    "03.3": _stop_epoch,
    "03.4": _fold,
}
