"""Data sets: what they hold, honest splits, nested subsets, and every kind of bad folder."""

import gzip
import hashlib
import io
import os
import pickle
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from http.client import IncompleteRead
from importlib.resources import files
from pathlib import Path
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
    DATASETS,
    SPLITS,
    ImageDataset,
    check_dataset,
    class_counts,
    drawings,
    fetched,
    load_dataset,
    photographs,
    rank_in_class,
    resize,
)
from helpers.data.drawings import make_textured
from helpers.data.photographs import file_key
from helpers.data.splits import folder_splits
from helpers.weights import WEIGHTS

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
    assert np.array_equal(images, again)
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


def test_bad_requests_end_in_a_sentence() -> None:
    cases: list[Any] = [
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
    ]
    for arguments, options, match in cases:
        with refused(match):
            load_dataset(*arguments, **options)


# --- the registry --------------------------------------------------------------------------------


def test_status_of_what_is_here_and_what_is_not() -> None:
    assert {name: info.status() for name, info in DATASETS.items()} == {
        "animals": (True, "10000 images, 10 classes"),
        "textured": (True, "10000 images, 10 classes"),
        "digits": (True, "1797 images, 10 classes"),
        "pets": (True, "not here: only runs with DATASET pets need it."),
        "cifar10": (True, "not here: only runs with DATASET cifar10 need it."),
    }


def test_status_of_what_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "animal_mnist", None)
    load: Any = drawings._silhouettes.__wrapped__
    good, sentence = replace(DATASETS["animals"], load=load).status()
    assert not good
    assert sentence.startswith("the package animal-mnist 0.4 is missing or damaged")


def test_each_has_a_card_that_agrees() -> None:
    """Source, license and digest of everything the course reads stand in data/README.md."""
    cards = {}
    for card in (ROOT / "data" / "README.md").read_text(encoding="utf-8").split("\n### ")[1:]:
        cards[re.sub("[^a-z0-9]+", "_", card.split("\n")[0].lower()).strip("_")] = card
    wrong = []
    for name, asset in {**DATASETS, **WEIGHTS}.items():
        (card,) = (card for title, card in cards.items() if title.startswith(name))
        packages = re.findall(r"([\w-]+)(?:==| )(\d[\d.]*\d)", asset.source)
        facts = [asset.license, asset.sha256, *(f"`{p}` {version}" for p, version in packages)]
        wrong += [f"{name}: {fact}" for fact in facts if fact not in card]
    assert not wrong


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


def test_damaged_package_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "Animal_MNIST"
    shutil.copytree(files("animal_mnist").joinpath("data", "Animal_MNIST"), folder)  # type: ignore[arg-type]
    path = folder / "animal_data_version_3.gz"
    whole = path.read_bytes()
    monkeypatch.setattr(drawings, "files", lambda package: tmp_path)
    assert len(drawings._silhouettes.__wrapped__()[0]) == 10_000
    for how in ("one bit", "truncated", "no array", "html"):
        path.write_bytes(damage(whole, how))
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


