"""Data sets: what they hold, honest splits, nested subsets, and every kind of bad folder."""

import gzip
import hashlib
import io
import os
import pickle
import shutil
import sys
from collections import Counter
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import refused

from helpers.base.paths import ROOT
from helpers.data import (
    SPLITS,
    ImageDataset,
    check_dataset,
    class_counts,
    dataset_status,
    drawings,
    fetch_dataset,
    fetched,
    load_dataset,
    make_textured,
    photographs,
    resize,
)

SIZES = {"animals": (10_000, 28), "textured": (10_000, 28), "digits": (1797, 8)}
each_set = pytest.mark.parametrize("name", SIZES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; fetched data sets are forgotten."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    fetched.pets.cache_clear()
    fetched.cifar10.cache_clear()
    return tmp_path / "cache"


def contents(dataset: ImageDataset) -> Counter[bytes]:
    return Counter(image.tobytes() for image in dataset.images)


def same(a: ImageDataset, b: ImageDataset) -> bool:
    return all(
        np.array_equal(x, y)
        for x, y in [
            (a.images, b.images),
            (a.labels, b.labels),
            *((a.factors[key], b.factors[key]) for key in a.factors),
        ]
    )


# --- animals, textured, digits -------------------------------------------------------------------


@each_set
@pytest.mark.parametrize("image_size", [None, 20])
def test_what_a_data_set_holds(name: str, image_size: int | None) -> None:
    dataset = load_dataset(name, "val", image_size=image_size)
    side = image_size or SIZES[name][1]
    count = len(dataset)
    assert dataset.images.shape == (count, side, side, 3)
    assert dataset.images.dtype == np.uint8
    assert dataset.images.max() > 200
    assert dataset.labels.shape == (count,)
    assert dataset.labels.dtype == np.int64
    assert set(dataset.labels) == set(range(10)) == set(range(len(dataset.class_names)))
    for key, values in dataset.factors.items():
        assert len(values) == count
        if key in dataset.factor_names:
            assert values.dtype == np.int64
            names = dataset.factor_names[key]
            assert values.max() < len(names) if values.ndim == 1 else values.shape[1] == len(names)
        else:
            assert values.dtype == np.float32
            assert 0 < values.min()
            assert values.max() <= 1


def test_factors_say_what_they_should() -> None:
    animals = load_dataset("animals", "test", per_class=3)
    assert animals.factors.keys() == {"group", "attributes", "area"}
    assert load_dataset("textured", "test", per_class=3).factors.keys() == {
        *("group", "attributes", "area", "colour", "background", "scale")
    }
    assert load_dataset("digits", "test").factors == {}
    cow = animals.class_names.index("cow")
    first = {key: values[animals.labels == cow][0] for key, values in animals.factors.items()}
    assert animals.factor_names["group"][first["group"]] == "farm"
    attributes = animals.factor_names["attributes"]
    cow_has = {name for name, has in zip(attributes, first["attributes"], strict=True) if has}
    assert {"hooves", "domesticated"} <= cow_has
    assert not {"wings", "trunk", "stripes"} & cow_has
    image = animals.images[animals.labels == cow][0]
    assert 0.5 < (image[..., 0] > 40).mean() / first["area"] <= 1  # holes are filled


@each_set
def test_splits_are_disjoint_and_make_up_everything(name: str) -> None:
    base = "animals" if name == "textured" else name  # it moves the silhouettes; they decide
    parts = [contents(load_dataset(base, split)) for split in SPLITS]
    assert sum(sum(part.values()) for part in parts) == SIZES[name][0]
    assert sum(sum(class_counts(name, split).values()) for split in SPLITS) == SIZES[name][0]
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])
    assert 0.65 < sum(parts[0].values()) / SIZES[name][0] < 0.75


def test_duplicates_of_animals_stay_together() -> None:
    parts = [contents(load_dataset("animals", split)) for split in SPLITS]
    assert sum(sum(part.values()) - len(part) for part in parts) == 284


