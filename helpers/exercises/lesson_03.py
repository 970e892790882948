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


def _silhouettes(answer: Any) -> None:
    assert isinstance(answer, dict) and set(answer) == {
        "points",
        "in points",
        "ratio",
        "as a ratio",
    }, 'answer with the four entries "points", "in points", "ratio" and "as a ratio".'
    points, ratio = float(answer["points"]), float(answer["ratio"])
    assert points > 0, "take ImageNet's mean error from random's, not the other way round."
    assert points < 1, "ten points are 0.10, not 10."
    assert ratio > 1, "divide random's errors by ImageNet's, not the other way round."
    assert 0.05 < points < 0.22, (
        f"a difference of {points:.2f} is far from what 50 images per class of animals give at 32 "
        "pixels (probes after block 3 or 4, C between 0.01 and 1, errors on the test images); is "
        "one of the two networks the wrong one?"
    )
    assert 1.7 < ratio < 4.5, (
        f"a ratio of {ratio:.2f} does not go with errors on animals at 50 images per class; divide "
        "the errors, not the accuracies."
    )
    for key, here in (("in points", "0.2 to 0.3"), ("as a ratio", "1.5 to 1.8")):
        assert answer[key] in ("more", "less"), f'the entry "{key}" is "more" or "less".'
        right = "less" if key == "in points" else "more"
        assert answer[key] == right, (
            f"compare again: on textured, with 50 images per class, the lead {key} is {here}."
        )


CHECKS: dict[str, Callable[[Any], None]] = {
    "03.1": _head_size,
    "03.2": _preprocess,
    "03.3": _spatial_pyramid,
    "03.4": _silhouettes,
}
