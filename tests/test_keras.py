"""VGG16 in Keras against Keras' own, and features of a frozen network against their definition."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import all_refused, none_fails, refused

from helpers import features  # `helpers` before Keras, see helpers/__init__.py
from helpers.features import extract_features, fold
from helpers.keras_models import VGG16Preprocessing, multi_head, vgg16_backbone
from helpers.notebook import start
from helpers.tasks import Task, masked_mean
from helpers.weights import vgg16_imagenet

import keras  # isort: skip
from safetensors.numpy import load_file  # isort: skip

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def imagenet() -> Any:
    return vgg16_backbone(32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- the backbone --------------------------------------------------------------------------------


def test_equals_keras_applications(imagenet: Any) -> None:
    reference = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    tensors = load_file(vgg16_imagenet())
    for layer in reference.layers:
        if layer.weights:
            layer.set_weights([tensors[f"{layer.name}.kernel"], tensors[f"{layer.name}.bias"]])
    inputs = keras.applications.vgg16.preprocess_input(IMAGES.astype("float32"))
    expected = reference.predict_on_batch(inputs)
    assert expected.shape == (5, 1, 1, 512)
    assert expected.std() > 1
    for images in (IMAGES, IMAGES.astype("float32")):
        assert np.allclose(imagenet.predict_on_batch(images), expected, rtol=1e-4, atol=1e-3)
    names = [layer.name for layer in reference.layers]
    assert [layer.name for layer in imagenet.layers][2:] == names[1:]
    assert [layer.name for layer in imagenet.layers][:2] == ["rgb_0_to_255", "preprocessing"]


def test_preprocessing_layer_is_keras_function() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 7, 5, 3)).astype("float32")
    expected = keras.applications.vgg16.preprocess_input(images.copy())
    assert np.allclose(VGG16Preprocessing()(images), expected, atol=1e-4)


def test_open_size(imagenet: Any) -> None:
    anything = vgg16_backbone(None)
    assert anything.predict_on_batch(IMAGES) == pytest.approx(
        imagenet.predict_on_batch(IMAGES), abs=1e-3
    )
    assert anything.predict_on_batch(np.zeros((1, 64, 96, 3), np.uint8)).shape == (1, 2, 3, 512)


def test_random_weights() -> None:
    one, again, other = (vgg16_backbone(32, "random", seed) for seed in (1, 1, 2))
    for a, b, c in zip(*(model.get_weights() for model in (one, again, other)), strict=True):
        assert np.array_equal(a, b)
        if a.ndim == 4:
            assert not np.array_equal(a, c)
            limit = np.sqrt(6 / np.prod(a.shape[:3]))
            assert np.abs(a).max() <= limit
            assert a.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
        else:
            assert not a.any()
    output = one.predict_on_batch(IMAGES)
    assert 1 < output.max() < 1000  # the signal neither dies nor explodes


def test_saved_model_brings_its_preprocessing(tmp_path: Path) -> None:
    images = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(2, 3)(VGG16Preprocessing()(images))
    model = keras.Model(images, features)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(IMAGES[:, :8, :8]), model(IMAGES[:, :8, :8]))
    assert any(isinstance(layer, VGG16Preprocessing) for layer in loaded.layers)


def test_backbone_refuses() -> None:
    cases: list[tuple[Any, str]] = [
        ((31,), "needs 32 pixels or more, not 31"),
        ((0,), "not 0"),
        ((32, "caffe"), "weights must be 'imagenet' or 'random', not 'caffe'"),
        ((32, None), "not None"),
    ]
    all_refused((lambda a=a: vgg16_backbone(*a), match) for a, match in cases)


def test_backbone_without_weights(cache: Path) -> None:
    with refused("run `course fetch` once with internet"):
        vgg16_backbone(32)


# --- several heads -------------------------------------------------------------------------------

HEADS = {"species": 4, "parts": 3, "area": 1}
TASKS = [
    Task("species", "multiclass", 4),
    Task("parts", "multilabel", 3),
    Task("area", "regression", 1),
]


def small_trunk() -> Any:
    numbers = keras.Input((5,), name="numbers")
    return keras.Model(numbers, keras.layers.Dense(6, activation="relu", name="shared")(numbers))


def partly_labeled() -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    labels: dict[str, np.ndarray] = {
        "species": rng.integers(0, 4, 8),
        "parts": rng.integers(0, 2, (8, 3)),
        "area": rng.normal(size=8).astype(np.float32),
    }
    masks = {name: (np.arange(8) % (place + 2) == 0) for place, name in enumerate(labels)}
    return rng.normal(size=(8, 5)).astype(np.float32), labels, masks


def test_multi_head_has_named_heads_on_one_trunk() -> None:
    trunk = small_trunk()
    model, second = multi_head(trunk, HEADS), multi_head(trunk, {"other": 2})
    x, _, _ = partly_labeled()
    outputs = model(x)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        name: (8, size) for name, size in HEADS.items()
    }
    kernel, bias = model.get_layer("parts").get_weights()
    assert np.allclose(outputs["parts"], np.asarray(trunk(x)) @ kernel + bias, atol=1e-5)
    assert model.count_params() == trunk.count_params() + 7 * (4 + 3 + 1)
    assert second.get_layer("shared") is model.get_layer("shared")


def test_keras_loss_is_the_masked_mean() -> None:
    x, labels, masks = partly_labeled()
    model = multi_head(small_trunk(), HEADS)
    outputs = {name: np.asarray(value, float) for name, value in model(x).items()}
    log_p = outputs["species"] - np.log(np.exp(outputs["species"]).sum(1, keepdims=True))
    z, y = outputs["parts"], labels["parts"]
    of_each = {
        "species": -log_p[np.arange(8), labels["species"]],
        "parts": (np.log1p(np.exp(z)) - y * z).mean(axis=1),
        "area": (outputs["area"][:, 0] - labels["area"]) ** 2,
    }
    for task in TASKS:
        loss, name = task.keras_loss(), task.name
        found = loss(labels[name], model(x)[name], sample_weight=masks[name].astype("float32"))
        assert float(found) == pytest.approx(masked_mean(of_each[name], masks[name]), rel=1e-4)
        assert float(loss(labels[name], model(x)[name])) == pytest.approx(
            of_each[name].mean(), 1e-4
        )
        nobody = np.zeros(8, "float32")
        assert float(loss(labels[name], model(x)[name], sample_weight=nobody)) == 0


def test_fit_by_name_with_masks_and_weights() -> None:
    x, labels, masks = partly_labeled()
    weights = {name: mask.astype("float32") for name, mask in masks.items()}
    model = multi_head(small_trunk(), HEADS)
    model.compile(
        "sgd",
        {task.name: task.keras_loss() for task in TASKS},
        loss_weights={"species": 1.0, "parts": 2.0, "area": 0.5},
        weighted_metrics={"species": ["accuracy"]},
    )
    logs = model.evaluate(x, labels, sample_weight=weights, return_dict=True, verbose=0)
    total = logs["species_loss"] + 2 * logs["parts_loss"] + 0.5 * logs["area_loss"]
    assert logs["loss"] == pytest.approx(total, rel=1e-4)
    guessed = np.asarray(model(x)["species"]).argmax(axis=1)
    right = (guessed == labels["species"])[masks["species"]].mean()
    assert logs["species_accuracy"] == pytest.approx(right)

    before = {name: model.get_layer(name).kernel.numpy() for name in [*HEADS, "shared"]}
    weights["parts"][:] = 0  # nobody is labeled for this task
    model.fit(x, labels, sample_weight=weights, verbose=0)
    moved = {name: np.abs(model.get_layer(name).kernel.numpy() - old).max()
             for name, old in before.items()}  # fmt: skip
    assert moved["parts"] == 0
    assert min(moved["species"], moved["area"], moved["shared"]) > 0


def test_multi_head_refuses() -> None:
    with refused("at least one head"):
        multi_head(small_trunk(), {})
    with refused("must give N x features, not (None, 6, 6, 4)"):
        multi_head(small_model(), {"species": 3})


# --- features ------------------------------------------------------------------------------------


def test_features_are_averages_of_maps(
    imagenet: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "BATCH_SIZE", 2)  # the last of three batches is smaller
    found = extract_features(imagenet, IMAGES, ("block2_pool", "block5_pool"))
    assert list(found) == ["block2_pool", "block5_pool"]
    for name, values in found.items():
        model = keras.Model(imagenet.inputs, imagenet.get_layer(name).output)
        expected = model.predict_on_batch(IMAGES).mean(axis=(1, 2))
        assert values.dtype == np.float32
        assert values.shape == expected.shape
        assert np.allclose(values, expected, rtol=1e-4, atol=1e-3)


def small_model(mean: float = 0.0) -> Any:
    """A network with its preprocessing that is built in no time, always with the same weights."""
    images = keras.Input((8, 8, 3), name="images")
    scaled = keras.layers.Rescaling(1.0, offset=-mean, name="preprocessing")(images)
    maps = keras.layers.Conv2D(4, 3, name="maps", kernel_initializer="ones")(scaled)
    return keras.Model(images, keras.layers.ReLU(name="relu")(maps), name="small")


def bumped() -> Any:
    model = small_model()
    kernel, bias = model.get_layer("maps").get_weights()
    bias[-1] += 1e-6
    model.get_layer("maps").set_weights([kernel, bias])
    return model


def compiled() -> Any:
    model = small_model()
    model.compile("adam", "mse")
    return model


SMALL = IMAGES[:, :8, :8].copy()
OTHER = SMALL.copy()
OTHER[-1, -1, -1, -1] ^= 1


@pytest.fixture
def computed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that features were really computed."""
    times: list[str] = []
    compute = features._compute

    def counted(*arguments: Any) -> Any:
        times.append("computed")
        return compute(*arguments)

    monkeypatch.setattr(features, "_compute", counted)
    return times