@pytest.mark.parametrize(
    ("name", "counts", "test_split"),
    [
        ("animals", [7018, 1531, 1451], "9d3bac05249036d5"),
        ("digits", [1319, 245, 233], "8a2a1d2129c52dfc"),
    ],
)
def test_splits_never_change(name: str, counts: list[int], test_split: str) -> None:
    """Numbers from different versions of the course can only be compared on the same splits."""
    assert [sum(class_counts(name, split).values()) for split in SPLITS] == counts
    images = sorted(contents(load_dataset(name, "test")).elements())
    assert hashlib.sha256(b"".join(images)).hexdigest()[:16] == test_split


@each_set
def test_seed_orders_but_does_not_split(name: str) -> None:
    one, again, other = (load_dataset(name, "val", seed=seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert contents(one) == contents(other)
    assert not np.array_equal(one.images, other.images)
    few, others = (load_dataset(name, "val", per_class=5, seed=seed) for seed in (1, 2))
    assert contents(few) != contents(others)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 110), st.integers(1, 110)).map(sorted),
    seed=st.integers(0, 2**31 - 1),
)
def test_subsets_are_nested_and_balanced(sizes: list[int], seed: int) -> None:
    small, large = (load_dataset("digits", "train", per_class=n, seed=seed) for n in sizes)
    assert set(Counter(large.labels.tolist()).values()) == {sizes[1]}
    assert contents(small) <= contents(large)
    for label in range(10):  # and in the same order
        of_class = [part.images[part.labels == label] for part in (small, large)]
        assert np.array_equal(of_class[0], of_class[1][: sizes[0]])


def test_twenty_of_fifty_animals() -> None:
    twenty, fifty = (load_dataset("animals", "train", per_class=n) for n in (20, 50))
    assert len(twenty) == 200
    assert contents(twenty) <= contents(fifty)


def test_textured_follows_animals() -> None:
    animals, textured = (
        load_dataset(name, "test", per_class=30, seed=4) for name in ("animals", "textured")
    )
    assert np.array_equal(animals.labels, textured.labels)
    for key in ("group", "attributes"):
        assert np.array_equal(animals.factors[key], textured.factors[key])
    scale = textured.factors["scale"]
    assert 0.7 <= scale.min() < 0.75 < 0.95 < scale.max() <= 1
    assert np.allclose(textured.factors["area"], animals.factors["area"] * scale**2)
    assert not np.array_equal(animals.images, textured.images)


def test_textured_is_deterministic_and_true_to_its_factors() -> None:
    white = np.full((60, 28, 28), 255, np.uint8)  # the figure fills its square
    images, factors = make_textured(white)
    again, _ = make_textured(white)
    other, _ = make_textured(white, seed=1)
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)
    full = factors["scale"] > 27.5 / 28  # all of the picture is figure: tint over a dark negative
    assert full.any()
    palette = np.array(list(drawings.COLOURS.values()))
    for image, colour in zip(images[full], factors["colour"][full], strict=True):
        assert (image >= palette[colour] // 2).all()
    black = np.zeros((60, 28, 28), np.uint8)
    patches, _ = make_textured(black)
    photos = [patches[factors["background"] == k].mean(axis=(0, 1, 2)) for k in (0, 1)]
    assert np.abs(photos[0] - photos[1]).max() > 20


@each_set
def test_changing_a_result_changes_no_later_one(name: str) -> None:
    first = load_dataset(name, "val", per_class=2)
    expected = first.images.copy()
    first.images[:] = 0
    first.labels[:] = -1
    again = load_dataset(name, "val", per_class=2)
    assert np.array_equal(again.images, expected)
    assert again.labels.min() >= 0


@pytest.mark.parametrize("image_size", [None, 28, 7, 56])
def test_resize_leaves_its_input_alone(image_size: int | None) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), dtype=np.uint8)
    before = images.copy()
    resized = resize(images, image_size)
    side = image_size or 28
    assert resized.shape == (3, side, side, 3)
    assert resized.mean() == pytest.approx(images.mean(), abs=3)
    resized[:] = 0
    assert np.array_equal(images, before)


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (("animal", "val"), {}, "did you mean 'animals'?"),
        (("cats", "val"), {}, "there is no data set 'cats'"),
        (("", "val"), {}, "there is no data set ''"),
        (("animals", "dev"), {}, "split must be 'train', 'val' or 'test', not 'dev'"),
        (("animals", "val"), {"image_size": 0}, "image_size must be 1 pixel or more, not 0"),
        (("animals", "val"), {"per_class": 0}, "per_class must be 1 or more"),
        (("animals", "val"), {"per_class": -5}, "not -5"),
        (("animals", "val"), {"per_class": 500}, "but per_class=500 was asked for"),
        (("pets", "val"), {}, "run `course fetch pets`"),
        (("cifar10", "val"), {}, "run `course fetch cifar10`"),
        (("folder:no/such", "val"), {}, "there is no folder 'no/such'"),
        (("folder:~nobody-of-this-name", "val"), {}, "there is no folder"),
        (("folder:" + "long" * 100, "val"), {}, "there is no folder"),
        (("folder:\0", "val"), {}, "there is no folder"),
    ],
)
def test_bad_requests_end_in_a_sentence(arguments: Any, options: Any, match: str) -> None:
    with refused(match):
        load_dataset(*arguments, **options)


