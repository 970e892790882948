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


# --- 04 Domain transfer --------------------------------------------------------------------------


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


# --- 05 Same task, other domain ------------------------------------------------------------------


def _recovered(answer: Any) -> None:
    assert callable(answer), "write a function of source_only, adapted and oracle."
    value = float(answer(0.5, 0.6, 0.75))
    assert not np.isclose(value, 0.1), "that is the gain; divide it by the gap."
    assert not np.isclose(value, 0.8), (
        "that is the share of the oracle's accuracy; take off source only above and below."
    )
    assert not np.isclose(value, 0.2), "that is relative to source only; divide by the gap."
    assert not np.isclose(value, 2.5), "that is upside down: gain divided by gap."
    assert np.isclose(value, 0.4), f"from 0.5 to 0.6 with an oracle of 0.75 is 0.4, not {value}."
    assert np.isclose(float(answer(0.5, 0.4, 0.75)), -0.4), (
        "a method that does harm should get a negative share."
    )


def _coefficient(answer: Any) -> None:
    assert callable(answer), "write a function of epoch, batch, batches_per_epoch and epochs."

    def schedule(progress: float) -> float:
        return 2 / (1 + np.exp(-10 * progress)) - 1

    value = float(answer(1, 5, 10, 4))
    hints = {
        schedule(0.5): "p starts again in every epoch; count the batches of all epochs before.",
        schedule(0.25): "p only moves from epoch to epoch; the batches count too.",
        schedule(16 / 40): "p is the share done *before* this batch; counting from 0 gives that.",
        schedule(0.375) + 1: "take off 1 at the end; before any training it must be 0.",
        0.375: "that is p; now put it into Ganin's formula.",
    }
    for wrong, hint in hints.items():
        assert not np.isclose(value, wrong), hint
    assert np.isclose(value, schedule(0.375)), (
        f"batch 5 of epoch 1, with 4 epochs of 10 batches, is p = 15/40; expected "
        f"{schedule(0.375):.4f}, got {value:.4f}."
    )
    assert np.isclose(float(answer(0, 0, 10, 4)), 0), "before the first batch it must be 0."


def _pooled(answer: Any) -> None:
    assert callable(answer), "write a function of means, variances and counts."
    arrays = np.array([0.0, 4.0]), np.array([1.0, 1.0]), np.array([10, 30])
    value = answer(*(array.copy() for array in arrays))
    assert np.size(value) == 2, "return two things, the mean and the variance."
    mean, variance = (float(part) for part in value)
    assert not np.isclose(mean, 2), "a batch of 30 images counts three times as much as one of 10."
    assert np.isclose(mean, 3), f"10 images of mean 0 and 30 of mean 4 have mean 3, not {mean}."
    assert not np.isclose(variance, 1), (
        "you averaged the variances within the batches; that of their means is missing."
    )
    assert not np.isclose(variance, 2), "that is the standard deviation; return the variance."
    assert np.isclose(variance, 4), f"1 within and 3 between the batches make 4, not {variance}."
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=n) + n for n in (3, 8, 5)]
    columns = [np.array([f(part) for part in parts]) for f in (np.mean, np.var, len)]
    everything = np.concatenate(parts)
    assert np.allclose(answer(*columns), (everything.mean(), everything.var())), (
        "with three batches of different size it is wrong; weight by counts in both places."
    )


def _target_shares(answer: Any) -> None:
    assert callable(answer), "write a function of confusion and predicted."
    confusion = np.array([[0.8, 0.1, 0.3], [0.1, 0.7, 0.1], [0.1, 0.2, 0.6]])
    truth = np.array([0.6, 0.3, 0.1])
    predicted = confusion @ truth
    value = np.asarray(answer(confusion.copy(), predicted.copy()), dtype=float)
    assert value.shape == (3,), f"three classes have three shares, not shape {value.shape}."
    assert not np.allclose(value, predicted), (
        "these are the shares of the predictions; undo the confusion."
    )
    swapped = np.linalg.solve(confusion.T, predicted).clip(0)
    assert not np.allclose(value / value.sum(), swapped / swapped.sum()), (
        "the other way round: row i is what was predicted, column j the true class."
    )
    assert np.allclose(value, truth), (
        f"for predicted {predicted.round(2).tolist()} it should be {truth.tolist()}, not "
        f"{value.round(3).tolist()}."
    )
    predicted = np.array([0.85, 0.05, 0.1])
    value = np.asarray(answer(confusion.copy(), predicted), dtype=float)
    assert (value >= 0).all(), "a share cannot be negative; set it to 0."
    assert np.isclose(value.sum(), 1), "after setting shares to 0 they must add up to 1 again."
    right = np.linalg.solve(confusion, predicted).clip(0)
    assert np.allclose(value, right / right.sum()), "set to 0 first, then divide by the sum."


# --- 06 Zero-shot --------------------------------------------------------------------------------


def _which_setting(answer: Any) -> None:
    right = {"a": "few-shot", "b": "zero-shot", "c": "adaptation", "d": "zero-shot"}
    hints = {
        "a": "are there labeled images of the new class? What the weights start from is no matter.",
        "b": "how many photographs of the okapi are there, and what is there instead?",
        "c": "are the classes new, or only the look of the pictures?",
        "d": "how many labeled images of a new product are there, and what is there instead?",
    }
    _match(answer, right, "'zero-shot', 'few-shot' or 'adaptation'", hints)


