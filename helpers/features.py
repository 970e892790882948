"""Features of a frozen network: computed once, kept on disk."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from helpers.base.cache import Arrays, cached_arrays, digest
from helpers.base.errors import CourseError

BATCH_SIZE = 64  # images per step


def extract_features(
    backbone: Any,
    images: np.ndarray,
    layers: Sequence[str] = ("block5_pool",),
    refresh: bool = False,
) -> Arrays:
    """Global-average-pooled outputs of some layers, for every image, in one pass.

    The result is kept in the course's cache under the weights and structure of `backbone`
    (preprocessing included), the layer names and the pixels, so it is computed once per data set
    and can never be stale.

    Args:
        backbone: a Keras model for images, for example `keras_models.vgg16_backbone`.
        images: uint8, N x H x W x 3, RGB, 0 to 255.
        layers: names of layers with a feature map (N x h x w x channels).
        refresh: compute even if the features are in the cache, to measure how long it takes.

    Returns:
        Per layer name, float32, N x channels.

    Raises:
        CourseError: images are not uint8 RGB or not of the network's size, or a layer does not
            exist.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not len(images):
        raise CourseError(
            "images must be uint8 RGB (N x H x W x 3, 0 to 255), at least one, not "
            f"{images.dtype} {images.shape}; the network does its own preprocessing."
        )
    height, width = backbone.inputs[0].shape[1:3]  # None if any size will do
    if height not in (None, images.shape[1]) or width not in (None, images.shape[2]):
        raise CourseError(
            f"the network was made for images of {height} x {width} pixels, but these have "
            f"{images.shape[1]} x {images.shape[2]}; load them with image_size={height}."
        )
    names = [layer.name for layer in backbone.layers]
    for layer in layers:
        if layer not in names:
            raise CourseError(f"the network has no layer {layer!r}; it has {', '.join(names)}.")
    key = {
        # not get_weights(), which copies several times more slowly
        "weights": digest(*(np.asarray(variable.value) for variable in backbone.variables)),
        # not to_json(), which holds the optimizer of a compiled model too
        "structure": keras.saving.serialize_keras_object(backbone.get_config()),
        "layers": list(layers),
        "images": digest(images),
    }
    return cached_arrays("features", key, lambda: _compute(backbone, images, layers), refresh)


def fold(probe: Any) -> list[np.ndarray]:
    """The linear layer that gives a fitted probe's scores from features that are not standardized.

    Args:
        probe: a fitted scikit-learn pipeline of a StandardScaler and a linear classifier with K
            rows of coefficients over D features (of two classes: one row, for the second).

    Returns:
        Kernel (D x K) and bias (K), float32, as ``Dense.set_weights`` takes them; K is 2 for two
        classes.
    """
    scaler, linear = probe[0], probe[-1]
    weights, bias = linear.coef_, linear.intercept_  # K x D and K
    if len(weights) == 1:  # scores -z/2 and z/2 have the softmax of 0 and z
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    weights = weights / scaler.scale_
    bias = bias - weights @ scaler.mean_
    return [weights.T.astype(np.float32), bias.astype(np.float32)]


def _compute(backbone: Any, images: np.ndarray, layers: Sequence[str]) -> Arrays:
    pooled = [
        keras.layers.GlobalAveragePooling2D()(backbone.get_layer(name).output) for name in layers
    ]
    model = keras.Model(backbone.inputs, dict(zip(layers, pooled, strict=True)))
    parts = [
        model.predict_on_batch(images[start : start + BATCH_SIZE])
        for start in tqdm(range(0, len(images), BATCH_SIZE), "features", leave=False, delay=30)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in layers}
