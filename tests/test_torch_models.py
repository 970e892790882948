"""Networks that take pictures as they are, against torchvision's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import refused

from helpers import torch_models, weights
from helpers.data import load_dataset
from helpers.notebook import start
from helpers.torch_models import (
    MultiHead,
    Preprocessing,
    efficientnet_lite0_trunk,
    resnet18_trunk,
    small_cnn,
)
from helpers.training import predict
from helpers.weights import efficientnet_lite0_imagenet

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py
from safetensors.torch import load_file  # isort: skip
from torch import nn  # isort: skip
from torchvision.models import ResNet18_Weights, resnet18  # isort: skip
from torchvision.transforms import v2  # isort: skip

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 33, 40, 3), dtype=np.uint8))


# --- preprocessing -------------------------------------------------------------------------------


def torchvision_way(images: torch.Tensor) -> torch.Tensor:
    official = ResNet18_Weights.IMAGENET1K_V1.transforms()
    steps = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(official.mean, official.std)]
    return v2.Compose(steps)(images.permute(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.int64])
def test_preprocessing_is_torchvisions(dtype: torch.dtype) -> None:
    images = IMAGES.to(dtype)
    before = images.clone()
    found = Preprocessing()(images)
    assert (found.dtype, found.shape) == (torch.float32, (3, 3, 33, 40))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(found, torchvision_way(IMAGES), atol=1e-5)
    assert torch.equal(images, before)


def test_preprocessing_has_nothing_to_learn_or_to_lose() -> None:
    layer = Preprocessing()
    assert not list(layer.parameters()) and not list(layer.buffers()) and not layer.state_dict()
    black, white = (layer(torch.full((1, 1, 1, 3), value))[0, :, 0, 0] for value in (0, 255))
    assert black.tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    assert white.tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    assert layer(IMAGES[:0]).shape == (0, 3, 33, 40)


@pytest.mark.parametrize(
    "shape",
    [(33, 40, 3), (2, 33, 40), (2, 3, 33, 40), (2, 33, 40, 1), (2, 33, 40, 4), (1, 2, 8, 8, 3)],
)
def test_preprocessing_refuses(shape: tuple[int, ...]) -> None:
    with refused(f"images must be N x H x W x 3, not {shape}"):
        Preprocessing()(torch.zeros(shape))


# --- ResNet18 ------------------------------------------------------------------------------------


def test_resnet18_trunk() -> None:
    torch.manual_seed(0)
    trunk = resnet18_trunk()
    assert [name for name, _ in trunk.named_children()] == ["preprocessing", "resnet"]
    assert sum(isinstance(part, nn.BatchNorm2d) for part in trunk.modules()) == 20
    assert sum(p.numel() for p in trunk.parameters()) == 11_176_512
    assert all(p.requires_grad for p in trunk.parameters())
    trunk.eval()
    torch.manual_seed(0)
    official = resnet18(weights=None).eval()
    official.fc = nn.Identity()
    with torch.no_grad():
        found = trunk(IMAGES)
        assert found.shape == (3, 512)
        assert torch.allclose(found, official(torchvision_way(IMAGES)), rtol=1e-4, atol=1e-4)
        assert trunk(IMAGES[:, :32, :32]).shape == (3, 512)


def test_random_weights_follow_the_global_generator() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(resnet18_trunk().resnet.conv1.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("weights", ["caffe", None, True, "ImageNet"])
def test_resnet18_refuses(weights: Any) -> None:
    with refused(f"weights must be 'random' or 'imagenet', not {weights!r}"):
        resnet18_trunk(weights)


def test_imagenet_weights_that_were_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_models, "resnet18_imagenet", lambda: None)
    with refused("run `course fetch` with internet, or use random ones"):
        resnet18_trunk("imagenet")


def test_imagenet_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(7)
    official = resnet18(weights=None)
    torch.save(official.state_dict(), tmp_path / "weights.pth")
    monkeypatch.setattr(torch_models, "resnet18_imagenet", lambda: tmp_path / "weights.pth")
    state = resnet18_trunk("imagenet").resnet.state_dict()
    expected = {name: t for name, t in official.state_dict().items() if not name.startswith("fc.")}
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


# --- EfficientNet-Lite0 --------------------------------------------------------------------------


def original_efficientnet(tensors: list[torch.Tensor], images: torch.Tensor) -> list[torch.Tensor]:
    """Features and logits by the authors' definition: each layer takes the file's next tensors.

    Their convolutions pad as TensorFlow's "SAME" does: what is odd goes to the right and below.
    """
    upcoming = iter(tensors)

    def layer(x: torch.Tensor, stride: int = 1, bend: bool = True) -> torch.Tensor:
        kernel = next(upcoming)
        pads = []
        for length in (x.shape[3], x.shape[2]):
            need = max((-(-length // stride) - 1) * stride + kernel.shape[-1] - length, 0)
            pads += [need // 2, need - need // 2]
        groups = x.shape[1] // kernel.shape[1]
        x = nn.functional.conv2d(nn.functional.pad(x, pads), kernel, stride=stride, groups=groups)
        gain, shift, mean, variance = (next(upcoming)[:, None, None] for _ in range(4))
        x = (x - mean) / (variance + 1e-3).sqrt() * gain + shift
        return x.clamp(0, 6) if bend else x

    x = layer((images.permute(0, 3, 1, 2) - 127.0) / 128, stride=2)
    stages = [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)]  # blocks, first stride
    for stage, (blocks, stride) in enumerate(stages):
        for block in range(blocks):
            wide = layer(x) if stage else x  # the first stage does not widen
            new = layer(layer(wide, 1 if block else stride), bend=False)
            x = x + new if block else new
    features = layer(x).mean((2, 3))
    logits = features @ next(upcoming).T + next(upcoming)
    assert not list(upcoming)
    return [features, logits]


@pytest.fixture(scope="module")
def trunk() -> nn.Sequential:
    return efficientnet_lite0_trunk("imagenet").eval()


@pytest.fixture(scope="module")
def tensors() -> list[torch.Tensor]:
    """Those that `course fetch` brought, in the order of the original file."""
    found = load_file(efficientnet_lite0_imagenet())
    return [found[name] for name in weights._EFFICIENTNET.expected()]


def sample(name: str) -> torch.Tensor:
    """The center of one of scikit-learn's photographs, as ImageNet networks are judged by."""
    photo = Image.fromarray(load_sample_image(name))
    size = (round(256 * photo.width / photo.height), 256)
    wide = np.asarray(photo.resize(size, Image.Resampling.BICUBIC))
    left = (wide.shape[1] - 224) // 2
    return torch.from_numpy(wide[None, 16:240, left : left + 224].copy())