def _per_class_accuracy(answer: Any) -> None:
    assert callable(answer), "write a function of predictions and labels."
    labels = np.array([4, 4, 4, 4, 4, 4, 7, 7, 9])
    predictions = np.array([4, 4, 4, 4, 4, 4, 7, 4, 4])
    value = answer(predictions, labels)
    assert not np.isclose(value, 7 / 9), "this is the share of all images; average over classes."
    assert not np.isclose(value, 0.15), "classes that do not occur in labels must not count."
    assert not np.isclose(value, 0.875), "class 9 is never predicted, but it counts all the same."
    assert np.isclose(value, 0.5), (
        "class 4 is right in 6 of 6 cases, class 7 in 1 of 2, class 9 in 0 of 1; the mean is 0.5, "
        f"not {value}."
    )


def _indirect_attributes(answer: Any) -> None:
    assert callable(answer), "write a function of probabilities and seen_attributes."
    probabilities = np.array([[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]])
    table = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 1]])
    result = np.asarray(answer(probabilities.copy(), table.copy()))
    assert result.shape == (2, 4), (
        f"2 images and 4 attributes give shape (2, 4), not {result.shape}."
    )
    assert not np.allclose(result, table[probabilities.argmax(axis=1)]), (
        "you look only at the most probable class; all of them count, by their probability."
    )
    assert not np.allclose(result, probabilities @ table / table.sum(axis=0)), (
        "do not divide by the number of classes that have the attribute: add their probabilities."
    )
    assert np.allclose(result, probabilities @ table), (
        "with class probabilities 0.5, 0.3, 0.2 an attribute of the first and third class has "
        f"probability 0.5 + 0.2 = 0.7, not {result[0, 3]:.3g}."
    )


def _calibrated(answer: Any) -> None:
    assert callable(answer), "write a function of scores, seen and gamma."
    scores = np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 0.5], [0.0, 2.0, 1.9]])
    given, seen = scores.copy(), np.array([0, 1])
    result = np.asarray(answer(given, seen, 1.0))
    assert np.array_equal(given, scores), "the function changed the caller's scores; copy them."
    assert result.shape == (3,), f"return one class per row, not an array of shape {result.shape}."
    plain = np.asarray(answer(scores.copy(), seen, 0.0))
    assert plain.tolist() == [0, 0, 1], (
        f"with gamma 0 the argmax over all columns, [0, 0, 1], is right, not {plain.tolist()}."
    )
    assert result.tolist() != [0, 0, 1], "gamma changes nothing; do you lower the columns in seen?"
    assert result.tolist() != [2, 2, 2], "unseen classes win always; let all columns compete."
    assert result.tolist() == [2, 0, 2], (
        f"with gamma 1 and seen columns 0 and 1 the answers are [2, 0, 2], not {result.tolist()}."
    )


# --- 07 Choosing a method ------------------------------------------------------------------------


def _regret_of_one(answer: Any) -> None:
    value = float(answer)
    assert not np.isclose(value, 0.71), "that is the accuracy of the oracle; subtract the rule's."
    assert not np.isclose(value, -0.02), "the oracle comes first: a regret is never negative."
    assert not np.isclose(value, 0.16), "the fourth option has 0.69, not 0.55; count from one."
    assert np.isclose(value, 0.02), (
        "the best of the five minus the one that the rule picked, the fourth."
    )


def _which_transfer(answer: Any) -> None:
    right = {"a": "negative", "b": "unclear", "c": "positive", "d": "unclear"}
    hints = {
        "a": "without the source the result is better, and the interval lies on one side of zero.",
        "b": "is anything but the source the same on both sides?",
        "c": "the method is the same on both sides; only the trunk differs.",
        "d": "does the interval tell the sign of the difference?",
    }
    _match(answer, right, "'positive', 'negative' or 'unclear'", hints)


def _nce(answer: Any) -> None:
    assert callable(answer), "write a function of source_labels and labels."
    z, labels = np.array([7, 7, 7, 7, 2, 2]), np.array([0, 0, 0, 5, 5, 5])
    value = answer(z, labels)
    right = (3 * np.log(0.75) + np.log(0.25)) / 6
    assert not np.isclose(value, -right), "the score is *minus* the entropy, so 0 or less."
    assert not np.isclose(value, 6 * right), "divide by the number of examples."
    assert not np.isclose(value, right / np.log(2)), (
        "use the natural logarithm, not that of base 2."
    )
    assert not np.isclose(value, (np.log(1 / 3) + 2 * np.log(2 / 3)) / 6), (
        "this is P(z | y); count among the examples that have the same source label."
    )
    assert np.isclose(value, right), (
        f"source labels {z.tolist()} and labels {labels.tolist()} give {right:.4f}, not {value}; "
        "P(0 | 7) is 3/4, P(5 | 7) is 1/4 and P(5 | 2) is 1."
    )
    assert np.isclose(answer(labels, labels), 0), "a source that knows the label gives 0."


