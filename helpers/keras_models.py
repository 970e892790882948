"""VGG16 in Keras, with its preprocessing attached, and several heads on one trunk."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from safetensors.numpy import load_file

from helpers.base.errors import CourseError
from helpers.weights import vgg16_imagenet


@keras.saving.register_keras_serializable("transfer_course")
class VGG16Preprocessing(keras.layers.Layer):
    """What VGG16 was trained on: BGR order, the ImageNet mean color subtracted, no scaling.

    RGB images from 0 to 255 (N x H x W x 3) in, float32 of the same shape out. The same function
    as ``keras.applications.vgg16.preprocess_input``, as a layer that is saved with the model.
    """

    def call(self, images: Any) -> Any:
        images = keras.ops.cast(images, self.compute_dtype)
        mean = keras.ops.convert_to_tensor([103.939, 116.779, 123.68], self.compute_dtype)
        return keras.ops.flip(images, axis=-1) - mean


def vgg16_backbone(image_size: int | None, weights: str = "imagenet", seed: int = 0) -> Any:
    """VGG16's 13 convolutions (Simonyan & Zisserman 2015, configuration D), without its head.

    The model takes RGB images with values from 0 to 255 (N x size x size x 3): the preprocessing
    is its first layer, so it can neither be forgotten nor done twice. It returns the feature map
    of ``block5_pool`` (N x size/32 x size/32 x 512). Layers keep Keras' names
    (``block1_conv1`` ... ``block5_pool``).

    Args:
        image_size: side in pixels, 32 or more; None leaves it open.
        weights: ``"imagenet"`` or ``"random"`` (He-uniform, Keras' advice for ReLU networks).
        seed: of the random weights.

    Raises:
        CourseError: image smaller than 32 pixels, other `weights`, or weights not fetched.
    """
    if image_size is not None and image_size < 32:
        raise CourseError(
            f"VGG16 halves the image five times, so it needs 32 pixels or more, not {image_size}."
        )
    if weights not in ("imagenet", "random"):
        raise CourseError(f"weights must be 'imagenet' or 'random', not {weights!r}.")
    images = keras.Input((image_size, image_size, 3), name="rgb_0_to_255")
    preprocessed = VGG16Preprocessing(name="preprocessing")(images)
    model = keras.applications.VGG16(
        weights=None, include_top=False, input_tensor=preprocessed, name="vgg16"
    )
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if weights == "imagenet":
        tensors = load_file(vgg16_imagenet())
        for layer in convolutions:
            layer.set_weights([tensors[f"{layer.name}.kernel"], tensors[f"{layer.name}.bias"]])
    else:
        rng = np.random.default_rng(seed)
        for layer in convolutions:
            kernel, bias = layer.get_weights()
            limit = np.sqrt(6 / np.prod(kernel.shape[:3]))  # He et al. 2015, uniform
            layer.set_weights([rng.uniform(-limit, limit, kernel.shape), np.zeros_like(bias)])
    return model


def multi_head(trunk: Any, heads: Mapping[str, int]) -> Any:
    """One trunk and one linear head per label set, as `torch_models.MultiHead` in PyTorch.

    ``model(inputs)`` gives a dictionary, name of the head -> outputs (N x number) without an
    activation. Each head is a layer of that name, so ``compile`` and ``fit`` take losses, metrics,
    loss weights, labels and masks by name (`Task.keras_loss`).

    Args:
        trunk: a Keras model whose output is N x features. It is not copied: models built on one
            trunk share its weights.
        heads: name of each head -> number of its outputs.

    Raises:
        CourseError: no head, or a trunk whose output is not N x features.
    """
    if not heads:
        raise CourseError("a model needs at least one head.")
    if len(shape := tuple(trunk.output_shape)) != 2:
        raise CourseError(
            f"the trunk must give N x features, not {shape}; end it with GlobalAveragePooling2D."
        )
    outputs = {name: keras.layers.Dense(n, name=name)(trunk.output) for name, n in heads.items()}
    return keras.Model(trunk.input, outputs)