def test_efficientnet_is_the_original(trunk: nn.Module, tensors: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for images in (sample("flower.jpg"), IMAGES):
            expected, _ = original_efficientnet(tensors, images)
            assert expected.std() > 0.1
            assert torch.allclose(trunk(images), expected, rtol=1e-3, atol=1e-4)


def test_efficientnet_knows_what_it_sees(trunk: nn.Module, tensors: list[torch.Tensor]) -> None:
    """Two photographs of scikit-learn's, by the classifier that belongs to the weights."""
    kernel, bias = tensors[-2:]
    for name, number in (("flower.jpg", 985), ("china.jpg", 698)):  # a daisy, a palace
        with torch.no_grad():
            chances = (trunk(sample(name)) @ kernel.T + bias).softmax(dim=1)[0]
        first, second = chances.topk(2).values.tolist()
        assert int(chances.argmax()) == number
        assert first > 2 * second


def test_efficientnet_trunk(trunk: nn.Sequential) -> None:
    torch.manual_seed(0)
    fresh = efficientnet_lite0_trunk()
    for model in (trunk, fresh):
        assert [name for name, _ in model.named_children()] == ["preprocessing", "efficientnet"]
        assert sum(isinstance(part, nn.BatchNorm2d) for part in model.modules()) == 49
        assert sum(p.numel() for p in model.parameters()) == 3_371_008
        assert all(p.requires_grad for p in model.parameters())
        assert model(IMAGES).shape == (3, 1280)
    torch.manual_seed(0)
    again = efficientnet_lite0_trunk()
    for model, same in ((again, True), (efficientnet_lite0_trunk(), False), (trunk, False)):
        ours, theirs = (m.efficientnet.conv_stem.weight for m in (fresh, model))
        assert torch.equal(ours, theirs) == same


def test_efficientnet_preprocessing(trunk: nn.Sequential) -> None:
    grays = torch.tensor([0, 63, 127, 255], dtype=torch.uint8)[None, None, :, None].expand(
        1, 1, 4, 3
    )
    found = trunk.preprocessing(grays)
    assert found.shape == (1, 3, 1, 4)
    for channel in found[0, :, 0]:
        assert channel.tolist() == pytest.approx([-127 / 128, -0.5, 0, 1], abs=1e-6)


def test_efficientnet_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names: list[Any] = ["caffe", None, True, "ImageNet"]
    for name in names:
        with refused(f"weights must be 'random' or 'imagenet', not {name!r}"):
            efficientnet_lite0_trunk(name)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    with refused("EfficientNet-Lite0 are not here yet; run `course fetch` once with internet"):
        efficientnet_lite0_trunk("imagenet")


def test_efficientnet_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*arguments: Any) -> None:
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    efficientnet_lite0_trunk("imagenet")