def _leave_one_out_regret(answer: Any) -> None:
    assert callable(answer), "write a function of accuracy."
    table = np.array([[0.9, 0.4, 0.6], [0.2, 0.75, 0.6], [0.3, 0.9, 0.8]])
    value = answer(table)
    regrets = []
    for task in range(3):
        others = np.delete(table, task, axis=0).mean(axis=0)
        regrets.append(table[task].max() - table[task, others.argmax()])
    right = float(np.mean(regrets))
    everywhere = float((table.max(axis=1) - table[:, table.mean(axis=0).argmax()]).mean())
    assert not np.isclose(value, everywhere), (
        "the option was chosen on all tasks, the judged one included; leave it out."
    )
    assert not np.isclose(value, 0), "each task may not choose for itself."
    assert not np.isclose(value, 3 * right), "return the mean over tasks, not the sum."
    assert not np.isclose(value, -right), "the best accuracy comes first: regret is 0 or more."
    assert np.isclose(value, right), (
        f"for tasks with accuracies {table.tolist()} the mean regret is {right:.3f}, not {value}."
    )


def _log_evidence(answer: Any) -> None:
    assert callable(answer), "write a function of F, y, alpha and beta."
    rng = np.random.default_rng(0)
    for n, d in ((12, 3), (5, 9)):
        features, y = rng.normal(size=(n, d)), rng.normal(size=n)
        covariance = features @ features.T / 0.5 + np.eye(n) / 2.0
        right = -0.5 * (
            n * np.log(2 * np.pi)
            + np.linalg.slogdet(covariance)[1]
            + y @ np.linalg.solve(covariance, y)
        )
        value = float(answer(features, y, 0.5, 2.0))
        assert not np.isclose(value, right / n), "return the log evidence itself, not per example."
        assert n > d or not np.isclose(value, right + 0.5 * (d - n) * np.log(0.5)), (
            f"with N = {n} and D = {d} the matrix A has D eigenvalues; D - N of them are "
            "alpha, and their logarithms are missing."
        )
        assert not np.isclose(value, right + 0.5 * n * np.log(2 * np.pi)), (
            "the term with 2 pi is missing."
        )
        assert np.isclose(value, right), (
            f"with N = {n} and D = {d} the dense formula gives {right:.4f}, yours {value:.4f}."
        )


# --- 08 Independent or joint ---------------------------------------------------------------------


def _count_parameters(answer: Any) -> None:
    assert callable(answer), "write a function of trunk, features and outputs."
    result = answer(1000, 20, [10, 3, 1])
    assert np.shape(result) == (2,), "return two numbers: joint, then independent."
    joint, independent = map(float, result)
    assert not (np.isclose(joint, 3294) and np.isclose(independent, 1294)), (
        "the joint network comes first."
    )
    assert not np.isclose(joint, 1280), "each output of a head has a bias too."
    assert not np.isclose(joint, 1283), "a head has one bias for each of its outputs."
    assert np.isclose(joint, 1294), (
        "with a trunk of 1000, 20 features and 10, 3 and 1 outputs the joint network has "
        f"1000 + 21 * 14 = 1294 parameters, not {joint:g}."
    )
    assert not np.isclose(independent, 3882), "each independent network has only its own head."
    assert np.isclose(independent, 3294), (
        f"three independent networks have three trunks: 3294 parameters, not {independent:g}."
    )


def _joint_loss(answer: Any) -> None:
    assert callable(answer), "write a function of losses, labeled and weights."
    nan = np.nan
    losses = np.array([[1.0, 2.0, nan], [3.0, nan, nan], [nan, 6.0, nan], [nan, 1.0, nan]])
    labeled, weights = ~np.isnan(losses), np.array([1.0, 0.5, 2.0])
    value = np.asarray(answer(losses.copy(), labeled.copy(), weights.copy()), dtype=float)
    assert value.ndim == 0, "return one number, the sum over the tasks."
    assert not np.isnan(value), (
        "the result is NaN; NaN times 0 is still NaN, and 0 labels cannot be divided by."
    )
    assert not np.isclose(value, 2.125), (
        "divide by the number of labeled images of the task, not by all N."
    )
    assert not np.isclose(value, 8.5), "take the mean over the labeled images, not the sum."
    assert not np.isclose(value, 5.0), "multiply each task's mean by its weight."
    assert not np.isclose(value, 1.7), "one mean over everything; take one mean per task."
    assert not np.isclose(value, 3.5 / 3), "return the sum over the tasks, not their mean."
    assert np.isclose(value, 3.5), (
        f"means 2, 3 and none with weights 1, 0.5 and 2 give 3.5, not {float(value):.4g}."
    )


def _geometric_mean(answer: Any) -> None:
    assert callable(answer), "write a function of probabilities."
    p = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.5, 0.5], [0.2, 0.8]]])
    result = np.asarray(answer(p.copy()))
    right = np.array([[0.75, 0.25], [0.5, 0.5]])
    assert result.shape == (2, 2), "return N x K numbers: the networks are combined."
    assert not np.allclose(result, p.mean(axis=0)), "this is the mean, not the geometric mean."
    assert np.allclose(result.sum(axis=1), 1), "each image's probabilities must add up to 1 again."
    product = p.prod(axis=0) / p.prod(axis=0).sum(axis=1, keepdims=True)
    assert not np.allclose(result, product), "take the M-th root before you divide."
    assert np.allclose(result, right), (
        f"0.9 and 0.1 with 0.5 and 0.5 give 0.75 and 0.25, not {result[0].round(3).tolist()}."
    )
    many = np.asarray(answer(np.tile(p[:1], (2000, 1, 1))))
    assert np.allclose(many, p[0]), (
        "the mean of 2000 equal networks is that network; a product vanishes, so add logarithms."
    )


