"""Checks of the exercises of notebook 03, Feature reuse."""

from collections.abc import Callable
from typing import Any

import numpy as np


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


CHECKS: dict[str, Callable[[Any], None]] = {
    "03.1": _head_size,
    "03.2": _preprocess,
    "03.3": _standardize,
    "03.4": _spatial_pyramid,
}
