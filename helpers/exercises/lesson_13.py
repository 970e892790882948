"""Checks of the exercises of notebook 13, Joint multi-head VGG16."""

from collections.abc import Callable
from typing import Any

import numpy as np


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


CHECKS: dict[str, Callable[[Any], None]] = {
    "13.1": _starting_loss,
    "13.2": _rescaled_mask,
    "13.3": _class_balanced,
    "13.4": _combine,
}