def _held_out_outputs(answer: Any) -> None:
    assert callable(answer), "write a function of fit, x, y and folds."
    x, y = np.arange(7.0), np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    folds = np.array([2, 0, 0, 5, 2, 0, 5])

    def fit(x: Any, y: Any) -> Callable[[Any], Any]:
        center, known = float(np.mean(y)), {float(value) for value in x}

        def model(new: Any) -> Any:
            leaked = np.array([float(value) in known for value in new])
            return np.where(leaked, 1000.0, center + np.asarray(new))

        return model

    result = np.asarray(answer(fit, x.copy(), y.copy(), folds.copy()), dtype=float)
    assert result.shape == (7,), f"return one output per row, not an array of shape {result.shape}."
    right = x + np.array([y[folds != fold].mean() for fold in folds])
    assert not (result == 1000).any(), (
        "a row was predicted by a model that was trained on it; leave its fold out."
    )
    own = x + np.array([y[folds == fold].mean() for fold in folds])
    assert not np.allclose(result, own), "train on the other folds, not on the row's own."
    order = np.argsort(folds, kind="stable")
    assert not np.allclose(result, right[order]), "put each output back to the place of its row."
    assert np.allclose(result, right), (
        f"row 0 is in fold 2, so its model saw the rows of folds 0 and 5: {right[0]:.3f}, not "
        f"{result[0]:.3f}."
    )


# --- 09 Joint multi-head VGG16 -------------------------------------------------------------------


def _starting_loss(answer: Any) -> None:
    assert callable(answer), "write a function of classes and weights."
    value = np.asarray(answer([1000, 10], [1.0, 0.5]), dtype=float)
    assert value.ndim == 0, "return one number, the sum over the heads."
    assert not np.isclose(value, np.log(1000) + np.log(10)), "multiply each loss by its weight."
    assert not np.isclose(value, 3.5), "the natural logarithm, not that to the base 10."
    assert not np.isclose(value, (np.log(1000) + np.log(10) / 2) / 2), (
        "Keras adds the weighted losses; it does not average them."
    )
    assert not np.isclose(value, (np.log(1000) + np.log(10) / 2) / 1.5), (
        "Keras does not divide by the sum of the weights."
    )
    assert not np.isclose(value, -np.log(1000) - np.log(10) / 2), "a cross-entropy is 0 or more."
    assert np.isclose(value, np.log(1000) + np.log(10) / 2), (
        f"1000 and 10 classes with weights 1 and 0.5 give 6.908 + 1.151, not {float(value):.4g}."
    )


def _rescaled_mask(answer: Any) -> None:
    assert callable(answer), "write a function of labeled."
    labeled = np.array([True, False, False, True, False])
    value = np.asarray(answer(labeled.copy()), dtype=float)
    assert value.shape == (5,), "return one weight per image."
    assert not value[~labeled].any(), "an image without a label must have weight 0."
    assert not np.allclose(value, labeled), (
        "with weights of 1 Keras divides the sum of two losses by 5 images, not by 2."
    )
    assert not np.allclose(value, labeled / 2), (
        "Keras divides by the number of images N all the same; multiply by N."
    )
    assert np.allclose(value, labeled * 2.5), (
        "two labeled images of five need the weight 2.5, so that (2.5 a + 2.5 b) / 5 is the mean "
        f"of a and b; yours are {value.round(3).tolist()}."
    )
    nobody = np.asarray(answer(np.zeros(4, bool)), dtype=float)
    assert np.isfinite(nobody).all() and not nobody.any(), (
        "if no image is labeled, all weights are 0; do not divide by 0."
    )
    everybody = np.asarray(answer(np.ones(4, bool)), dtype=float)
    assert np.allclose(everybody, 1), "if all images are labeled, all weights are 1."


def _class_balanced(answer: Any) -> None:
    assert callable(answer), "write a function of labels, classes and beta."
    labels = np.array([0, 2, 0, 0, 0])
    value = np.asarray(answer(labels.copy(), 4, 0.5), dtype=float)
    assert value.shape != (4,), "these are weights of the classes; return one weight per image."
    assert value.shape == (5,), f"return one weight per image, 5 numbers, not {value.shape}."
    assert np.isfinite(value).all(), (
        "classes 1 and 3 have no image here; their weight must not spoil the others."
    )
    of_class = np.array([0.5 / (1 - 0.5**4), 0.5 / (1 - 0.5)])
    unscaled = of_class[[0, 1, 0, 0, 0]]
    inverse = np.array([0.25, 1.0, 0.25, 0.25, 0.25])
    assert not np.allclose(value, unscaled), "scale the weights so that their mean is 1."
    assert not np.allclose(value, inverse / inverse.mean()), (
        "this is inverse frequency; beta does not enter."
    )
    assert not np.allclose(value, 1 / unscaled / (1 / unscaled).mean()), (
        "the more images a class has, the smaller is its weight."
    )
    assert not np.allclose(value, unscaled / of_class.mean()), (
        "the mean over the images must be 1, not the mean over the classes."
    )
    assert np.allclose(value, unscaled / unscaled.mean()), (
        "labels 0, 2, 0, 0, 0 with beta 0.5 give 0.851 four times and 1.596 once, not "
        f"{value.round(3).tolist()}."
    )