def test_status() -> None:
    assert dataset_status("animals") == (True, "10000 images, 10 classes")
    present, sentence = dataset_status("pets")
    assert not present
    assert "has not been fetched" in sentence


# --- pickles -------------------------------------------------------------------------------------


def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "pwned"),)

    for content in (Evil(), [np.arange(3), Evil()], np.array([Evil()], object)):
        with pytest.raises(pickle.UnpicklingError, match="refusing to load"):
            drawings._unpickle_array(io.BytesIO(pickle.dumps(content)))
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(pickle.UnpicklingError):
        drawings._unpickle_array(io.BytesIO(pickle.dumps({"not": "an array"})))
    array = np.arange(6).reshape(2, 3)
    assert np.array_equal(drawings._unpickle_array(io.BytesIO(pickle.dumps(array))), array)


def damage(content: bytes, how: str) -> bytes:
    if how == "one bit":  # deep in the picture data, where pickle cannot notice it
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "no array":
        return gzip.compress(pickle.dumps([1, 2]))
    return b"<html>"


@pytest.mark.parametrize("how", ["one bit", "truncated", "no array", "html"])
def test_damaged_package_is_noticed(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "Animal_MNIST"
    shutil.copytree(files("animal_mnist").joinpath("data", "Animal_MNIST"), folder)  # type: ignore[arg-type]
    path = folder / "animal_data_version_3.gz"
    path.write_bytes(damage(path.read_bytes(), how))
    monkeypatch.setattr(drawings, "files", lambda package: tmp_path)
    with refused("the package animal-mnist 0.4 is missing or damaged"):
        drawings._silhouettes.__wrapped__()


def test_missing_package_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "animal_mnist", None)
    with refused("run `pip install --force-reinstall --no-deps animal-mnist==0.4`"):
        drawings._silhouettes.__wrapped__()


# --- folders of photographs ----------------------------------------------------------------------