def test_twenty_photographs_of_each_class(tmp_path: Path) -> None:
    """What the README asks for, on pictures that a hash of each would deal out badly."""
    root = tmp_path / "photos"
    for seed in range(5):
        shutil.rmtree(root, ignore_errors=True)
        for k, name in enumerate(("ants", "bees")):
            for i in range(20):
                photograph(root / name / f"{i}.bmp", 1000 * seed + 100 * k + i)
        check_dataset(f"folder:{root}")
        counts = {split: class_counts(f"folder:{root}", split) for split in SPLITS}
        assert counts == {
            "train": {"ants": 14, "bees": 14},
            "val": {"ants": 3, "bees": 3},
            "test": {"ants": 3, "bees": 3},
        }


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_splits_of_any_folder(data: st.DataObject) -> None:
    """Copies stay together, no class is left out, shares are right, and order does not matter."""
    pictures = data.draw(
        st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.integers(0, 3)), max_size=150)
    )
    pictures += data.draw(st.lists(st.sampled_from(pictures), max_size=30)) if pictures else []
    order = data.draw(st.permutations(range(len(pictures))))
    filed = data.draw(st.sampled_from([None, "train"]))
    keys, labels = [key for key, _ in pictures], [label for _, label in pictures]
    splits = folder_splits(keys, labels, [filed] * len(keys))
    again = folder_splits([keys[i] for i in order], [labels[i] for i in order], [filed] * len(keys))
    assert again.tolist() == splits[list(order)].tolist()
    of_key: dict[bytes, set[str]] = {}
    for key, split in zip(keys, splits.tolist(), strict=True):
        of_key.setdefault(key, set()).add(split)
    assert all(len(found) == 1 and found < set(SPLITS) for found in of_key.values())
    of_class = {n: {k for k, label in pictures if label == n} for n in set(labels)}
    for label, mine in of_class.items():
        if any(mine & other for n, other in of_class.items() if n != label):
            continue  # a picture in two classes goes where one of them wants it
        counts = Counter(found for key in mine for found in of_key[key])
        if len(mine) >= 5:
            assert counts["val"] == counts["test"] == max(2, round(0.15 * len(mine)))
            assert counts["train"] >= 1


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_splits_of_a_filed_folder(data: st.DataObject) -> None:
    """What was set aside stays aside; val is taken out of train where there is none."""
    present = data.draw(st.sampled_from([("train", "val"), ("train", "test"), SPLITS]))
    key = st.integers(0, 60).map(lambda n: hashlib.sha256(bytes([n])).digest())
    pictures = data.draw(
        st.lists(st.tuples(key, st.integers(0, 1), st.sampled_from(present)), min_size=1)
    )
    pictures += [(f"{split} {n}".encode(), n % 2, split) for split in present for n in range(40)]
    keys, labels, filed = map(list, zip(*pictures, strict=True))
    splits = folder_splits(keys, labels, filed)
    used: dict[bytes, set[str]] = {}
    for key_, split in zip(keys, splits.tolist(), strict=True):
        used.setdefault(key_, set()).add(split)
    assert all(len(found - {""}) == 1 for found in used.values())
    last = present[-1]
    for where, split in zip(filed, splits.tolist(), strict=True):
        if where == last:
            assert split == "test"
        if where == "train":
            assert split in (("train", "") if present == SPLITS else ("train", "val", ""))
    assert set(splits) - {""} == set(SPLITS)


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
    carved = {"val": 6, "test": 6}  # 15% of 40, of each class
    for name in filed[1:]:
        carved.pop("test" if name == "val" and "test" not in filed else name)
    assert len(parts["train"]) == 80 - 2 * sum(carved.values())


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