def test_what_is_cached(computed: list[str]) -> None:
    extract_features(small_model(), SMALL, ("relu",))
    assert len(computed) == 1
    cases: dict[str, tuple[Callable[[], Any], bool]] = {
        "same": (lambda: extract_features(small_model(), SMALL, ("relu",)), False),
        "compiled": (lambda: extract_features(compiled(), SMALL, ("relu",)), False),
        "weight": (lambda: extract_features(bumped(), SMALL, ("relu",)), True),
        "preprocessing": (lambda: extract_features(small_model(mean=1.0), SMALL, ("relu",)), True),
        "layer": (lambda: extract_features(small_model(), SMALL, ("maps",)), True),
        "more": (lambda: extract_features(small_model(), SMALL, ("maps", "relu")), True),
        "pixel": (lambda: extract_features(small_model(), OTHER, ("relu",)), True),
        "order": (lambda: extract_features(small_model(), SMALL[::-1], ("relu",)), True),
        "refresh": (lambda: extract_features(small_model(), SMALL, ("relu",), refresh=True), True),
    }

    def check(change: Callable[[], Any], again: bool) -> None:
        before = len(computed)
        change()
        assert len(computed) == before + again

    none_fails((name, lambda case=case: check(*case)) for name, case in cases.items())


def test_damaged_features_are_computed_again(cache: Path, computed: list[str]) -> None:
    first = extract_features(small_model(), SMALL, ("relu",))
    (path,) = cache.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[content.index(first["relu"].tobytes())] ^= 1
    path.write_bytes(content)
    second = extract_features(small_model(), SMALL, ("relu",))
    assert len(computed) == 2
    assert np.array_equal(first["relu"], second["relu"])