def photograph(path: Path, seed: int) -> Path:
    """A small picture of its own at `path`; BMP, whose bytes are the same everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def fill(folder: Path, classes: tuple[str, ...] = ("ants", "bees"), count: int = 30) -> Path:
    """`count` pictures per class below `folder`."""
    start = sum(map(ord, folder.name)) * 1000
    for k, name in enumerate(classes):
        for i in range(count):
            photograph(folder / name / f"{i:03}.bmp", start + 100 * k + i)
    return folder


def load_all(folder: Path) -> dict[str, ImageDataset]:
    return {split: load_dataset(f"folder:{folder}", split, image_size=8) for split in SPLITS}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos")


def test_flat_folder(photos: Path) -> None:
    check_dataset(f"folder:{photos}")
    parts = load_all(photos)
    assert parts["train"].class_names == ("ants", "bees")
    assert sum(map(len, parts.values())) == 60
    assert len(sum(map(contents, parts.values()), Counter())) == 60
    assert parts["val"].images.dtype == np.uint8
    assert parts["val"].labels.dtype == np.int64
    assert load_dataset(f"folder:{photos}", "val").images.shape[1:] == (224, 224, 3)


@pytest.mark.parametrize(
    "filed", [("train",), ("train", "val"), ("train", "test"), ("train", "val", "test")]
)
def test_folder_already_split(tmp_path: Path, filed: tuple[str, ...]) -> None:
    for name in filed:
        fill(tmp_path / "photos" / name, count=40 if name == "train" else 10)
    check_dataset(f"folder:{tmp_path / 'photos'}")
    parts = load_all(tmp_path / "photos")
    total = 80 + 20 * (len(filed) - 1)
    assert sum(map(len, parts.values())) == total
    assert len(sum(map(contents, parts.values()), Counter())) == total
    if len(filed) > 1:
        assert len(parts["test"]) == 20  # val/ when there is no test/: it was set aside
    assert len(parts["train"]) == 80 if len(filed) == 3 else 45 < len(parts["train"]) < 80


@pytest.mark.parametrize("split", ["val", "test"])
def test_picture_filed_twice_leaves_training(tmp_path: Path, split: str) -> None:
    root = tmp_path / "photos"
    for name in SPLITS:
        fill(root / name, count=10)
    leaked = root / "train" / "ants" / "003.bmp"
    shutil.copy(leaked, root / split / "ants" / "another name.bmp")
    parts = load_all(root)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 19,
        "val": 20 + (split == "val"),
        "test": 20 + (split == "test"),
    }
    assert max(sum(map(contents, parts.values()), Counter()).values()) == 1


def test_copies_under_other_names_stay_together(photos: Path) -> None:
    for path in list(photos.rglob("*.bmp")):
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    parts = [contents(part) for part in load_all(photos).values()]
    assert sum(sum(part.values()) for part in parts) == 120
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])


def test_names_do_not_matter_for_the_splits(photos: Path) -> None:
    before = load_all(photos)
    for place, path in enumerate(sorted(photos.rglob("*.bmp"), reverse=True)):
        path.rename(path.with_name(f"{place}.bmp"))
    assert all(same(before[split], after) for split, after in load_all(photos).items())


def test_relative_path(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = load_dataset("folder:photos", "val", image_size=8)
    assert same(here, load_dataset(f"folder:{photos}", "val", image_size=8))
    monkeypatch.setattr(photographs, "ROOT", tmp_path)  # seen from the course's own folder
    monkeypatch.chdir(ROOT)
    assert same(here, load_dataset("folder:photos", "val", image_size=8))


def test_what_is_no_photograph_is_left_out(photos: Path) -> None:
    before = load_all(photos)
    for name in ("notes.txt", "ants/Thumbs.db", "ants/.DS_Store", "ants/._000.jpg", "bees/x.csv"):
        (photos / name).write_bytes(b"no picture")
    photograph(photos / ".ipynb_checkpoints" / "000.bmp", 1)
    photograph(photos / "ants" / ".hidden" / "000.bmp", 2)
    (photos / "ants" / "folder.jpg").mkdir()
    check_dataset(f"folder:{photos}")
    assert all(same(before[split], after) for split, after in load_all(photos).items())


def test_nested_folders_and_unicode_names(tmp_path: Path) -> None:
    root = fill(tmp_path / "图片 ü", ("猫", "chien d'été"))
    (root / "猫" / "2024").mkdir()
    (root / "猫" / "000.bmp").rename(root / "猫" / "2024" / "日本.BMP")
    parts = load_all(root)
    assert parts["train"].class_names == ("chien d'été", "猫")
    assert sum(map(len, parts.values())) == 60


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("mode", "suffix", "value", "expected"),
    [
        ("L", "png", 128, (128, 128, 128)),
        ("L", "jpg", 128, (128, 128, 128)),
        ("1", "png", 1, (255, 255, 255)),
        ("LA", "png", (90, 255), (90, 90, 90)),
        ("RGBA", "png", (10, 200, 30, 255), (10, 200, 30)),
        ("RGBA", "webp", (10, 200, 30, 255), (10, 200, 30)),
        ("CMYK", "jpg", (0, 255, 255, 0), (255, 0, 0)),
        ("CMYK", "tif", (0, 255, 255, 0), (255, 0, 0)),
        ("I;16", "png", 0x8000, (128, 128, 128)),
        ("I;16", "tif", 0x8000, (128, 128, 128)),
        ("RGB", "gif", (255, 0, 0), (255, 0, 0)),
    ],
)
def test_every_kind_of_picture(
    mode: str, suffix: str, value: Any, expected: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.new(mode, (30, 20), value).save(path)
    (image,) = photographs._decode([path], 8)
    assert np.allclose(image, expected, atol=6)


@pytest.mark.filterwarnings("error")
def test_transparent_palette(tmp_path: Path) -> None:
    image = Image.new("P", (30, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(tmp_path / "picture.png", transparency=bytes([0, 255]))
    assert np.array_equal(
        photographs._decode([tmp_path / "picture.png"], 1)[0, 0, 0], [10, 200, 30]
    )


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))],
)
def test_photographs_stand_upright(
    orientation: int, corner: tuple[int, int], tmp_path: Path
) -> None:
    """Cameras store pictures lying down, and in EXIF how they were held."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "picture.jpg", exif=exif, quality=95)
    (image,) = photographs._decode([tmp_path / "picture.jpg"], 16)
    assert image[corner].min() > 240
    assert (image > 128).mean() == pytest.approx(0.25, abs=0.05)