def test_each_photograph_is_read_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesson asks for its data set a dozen times; a changed file is read again."""
    seen: list[Path] = []

    def read(path: Path) -> bytes:
        seen.append(path)
        return file_key(path)

    monkeypatch.setattr(photographs, "file_key", read)
    load_all(photos)
    assert sorted(seen) == sorted(photos.rglob("*.bmp"))
    seen.clear()
    load_all(photos)
    assert seen == []
    changed, replaced, touched = (photos / "ants" / f"00{i}.bmp" for i in range(3))
    times = changed.stat()
    photograph(changed, 901)  # of the same size
    if sys.platform != "win32":  # as `cp -p` leaves it; Windows keeps no time of the change itself
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    photograph(photos / "new.bmp", 902).replace(replaced)
    touched.touch()
    load_all(photos)
    assert sorted(seen) == [changed, replaced, touched]


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


def test_unreadable_picture_is_named(photos: Path, cache: Path) -> None:
    for content in (b"", b"no picture", b"\x89PNG\r\n\x1a\n", bomb()):
        for path in (photos / "bees").glob("*.bmp"):
            path.write_bytes(content + path.name.encode())
        with refused("the image bees/000.bmp cannot be read; repair or remove the file"):
            check_dataset(f"folder:{photos}")
        with refused("cannot be read"):
            load_all(photos)
        assert not list(cache.rglob("*.npz"))


def test_class_of_copies_alone(photos: Path) -> None:
    """Twenty files, one picture: it cannot be in every split, and that is said."""
    for path in (photos / "bees").glob("*.bmp"):
        shutil.copy(photos / "bees" / "000.bmp", path.with_name(f"copy {path.name}"))
        path.unlink() if path.name != "000.bmp" else None
    with refused("split of 'folder:") as caught:
        check_dataset(f"folder:{photos}")
    assert "20 different photographs" in str(caught.value)


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


def test_unusable_folder_ends_in_a_sentence(tmp_path: Path) -> None:
    cases: list[tuple[list[str], str]] = [
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
        (["ants/a.bmp", "bees/b.bmp"], "has no image of the class 'ants'; of each class, 20 diff"),
    ]
    for number, (paths, match) in enumerate(cases):
        root = tmp_path / str(number) / "photos"
        root.mkdir(parents=True)
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


# --- pets, cifar10: torchvision's own classes, on small archives that look as if just unpacked ----


def small_cifar10(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 training and 10 test pictures of two classes, one of them in both parts."""
    from torchvision.datasets import CIFAR10

    def write(name: str, content: Any) -> str:
        path = cache / "cifar10" / CIFAR10.base_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    def batch(name: str, seed: int, count: int) -> list[str]:
        data = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
        data[0] = 7
        return [name, write(name, {"data": data, "labels": [i % 2 for i in range(count)]})]

    monkeypatch.setattr(CIFAR10, "train_list", [batch("data_batch_1", 1, 60)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", 2, 10)])
    names = write("batches.meta", {"label_names": ["airplane", "cat"]})
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": names})


def small_pets(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 photographs to train on and 10 to test, and one that the lists do not name."""
    base = cache / "pets" / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for name, start, count in (("trainval", 0, 60), ("test", 60, 10)):
        rows = []
        for i in range(start, start + count):
            breed = ("Abyssinian", "beagle")[i % 2]
            photograph(base / "images" / f"{breed}_{i}.jpg", i)
            rows.append(f"{breed}_{i} {i % 2 + 1} {i % 2 + 1} 1\n")
        (base / "annotations" / f"{name}.txt").write_text("".join(rows))
    photograph(base / "images" / "beagle_99.jpg", 99)


SMALL = {"cifar10": small_cifar10, "pets": small_pets}


def fetch(name: str) -> str:
    found = DATASETS[name].fetch
    assert found is not None
    return found()


@pytest.mark.parametrize(
    ("name", "count", "side", "classes"),
    [
        ("cifar10", 69, 32, ("airplane", "cat")),  # the picture in both parts stays in test only
        ("pets", 70, 224, ("Abyssinian", "Beagle")),
    ],
)
def test_fetched_photographs(
    name: str,
    count: int,
    side: int,
    classes: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
) -> None:
    SMALL[name](cache, monkeypatch)
    assert fetch(name).startswith(f"{name}: 70 images, 2 classes")
    assert DATASETS[name].status() == (True, "70 images, 2 classes")
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
    if name == "cifar10":  # colors last, and the right way round
        stored = pickle.loads((cache / name / "cifar-10-batches-py" / "test_batch").read_bytes())
        wanted = stored["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        assert contents(parts["test"]) == Counter(image.tobytes() for image in wanted)


def test_splits_of_fetched_photographs_never_change(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """15% of the official training part, by the digest of each picture alone."""
    small_pets(cache, monkeypatch)
    fetch("pets")
    source = fetched.pets()
    shares = [int.from_bytes(key[:8], "big") / 2**64 for key in source.keys]
    wanted = ["test"] * 10
    wanted = ["val" if share < 0.15 else "train" for share in shares[:60]] + wanted
    assert source.split().tolist() == wanted


@pytest.mark.parametrize("name", SMALL)
def test_unreachable_photographs(name: str, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    trouble = f"could not download {name} (%s); only runs with DATASET {name} need it"
    for error, match in (
        (URLError("Name or service not known"), trouble % "URLError"),
        (RuntimeError("File not found or corrupted."), trouble % "RuntimeError"),
        (IncompleteRead(b""), trouble % "IncompleteRead"),
        (OSError(28, "No space left on device"), f"there is no room left in {cache / name}; free"),
        (PermissionError(13, "Permission denied"), f"nothing can be written to {cache / name} ("),
        (FileNotFoundError(2, "No such file"), f"the folder {cache / name} holds a part of"),
    ):

        def unreachable(*arguments: Any, error: Exception = error, **options: Any) -> None:
            raise error

        for module in ("cifar", "oxford_iiit_pet"):
            monkeypatch.setattr(
                f"torchvision.datasets.{module}.download_and_extract_archive", unreachable
            )
        with refused(match):
            fetch(name)
        assert DATASETS[name].status()[1].startswith("not here")


def test_half_unpacked_photographs(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    small_pets(cache, monkeypatch)
    next((cache / "pets").rglob("*_7.jpg")).unlink()
    with refused(f"the folder {cache / 'pets'} holds a part of pets; remove it and try again"):
        fetch("pets")


def test_damaged_index_counts_as_not_fetched(cache: Path) -> None:
    (cache / "pets").mkdir(parents=True)
    for content in (b"", b"{}", b'{"classes": ["a"], "rows"', b"\xff"):
        (cache / "pets" / "index.json").write_bytes(content)
        with refused("run `course fetch pets`"):
            check_dataset("pets")


@pytest.mark.filterwarnings("error")
def test_damaged_archive_counts_as_not_fetched(cache: Path) -> None:
    (cache / "cifar10").mkdir(parents=True)
    for content in (b"", b"PK\x03\x04 half"):
        (cache / "cifar10" / "cifar10.npz").write_bytes(content)
        with refused("run `course fetch cifar10`"):
            check_dataset("cifar10")


def test_rank_in_class_counts_those_of_the_class_before() -> None:
    assert rank_in_class(np.array([2, 0, 2, 2, 0, 5])).tolist() == [0, 0, 1, 2, 1, 0]
    assert rank_in_class(np.array([], int)).tolist() == []