def test_what_imagenet_is_worth(trunk: nn.Module) -> None:
    """A linear probe on 500 small silhouettes, against the same network with random weights."""
    train, test = (
        load_dataset("animals", split, image_size=64, per_class=50) for split in ("train", "test")
    )
    torch.manual_seed(0)
    scores = {}
    for name, model in {"imagenet": trunk, "random": efficientnet_lite0_trunk()}.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(predict(model, train.images), train.labels)
        scores[name] = probe.score(predict(model, test.images), test.labels)
    assert scores["imagenet"] >= 0.84, scores
    assert scores["random"] <= 0.72, scores


# --- small network and heads ---------------------------------------------------------------------


@pytest.mark.parametrize(("width", "size"), [(4, 8), (4, 33), (16, 32), (1, 9)])
def test_small_cnn(width: int, size: int) -> None:
    model = small_cnn(width)
    assert model(IMAGES[:, :size, :size]).shape == (3, 4 * width)
    assert sum(isinstance(part, nn.BatchNorm2d) for part in model.modules()) == 3
    convolutions = 9 * (3 * width + width * 2 * width + 2 * width * 4 * width)
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * (1 + 2 + 4) * width


def test_multi_head() -> None:
    model = MultiHead(small_cnn(4), 16, {"shape": 2, "color": 5})
    found = model(IMAGES)
    assert {name: tuple(out.shape) for name, out in found.items()} == {
        "shape": (3, 2),
        "color": (3, 5),
    }
    model.eval()
    features = model.trunk(IMAGES)
    for name, out in model(IMAGES).items():
        head = model.heads[name]
        assert torch.allclose(out, features @ head.weight.T + head.bias, atol=1e-6)


def test_a_head_learns_from_its_own_loss_only() -> None:
    model = MultiHead(small_cnn(4), 16, {"shape": 2, "color": 5})
    model(IMAGES)["shape"].square().sum().backward()
    assert all(p.grad is None for p in model.heads["color"].parameters())
    assert all(p.grad.any() for p in model.heads["shape"].parameters())
    assert all(p.grad.any() for p in model.trunk.parameters())


def test_start_seeds_torch(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    for seed in (3, 3, 4):
        start("08", framework="torch", SEED=seed)
        drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert f"PyTorch {torch.__version__.split('+')[0]} on" in capsys.readouterr().out