def test_centre_square_is_used(tmp_path: Path) -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, 30:90] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (photographs._decode([tmp_path / "wide.png"], 10) == 200).all()


def bomb() -> bytes:
    """A bitmap of a few bytes that claims 60,000 x 60,000 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "BMP")
    content = bytearray(buffer.getvalue())
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", bomb()])
def test_unreadable_picture_is_named(photos: Path, content: bytes, cache: Path) -> None:
    for path in (photos / "bees").glob("*.bmp"):
        path.write_bytes(content + path.name.encode() * (not content.startswith(b"BM")))
    with refused("the image bees/000.bmp cannot be read; repair or remove the file"):
        check_dataset(f"folder:{photos}")
    with refused("cannot be read"):
        load_all(photos)
    assert not list(cache.rglob("*.npz"))


def test_truncated_photograph_is_named(tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8))
    photo.save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    with refused("/half.jpg cannot be read"):
        photographs._decode([tmp_path / "whole.jpg", tmp_path / "half.jpg"], 16)


def test_changed_picture_is_decoded_again(photos: Path, cache: Path) -> None:
    before = load_all(photos)
    stored = len(list(cache.rglob("*.npz")))
    assert all(same(before[split], part) for split, part in load_all(photos).items())
    assert len(list(cache.rglob("*.npz"))) == stored == 3
    photograph(photos / "ants" / "000.bmp", seed=9)
    assert sum(map(contents, load_all(photos).values()), Counter()) != sum(
        map(contents, before.values()), Counter()
    )


@pytest.mark.parametrize(
    ("paths", "match"),
    [
        ([], "holds images of 0 classes"),
        (["a.bmp", "b.bmp"], "holds images of 0 classes"),
        (["ants/a.bmp"], "holds images of 1 class, but at least 2 are needed"),
        (["ants/a.bmp", "bees/a.txt"], "'photos/bees' holds no image (.bmp, .gif, .jpeg"),
        (["ants/a.bmp", "bees/a.heic"], "'photos/bees' holds no image"),
        (["train/ants/a.bmp", "train/bees/b.bmp", "val/ants/c.bmp", "val/bees/d"], "'photos/val/b"),
        (["train/ants/a.bmp"], "holds images of 1 class"),
        # Otherwise "test" and "val" would be taken for two classes,
        (["test/ants/a.bmp", "val/ants/b.bmp"], "'photos' holds test, val; it may hold either"),
        # and pictures the reader set aside would be overlooked.
        (["train/ants/a.bmp", "train/bees/b.bmp", "valid/ants/c.bmp"], "holds train, valid; it"),
        (["ants/a.bmp", "bees/b.bmp", "test/ants/c.bmp"], "holds ants, bees, test; it may hold"),
        (["ants/a.bmp", "bees/b.bmp"], "split of 'folder:"),
    ],
)
def test_unusable_folder_ends_in_a_sentence(tmp_path: Path, paths: list[str], match: str) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    for seed, path in enumerate(paths):
        if path.endswith(".bmp"):
            photograph(root / path, seed)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
    with refused(match):
        check_dataset(f"folder:{root}")


def test_a_file_is_no_folder(photos: Path) -> None:
    with refused("there is no folder"):
        load_dataset(f"folder:{photos / 'ants' / '000.bmp'}", "val")


# --- pets, cifar10: torchvision's hosts cannot be reached from a test ----------------------------


class FakeCIFAR10:
    """Like torchvision's class, small, and with one picture in both parts."""

    classes = ("airplane", "cat")

    def __init__(self, root: Path, train: bool, download: bool) -> None:
        assert download
        count = 60 if train else 10
        rng = np.random.default_rng(int(train))
        self.data = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.data[0] = 7
        self.targets = [i % 2 for i in range(count)]


