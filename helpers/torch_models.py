"""Networks in PyTorch: a trunk that takes pictures as they are, and named heads."""

from collections.abc import Mapping, Sequence

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet18

from helpers.base.errors import CourseError
from helpers.weights import efficientnet_lite0_imagenet, resnet18_imagenet

# What torchvision's ImageNet networks were trained on (its documentation of ResNet18_Weights).
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Preprocessing(nn.Module):
    """RGB pictures from 0 to 255 (uint8 or float, N x H x W x 3) to what ImageNet networks take.

    The result is float32, N x 3 x H x W, divided by 255, minus `mean`, divided by `deviation`, by
    default those of ImageNet. Without parameters and buffers, so it can be neither trained nor
    forgotten. The memory stays as it was, colors last, which convolutions on a CPU are faster with.
    """

    def __init__(
        self, mean: Sequence[float] = MEAN, deviation: Sequence[float] = DEVIATION
    ) -> None:
        super().__init__()
        self.scale = (mean, deviation)

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[-1] != 3:
            raise CourseError(f"images must be N x H x W x 3, not {tuple(images.shape)}.")
        mean, deviation = (images.new_tensor(v, dtype=torch.float32) for v in self.scale)
        return ((images.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


def resnet18_trunk(weights: str = "random") -> nn.Sequential:
    """ResNet18 (He et al. 2016) without its head: N x H x W x 3, 0 to 255, to N x 512 features.

    The modules are ``preprocessing`` and ``resnet``, torchvision's network with an identity in
    place of ``fc``. It halves the image five times; any size from 32 pixels up makes sense.

    Args:
        weights: ``"random"`` (of torch's global generator) or ``"imagenet"``.

    Raises:
        CourseError: other `weights`, or ImageNet weights that were not fetched.
    """
    if weights not in ("random", "imagenet"):
        raise CourseError(f"weights must be 'random' or 'imagenet', not {weights!r}.")
    network = resnet18(weights=None)
    if weights == "imagenet":
        path = resnet18_imagenet()
        if path is None:
            raise CourseError(
                "the ImageNet weights of ResNet18 are not here; run `course fetch` with internet, "
                "or use random ones."
            )
        network.load_state_dict(torch.load(path, weights_only=True))
    network.fc = nn.Identity()
    trunk = nn.Sequential()
    trunk.add_module("preprocessing", Preprocessing())
    trunk.add_module("resnet", network)
    return trunk


def small_cnn(width: int = 16) -> nn.Sequential:
    """Three convolutions with BatchNorm, for quick experiments: N x H x W x 3 to N x (4 width).

    Each halves the image; the average over positions at the end accepts any size from 8 pixels up.
    """
    trunk = nn.Sequential()
    trunk.add_module("preprocessing", Preprocessing())
    channels = 3
    for number in (1, 2, 3):
        out = width * 2 ** (number - 1)
        trunk.add_module(f"conv{number}", nn.Conv2d(channels, out, 3, padding=1, bias=False))
        trunk.add_module(f"bn{number}", nn.BatchNorm2d(out))
        trunk.add_module(f"relu{number}", nn.ReLU())
        trunk.add_module(f"pool{number}", nn.MaxPool2d(2))
        channels = out
    trunk.add_module("average", nn.AdaptiveAvgPool2d(1))
    trunk.add_module("flatten", nn.Flatten())
    return trunk


def small_multi_head(heads: Mapping[str, int], *, width: int, seed: int) -> "MultiHead":
    """A network for quick multi-task experiments on 28 x 28 pictures, with weights made by `seed`.

    Three convolutions (``width``, ``2 width`` and ``4 width`` channels) and a linear layer, each
    with BatchNorm and ReLU, give ``4 width`` features to one linear head per task.

    Args:
        heads: name of each head -> number of its outputs.
        width: channels of the first convolution.
        seed: of torch's global generator, which is left behind in the state after the weights.
    """
    torch.manual_seed(seed)
    layers: list[nn.Module] = [Preprocessing()]
    layers += [nn.Conv2d(3, width, 5, stride=2, padding=2, bias=False)]  # 28 -> 14
    layers += [nn.BatchNorm2d(width), nn.ReLU()]
    for inputs in (width, 2 * width):  # 14 -> 7 -> 3
        layers += [nn.Conv2d(inputs, 2 * inputs, 3, padding=1, bias=False), nn.MaxPool2d(2)]
        layers += [nn.BatchNorm2d(2 * inputs), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(4 * width * 3 * 3, 4 * width, bias=False)]
    layers += [nn.BatchNorm1d(4 * width), nn.ReLU()]
    model = MultiHead(nn.Sequential(*layers), 4 * width, heads)
    return model.to(memory_format=torch.channels_last)  # faster on a CPU


class MultiHead(nn.Module):
    """One trunk and one linear head per label set.

    Args:
        trunk: images to N x `features` numbers.
        features: how many.
        heads: name of each head -> number of its outputs.

    ``model(images)`` gives a dictionary, name of the head -> outputs (N x number); the features
    themselves are ``model.trunk(images)``.
    """

    def __init__(self, trunk: nn.Module, features: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleDict({name: nn.Linear(features, n) for name, n in heads.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.trunk(images)
        return {name: head(features) for name, head in self.heads.items()}


def efficientnet_lite0_trunk(weights: str = "random") -> nn.Sequential:
    """EfficientNet-Lite0 without its head: N x H x W x 3, 0 to 255, to N x 1280 features.

    EfficientNet (Tan & Le 2019) in the form its authors gave it for small machines (2020): no
    squeeze-and-excitation, ReLU6; 3.4 million parameters, 49 BatchNorm layers. The modules are
    ``preprocessing``, which takes (x - 127) / 128, and ``efficientnet``, timm's network. It halves
    the image five times; any size from 32 pixels up makes sense.

    Args:
        weights: ``"random"`` (of torch's global generator) or ``"imagenet"``.

    Raises:
        CourseError: other `weights`, or ImageNet weights that were not fetched.
    """
    if weights not in ("random", "imagenet"):
        raise CourseError(f"weights must be 'random' or 'imagenet', not {weights!r}.")
    import timm  # slow

    # Not timm's `efficientnet_lite0`, which pads the images in another way.
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights == "imagenet":
        # On top of its own state, which counts the batches of BatchNorm as well.
        tensors = load_file(efficientnet_lite0_imagenet())
        network.load_state_dict({**network.state_dict(), **tensors})
    network.reset_classifier(0)  # type: ignore[operator]
    trunk = nn.Sequential()
    trunk.add_module("preprocessing", Preprocessing([127 / 255] * 3, [128 / 255] * 3))
    trunk.add_module("efficientnet", network)
    return trunk