def test_features_refuse(computed: list[str]) -> None:
    cases: list[tuple[np.ndarray, str, str]] = [
        (SMALL / 255, "relu", "images must be uint8 RGB"),
        (SMALL.astype(np.int64), "relu", "not int64 (5, 8, 8, 3)"),
        (SMALL[0], "relu", "not uint8 (8, 8, 3)"),
        (SMALL[..., 0], "relu", "not uint8 (5, 8, 8)"),
        (SMALL[..., :1], "relu", "not uint8 (5, 8, 8, 1)"),
        (SMALL.transpose(0, 3, 1, 2), "relu", "not uint8 (5, 3, 8, 8)"),
        (SMALL[:0], "relu", "at least one"),
        (IMAGES, "relu", "made for images of 8 x 8 pixels, but these have 32 x 32"),
        (SMALL, "block5_pool", "no layer 'block5_pool'; it has images, preprocessing, maps"),
    ]
    all_refused(
        (lambda images=images, layer=layer: extract_features(small_model(), images, [layer]), match)
        for images, layer, match in cases
    )
    assert not computed


def test_start_seeds_keras(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    for seed in (3, 3, 4):
        start("03", framework="keras", SEED=seed)
        drawn.append(np.asarray(keras.random.uniform((4,))).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert f"Keras {keras.__version__} on TensorFlow" in capsys.readouterr().out


def test_folded_probe_gives_the_probabilities_of_scikit_learn() -> None:
    from scipy.special import softmax
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    features = rng.normal(100, 30, (60, 7))
    for classes in (2, 3):
        labels = np.arange(60) % classes
        probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
        kernel, bias = fold(probe)
        assert kernel.shape == (7, classes)
        assert bias.shape == (classes,)
        folded = softmax(features @ kernel + bias, axis=1)
        np.testing.assert_allclose(folded, probe.predict_proba(features), atol=1e-5)