class FakePets:
    """Like torchvision's class: photographs below `root`, listed in private attributes."""

    classes = ("Abyssinian", "Beagle")

    def __init__(self, root: Path, split: str, download: bool) -> None:
        assert download
        base = Path(root) / "oxford-iiit-pet" / "images"
        start, count = (0, 60) if split == "trainval" else (60, 10)
        self._images = [photograph(base / f"{i}.bmp", i) for i in range(start, start + count)]
        self._labels = [i % 2 for i in range(count)]


def use_torchvision(monkeypatch: pytest.MonkeyPatch, cifar10: Any, pets: Any) -> None:
    datasets = SimpleNamespace(CIFAR10=cifar10, OxfordIIITPet=pets)
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(datasets=datasets))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "count", "side", "classes"),
    [
        ("cifar10", 69, 32, ("airplane", "cat")),  # the picture in both parts stays in test only
        ("pets", 70, 224, ("Abyssinian", "Beagle")),
    ],
)
def test_fetched_photographs(
    name: str, count: int, side: int, classes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_torchvision(monkeypatch, FakeCIFAR10, FakePets)
    assert fetch_dataset(name).startswith(f"{name}: 70 images, 2 classes")
    check_dataset(name)
    parts = {split: load_dataset(name, split) for split in SPLITS}
    assert sum(map(len, parts.values())) == count
    assert len(parts["test"]) == 10
    assert 0 < len(parts["val"]) < 20
    assert parts["val"].images.shape[1:] == (side, side, 3)
    assert parts["val"].class_names == classes
    assert parts["val"].labels.dtype == np.int64
    assert max(sum(map(contents, parts.values()), Counter()).values()) == 1
    assert same(parts["val"], load_dataset(name, "val"))


def test_the_stand_ins_resemble_torchvision() -> None:
    spec = find_spec("torchvision")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "datasets"
    for module, names in (
        ("cifar.py", ("self.data", "self.targets", "self.classes", "train: bool", "download: ")),
        ("oxford_iiit_pet.py", ("self._images", "self._labels", "self.classes", "split: str")),
    ):
        source = (folder / module).read_text()
        assert not [name for name in names if name not in source]


@pytest.mark.parametrize("name", ["pets", "cifar10"])
@pytest.mark.parametrize(
    "error", [URLError("Name or service not known"), RuntimeError("File not found or corrupted.")]
)
def test_unreachable_photographs(
    name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*arguments: Any, **options: Any) -> None:
        raise error

    use_torchvision(monkeypatch, unreachable, unreachable)
    with refused(f"could not download {name} ({type(error).__name__})"):
        fetch_dataset(name)
    assert not dataset_status(name)[0]


def test_only_photographs_are_fetched() -> None:
    with refused("only pets and cifar10 are fetched"):
        fetch_dataset("animals")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"classes": ["a"], "rows"', b"\xff"])
def test_damaged_index_counts_as_not_fetched(content: bytes, cache: Path) -> None:
    (cache / "pets").mkdir(parents=True)
    (cache / "pets" / "index.json").write_bytes(content)
    with refused("run `course fetch pets`"):
        check_dataset("pets")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half"])
def test_damaged_archive_counts_as_not_fetched(content: bytes, cache: Path) -> None:
    (cache / "cifar10").mkdir(parents=True)
    (cache / "cifar10" / "cifar10.npz").write_bytes(content)
    with refused("run `course fetch cifar10`"):
        check_dataset("cifar10")
