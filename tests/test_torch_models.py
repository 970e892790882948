"""Networks that take pictures as they are, against torchvision's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import refused

from helpers import torch_models
from helpers.notebook import start
from helpers.torch_models import MultiHead, Preprocessing, resnet18_trunk, small_cnn

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py
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
        start("05", framework="torch", SEED=seed)
        drawn.append(torch.rand(4).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert f"PyTorch {torch.__version__.split('+')[0]} on" in capsys.readouterr().out