def _combine(answer: Any) -> None:
    assert callable(answer), "write a function of parts."
    first = (np.arange(6.0).reshape(3, 2), {"species": np.array([4, 1, 2])})
    second = (
        np.arange(6.0, 10.0).reshape(2, 2),
        {"parts": np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), "species": np.array([3, 5])},
    )
    third = (np.array([[10.0, 11.0]]), {"parts": np.array([[1.0, 1.0, 0.0]])})
    result = answer([(x.copy(), dict(y)) for x, y in (first, second, third)])
    assert isinstance(result, tuple) and len(result) == 3, "return three things: x, labels, masks."
    x, labels, masks = result
    assert np.shape(x) == (6, 2) and np.array_equal(x, np.arange(12.0).reshape(6, 2)), (
        "x holds the rows of all parts, in the order of the parts."
    )
    for found, what in ((labels, "labels"), (masks, "masks")):
        assert isinstance(found, dict) and set(found) == {"species", "parts"}, (
            f"{what} must be a dictionary with one entry per task that any part has."
        )
        assert all(len(value) == 6 for value in found.values()), (
            f"each entry of {what} needs a row for every image, labeled or not."
        )
    known = {"species": [1, 1, 1, 1, 1, 0], "parts": [0, 0, 0, 1, 1, 1]}
    for name, mask in known.items():
        assert np.shape(masks[name]) == (6,), "a mask has one number per image."
        assert not np.array_equal(np.asarray(masks[name], float), 1 - np.array(mask)), (
            "a mask is 1 where there is a label, not where it is missing."
        )
        assert np.array_equal(np.asarray(masks[name], float), mask), (
            f"the mask of {name!r} should be {mask}, not {np.asarray(masks[name]).tolist()}."
        )
    species, parts = np.asarray(labels["species"]), np.asarray(labels["parts"], dtype=float)
    assert parts.shape == (6, 3), "labels of several numbers keep their columns."
    assert np.isfinite(parts).all() and np.isfinite(species.astype(float)).all(), (
        "NaN times a weight of 0 is still NaN; put 0 in place of a missing label."
    )
    assert not (species < 0).any(), "-1 is no class, and Keras reads the label first; put 0 there."
    assert np.issubdtype(species.dtype, np.integer), "class numbers stay whole numbers."
    assert species.tolist() == [4, 1, 2, 3, 5, 0] and not parts[:3].any(), (
        "put 0 in place of every missing label, and leave the others as they are."
    )
    assert np.array_equal(parts[3:], [[1, 0, 1], [0, 1, 1], [1, 1, 0]]), (
        "the labels of 'parts' belong to the last three images."
    )


# --- 10 Joint multi-task ResNet18 ----------------------------------------------------------------


def _alpha_for_share(answer: Any) -> None:
    assert callable(answer), "write a function of sizes and share."
    value = float(answer([60, 3000], 0.1))
    assert not np.isclose(value, -np.log(9) / np.log(50)), (
        "the sign is wrong: the smaller alpha, the more often the small task is drawn."
    )
    assert not np.isclose(value, np.log(50) / np.log(9)), (
        "turned over: alpha is the logarithm of the odds divided by that of the sizes."
    )
    assert not np.isclose(value, np.log(10) / np.log(50)), (
        "a share of 0.1 means odds of 9 to 1, not of 10 to 1."
    )
    assert np.isclose(value, np.log(9) / np.log(50)), (
        "with 60 and 3000 labels the small task gets a tenth of the steps at alpha = "
        f"{np.log(9) / np.log(50):.4f}, not {value:.4f}."
    )
    for sizes, share in (([20, 500], 0.5), ([100, 300], 0.25), ([7, 1000], 0.2)):
        odds = (sizes[1] / sizes[0]) ** float(answer(sizes, share))
        assert np.isclose(1 / (1 + odds), share), (
            f"with sizes {sizes} your alpha gives the first task {1 / (1 + odds):.3f} of the "
            f"steps, not {share}."
        )


def _task_of_step(answer: Any) -> None:
    assert callable(answer), "write a function of step and epochs."
    epochs = [3, 1, 4]
    right = [0, 0, 0, 1, 2, 2, 2, 2] * 2
    found = [answer(step, list(epochs)) for step in range(16)]
    assert all(np.ndim(task) == 0 for task in found), "return one number, that of the task."
    assert found != [step % 3 for step in range(16)], (
        "this alternates by batch; a task keeps its turn for a whole epoch."
    )
    assert found != [min(task + 1, 3) for task in right], "count the tasks from 0."
    assert found[:8] == right[:8], (
        f"with epochs of 3, 1 and 4 steps the first eight steps are {right[:8]}, not "
        f"{[int(task) for task in found[:8]]}."
    )
    assert found == right, "after the last task's epoch it is the first task's turn again."


def _union_map(answer: Any) -> None:
    assert callable(answer), "write a function of folders."
    result = answer([["cat", "horse"], ["cow", "dog", "horse"], ["ant"]])
    assert len(result) == 3, "return one list for each folder."
    maps = [[int(i) for i in part] for part in result]
    assert maps != [[0, 1], [0, 1, 2], [0]], (
        "these are the folders' own numbers: index 0 still means cat, cow and ant."
    )
    assert maps != [[0, 1], [2, 3, 4], [5]], "a name that is in two folders is one class."
    assert maps != [[0, 1], [2, 3, 1], [4]], "number the union in alphabetical order."
    assert maps == [[1, 4], [2, 3, 4], [0]], (
        "in alphabetical order the classes are ant, cat, cow, dog and horse, so cat and horse are "
        f"1 and 4; yours are {maps[0]}."
    )


def _momentum_step(answer: Any) -> None:
    assert callable(answer), "write a function of values, gradients, velocities, rate and momentum."
    start = {"trunk": 1.0, "head_a": 2.0, "head_b": 3.0}
    velocity = {"trunk": 0.5, "head_a": 0.0, "head_b": 4.0}

    def step(gradients: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        result = answer(dict(start), gradients, dict(velocity), 0.1, 0.9)
        assert isinstance(result, tuple) and len(result) == 2, (
            "return two dictionaries: the new values and the new velocities."
        )
        return result

    values, moved = step({"trunk": 1.0, "head_a": 2.0, "head_b": 0.0})
    assert not np.isclose(values["trunk"], 1.145), "a step goes against the gradient: minus."
    assert not np.isclose(values["trunk"], 0.9), "the velocity is missing: momentum times the old."
    assert np.isclose(values["trunk"], 0.855) and np.isclose(moved["trunk"], 1.45), (
        "the new velocity of the trunk is 0.9 * 0.5 + 1 = 1.45 and its value 1 - 0.1 * 1.45 = "
        f"0.855, not {moved['trunk']:g} and {values['trunk']:g}."
    )
    assert np.isclose(values["head_b"], 2.64), (
        "a gradient of 0 is a gradient: the old velocity still moves head_b from 3 to 2.64, not to "
        f"{values['head_b']:g}."
    )
    values, moved = step({"trunk": 1.0, "head_a": None, "head_b": None})
    assert values["head_b"] == 3.0, "where the gradient is None nothing moves."
    assert moved["head_b"] == 4.0, "where the gradient is None the velocity stays what it was."
    assert np.isclose(values["trunk"], 0.855), "parameters that have a gradient still move."


# --- 11 Balancing tasks --------------------------------------------------------------------------


def _best_log_variance(answer: Any) -> None:
    assert callable(answer), "write a function of loss and form."
    for loss in (0.25, 3.0):
        for form, right in (("regression", np.log(loss)), ("classification", np.log(2 * loss))):
            value = float(answer(loss, form))
            assert not np.isclose(value, np.exp(right)), "s is the *logarithm* of the variance."
            assert not np.isclose(value, right / 2), (
                "this is the logarithm of sigma; s is that of sigma squared."
            )
            assert not np.isclose(value, -right), "a larger loss has a larger s: look at the sign."
            assert form == "regression" or not np.isclose(value, np.log(loss)), (
                "in the form for classification exp(-s) L has no factor 0.5."
            )
            assert not np.isclose(value, np.log(loss / 2)), (
                "set the derivative to 0: the factor in front of exp(-s) goes to the other side."
            )
            assert np.isclose(value, right), (
                f"{form} with a loss of {loss} has its optimum at {right:.3f}, not {value:.3f}."
            )


def _dwa_schedule(answer: Any) -> None:
    assert callable(answer), "write a function of history and temperature."

    def weights(scores: np.ndarray) -> np.ndarray:
        return np.asarray(3 * np.exp(scores) / np.exp(scores).sum())

    first = np.array([[4.0, 2.0, 1.0]])
    for early in (np.empty((0, 3)), first):
        assert np.allclose(answer(early.copy(), 2.0), np.ones(3)), (
            f"after {len(early)} epochs there is no ratio yet; return ones, one per task."
        )
    history = np.array([[9.0, 9.0, 9.0], [4.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    for temperature in (2.0, 0.5):
        ratio = history[-1] / history[-2]
        value = np.asarray(answer(history.copy(), temperature), dtype=float)
        assert value.shape == (3,), "return one weight per task."

        right = weights(ratio / temperature)
        assert not np.allclose(value, right / 3), (
            "the weights add up to the number of tasks; multiply by it."
        )
        assert not np.allclose(value, weights(1 / ratio / temperature)), (
            "the ratio is upside down: last epoch over the one before."
        )
        assert not np.allclose(value, weights(ratio)), "divide the ratios by the temperature."
        assert not np.allclose(value, weights(history[1] / history[0] / temperature)), (
            "take the last two epochs, not the first two."
        )
        assert not np.allclose(value, 3 * ratio / ratio.sum()), "use the softmax of the ratios."
        assert np.allclose(value, right), (
            f"ratios 0.25, 0.5 and 1 with temperature {temperature:g} give "
            f"{right.round(3).tolist()}, not {value.round(3).tolist()}."
        )


def _smallest_combination(answer: Any) -> None:
    assert callable(answer), "write a function of g and h."
    cases = [
        ([2.0, 0.0], [0.0, 1.0], [0.4, 0.8]),
        ([2.0, 2.0], [0.0, 1.0], [0.0, 1.0]),
        ([0.0, 1.0, 1.0], [0.0, 3.0, 3.0], [0.0, 1.0, 1.0]),
        ([1.0, 0.0], [-3.0, 0.0], [0.0, 0.0]),
    ]
    for first, second, right in cases:
        g, h, smallest = np.array(first), np.array(second), np.array(right)
        value = np.asarray(answer(g.copy(), h.copy()), dtype=float)
        assert value.shape == g.shape, "return the combined gradient, not its share a."
        free = ((h - g) @ h) / ((g - h) @ (g - h))
        assert 0 <= free <= 1 or not np.allclose(value, free * g + (1 - free) * h), (
            "a left the range from 0 to 1, so this is no convex combination; clip it."
        )
        clipped = float(np.clip(free, 0, 1))
        assert np.allclose(smallest, clipped * h + (1 - clipped) * g) or not np.allclose(
            value, clipped * h + (1 - clipped) * g
        ), "a belongs to g and 1 - a to h; yours are exchanged."
        assert not np.allclose(value, (g + h) / 2) or np.allclose(smallest, (g + h) / 2), (
            "this is the mean; look for the shortest vector between the two."
        )
        assert np.allclose(value, smallest), (
            f"between {first} and {second} the shortest is {right}, not {value.round(3).tolist()}."
        )
    same = np.asarray(answer(np.array([1.0, 2.0]), np.array([1.0, 2.0])), dtype=float)
    assert np.allclose(same, [1, 2]), (
        "for two equal gradients the result is that gradient; do not divide by 0."
    )


def _pcgrad_weights(answer: Any) -> None:
    assert callable(answer), "write a function of gramian and order."
    pair = np.array([[1.0, 0.0], [-1.0, 1.0]])
    three = np.array([[1.0, 0.2, 0.0], [-1.0, 0.1, 0.3], [-0.5, -1.0, 0.1]])
    for gradients in (pair, three, np.array([[1.0, 0.0], [1.0, 2.0]])):
        gramian, tasks = gradients @ gradients.T, len(gradients)
        for order in (list(range(tasks)), list(range(tasks))[::-1]):
            right, stale = np.zeros(tasks), np.zeros(tasks)
            for i in range(tasks):
                own, old = np.eye(tasks)[i], np.eye(tasks)[i]
                for j in order:
                    if j != i and gramian[j] @ own < 0:
                        own[j] -= gramian[j] @ own / gramian[j, j]
                    if j != i and gramian[i, j] < 0:
                        old[j] -= gramian[i, j] / gramian[j, j]
                right, stale = right + own, stale + old
            value = np.asarray(answer(gramian.copy(), list(order)), dtype=float)
            assert value.shape == (tasks,), "return one weight per task."
            assert not np.allclose(value, right / tasks), "PCGrad adds the gradients: no mean."
            assert np.allclose(stale, right) or not np.allclose(value, stale), (
                "test the gradient as it is after the earlier projections: its product with "
                "gradient j is gramian[j] @ weights."
            )
            assert not np.allclose(value, np.ones(tasks)) or np.allclose(right, 1), (
                "nothing was projected; a conflict is a product below 0."
            )
            assert np.allclose(value, right), (
                f"for gradients {gradients.tolist()} and order {order} the weights are "
                f"{right.round(3).tolist()}, not {value.round(3).tolist()}."
            )


# --- 12 Task relationships -----------------------------------------------------------------------


def _hidden_weights(answer: Any) -> None:
    right = {"a": 0.1, "b": 0.5, "c": 0.25}
    assert isinstance(answer, dict) and set(answer) == set(right), (
        "keep the dictionary with the entries a, b and c."
    )
    given = {key: float(value) for key, value in answer.items()}
    hints = {
        "a": "every image counts alike, so count the target's share of the images.",
        "b": "two means are added with factors 1 and 1; scale them so that they add up to 1.",
        "c": "one mean over 32 images, of which 8 are target images.",
    }
    for key, value in right.items():
        assert not np.isclose(given[key], 1 - value) or value == 0.5, (
            f"{key}: this is the weight of the source; the target's is asked for."
        )
        assert np.isclose(given[key], value, rtol=0.01), f"{key}: {hints[key]}"


def _shared_cosine(answer: Any) -> None:
    assert callable(answer), "write a function of a, b and shared."
    a = {"conv": np.array([[3.0, 0.0]]), "fc": np.array([4.0]), "head_a": np.array([12.0])}
    b = {"conv": np.array([[0.0, 5.0]]), "fc": np.array([12.0]), "head_b": np.array([84.0])}
    shared = ["conv", "fc"]
    value = np.asarray(answer(dict(a), dict(b), list(shared)), dtype=float)
    assert value.ndim == 0, "return one number for the whole trunk."
    assert not np.isclose(value, 48), "this is the dot product; divide by both lengths."
    assert not np.isclose(value, 48 / (13 * 85)), (
        "the lengths include the heads; only shared parameters count."
    )
    assert not np.isclose(value, 0.5), (
        "this is the mean of the layers' cosines; join all shared layers into one vector first."
    )
    assert np.isclose(value, 48 / 65), f"48 / (5 * 13) is 0.738, not {float(value):.3f}."
    zero = {name: 0 * gradient for name, gradient in a.items()}
    assert float(answer(zero, dict(b), list(shared))) == 0, (
        "a gradient of zero has no direction; return 0 for it, not NaN."
    )


def _lookahead(answer: Any) -> None:
    assert callable(answer), "write a function of theta, A, c and rate."
    theta, rate = np.array([2.0, 1.0]), 0.1
    A = np.array([np.diag([1.0, 4.0]), np.diag([3.0, 0.5]), np.eye(2)])
    c = np.array([[-1.0, 0.0], [1.0, 0.5], [3.0, -1.0]])
    start, steps = theta.copy(), [A[i] @ (theta - c[i]) for i in range(3)]

    def loss(j: int, at: np.ndarray) -> float:
        return float((at - c[j]) @ A[j] @ (at - c[j]) / 2)

    def ratios(sign: float) -> np.ndarray:
        after = [[loss(j, theta - sign * rate * g) for j in range(3)] for g in steps]
        return np.array(after) / [loss(j, theta) for j in range(3)]

    right = 1 - ratios(1)
    moved = theta.copy()
    in_sequence = np.empty((3, 3))
    for i in range(3):
        moved = moved - rate * A[i] @ (moved - c[i])
        in_sequence[i] = [1 - loss(j, moved) / loss(j, theta) for j in range(3)]
    value = np.asarray(answer(theta, A.copy(), c.copy(), rate), dtype=float)
    assert value.shape == (3, 3), f"three tasks make a 3 x 3 matrix, not one of {value.shape}."
    assert (theta == start).all(), "your function changed theta; look ahead on a copy."
    assert not np.allclose(value, right.T), (
        "rows and columns are swapped: row i is the task that takes the step."
    )
    assert not np.allclose(value, 1 - right), "this is the ratio of the losses; take it from 1."
    assert not np.allclose(value, 1 - ratios(-1)), "this step climbs; subtract the gradient."
    assert not np.allclose(value, in_sequence), (
        "every task must start from the same theta, not from where the task before it ended."
    )
    before = np.array([loss(j, start) for j in range(3)])
    assert not np.allclose(value, right * before), "divide by the loss of task j before the step."
    first_order = np.array([[rate * g @ h for h in steps] for g in steps]) / before
    assert not np.allclose(value, first_order), (
        "this is the first-order approximation; take the step and compute the losses again."
    )
    assert np.allclose(value, right), (
        f"the step of task 0 changes the loss of task 1 by {right[0, 1]:.3f} of it, not by "
        f"{value[0, 1]:.3f}."
    )


def _best_partition(answer: Any) -> None:
    assert callable(answer), "write a function of affinity."

    def groups(affinity: np.ndarray) -> set[frozenset[int]]:
        found = answer(affinity.copy())
        assert not isinstance(found, int | float | np.generic), "return the groups of tasks."
        members = [frozenset(int(task) for task in group) for group in found]
        listed = sorted(task for group in members for task in group)
        assert listed == list(range(len(affinity))), (
            "every task belongs to exactly one group, also a task that stays alone."
        )
        return set(members)

    apart = groups(-np.ones((3, 3)))
    assert apart == {frozenset([k]) for k in range(3)}, (
        "where every affinity is negative, all tasks should stay alone: alone counts as 0."
    )
    A = np.zeros((4, 4))
    A[0, 1], A[1, 0], A[2, 3], A[3, 2] = 0.9, -0.5, 0.2, 0.2  # column j is the task that gains
    A[0, 2], A[0, 3], A[2, 0], A[1, 2], A[3, 1] = 0.1, -0.9, -0.9, 0.1, -0.9
    right = {frozenset([0, 1]), frozenset([2, 3])}
    found = groups(A + 7 * np.eye(4))
    assert found != {frozenset([k]) for k in range(4)}, (
        "with the diagonal of this matrix, alone seems best; a task's affinity to itself does "
        "not count."
    )
    assert found == right, (
        "here {0, 1} and {2, 3} have the largest sum, 0.9 - 0.5 + 0.2 + 0.2; yours are "
        f"{sorted(sorted(group) for group in found)}."
    )
    B = np.array([[0.0, 0.5, 0.1], [0.5, 0.0, 0.1], [0.1, 0.1, 0.0]])
    assert groups(B) == {frozenset([0, 1]), frozenset([2])}, (
        "with mean affinities {0, 1} and {2} win; sums over a group always favor large groups."
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
    "04.1": _equal_lambda,
    "04.2": _fisher,
    "04.3": _reservoir,
    "04.4": _distillation,
    "05.1": _recovered,
    "05.2": _coefficient,
    "05.3": _pooled,
    "05.4": _target_shares,
    "06.1": _which_setting,
    "06.2": _per_class_accuracy,
    "06.3": _indirect_attributes,
    "06.4": _calibrated,
    "07.1": _regret_of_one,
    "07.2": _which_transfer,
    "07.3": _nce,
    "07.4": _leave_one_out_regret,
    "07.5": _log_evidence,
    "08.1": _count_parameters,
    "08.2": _joint_loss,
    "08.3": _geometric_mean,
    "08.4": _held_out_outputs,
    "09.1": _starting_loss,
    "09.2": _rescaled_mask,
    "09.3": _class_balanced,
    "09.4": _combine,
    "10.1": _alpha_for_share,
    "10.2": _task_of_step,
    "10.3": _union_map,
    "10.4": _momentum_step,
    "11.1": _best_log_variance,
    "11.2": _dwa_schedule,
    "11.3": _smallest_combination,
    "11.4": _pcgrad_weights,
    "12.1": _hidden_weights,
    "12.2": _shared_cosine,
    "12.3": _lookahead,
    "12.4": _best_partition,
}
