"""The course's image data sets, all loaded by one function.

Splits are a function of image content (`split_of`): the same picture lands in the same split
whatever its position or file name, so duplicates can never straddle train, validation and test.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.cache import atomic_path, cached_arrays
from helpers.errors import CourseError
from helpers.paths import ROOT, cache_dir

SPLITS = ("train", "val", "test")
DATASETS = ("animals", "textured", "digits", "pets", "cifar10")
PHOTO_SIZE = 224  # photographs come in many sizes; this is what `image_size=None` means for them
COLOURS = {
    "red": (230, 40, 40),
    "yellow": (240, 220, 40),
    "green": (40, 190, 60),
    "cyan": (40, 210, 220),
    "blue": (50, 70, 230),
    "magenta": (220, 60, 210),
}
BACKGROUNDS = ("china", "flower")
_EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_BAD_IMAGE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError)


@dataclass(frozen=True)
class ImageDataset:
    """Images with labels, all in memory.

    Attributes:
        images: uint8, N x H x W x 3, RGB, 0 to 255.
        labels: int64, N, index into `class_names`.
        class_names: one name per class.
        factors: further labels by name, each with N rows: categories are int64 (their names are
            in `factor_names`), quantities are float32.
        factor_names: names of the categories of a factor, or of its columns.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    factor_names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class _Source:
    """A whole data set before it is split: `keys` identify content, `load` makes the pixels."""

    keys: list[bytes]
    labels: np.ndarray
    class_names: tuple[str, ...]
    load: Callable[[np.ndarray, int | None], np.ndarray]
    fixed_split: np.ndarray | None = None
    factors: dict[str, np.ndarray] = field(default_factory=dict)
    factor_names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def split(self) -> np.ndarray:
        """Name of each item's split."""
        if self.fixed_split is not None:
            return self.fixed_split
        return np.array([split_of(key) for key in self.keys])


def load_dataset(
    name: str,
    split: str,
    *,
    image_size: int | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> ImageDataset:
    """Load one split of a data set.

    Args:
        name: ``"animals"``, ``"textured"``, ``"digits"`` (come with the installation),
            ``"pets"``, ``"cifar10"`` (after ``course fetch``), or ``"folder:PATH"`` with one
            sub-folder of photographs per class, optionally below ``train/``, ``val/``, ``test/``.
        split: ``"train"`` (about 70%), ``"val"`` (15%) or ``"test"`` (15%). A folder with only
            ``train/`` and ``val/`` gives ``val/`` as the test split and takes the validation
            split out of ``train/``.
        image_size: side in pixels of the square images returned; None keeps the original size
            (28, 8, 32), or means 224 for photographs, whose centre square is used.
        per_class: number of images of each class, None for all. Subsets are nested: with one
            seed, the first 20 are among the first 50.
        seed: selects which images `per_class` takes, and the order of the result.

    Raises:
        CourseError: unknown name or split, data not there, or too few images.
    """
    if split not in SPLITS:
        raise CourseError(f"split must be 'train', 'val' or 'test', not {split!r}.")
    if image_size is not None and image_size < 1:
        raise CourseError(f"image_size must be 1 pixel or more, not {image_size}.")
    if per_class is not None and per_class < 1:
        raise CourseError(f"per_class must be 1 or more (or None for all), not {per_class}.")
    source = _source(name)
    members = np.flatnonzero(source.split() == split)
    salt = str(seed).encode()
    # Ordering by a hash of content and seed shuffles the classes and nests the subsets.
    members = np.array(
        sorted(members, key=lambda i: (hashlib.sha256(salt + source.keys[i]).digest(), i)), int
    )
    counts = np.bincount(source.labels[members], minlength=len(source.class_names))
    smallest = int(counts.argmin())
    if counts[smallest] < (per_class or 1):
        wanted = f"per_class={per_class} was asked for" if per_class else "at least 1 is needed"
        raise CourseError(
            f"class {source.class_names[smallest]!r} of {name!r} has {counts[smallest]} images in "
            f"the {split} split, but {wanted}; ask for fewer, or add images."
        )
    if per_class is not None:
        rank = np.zeros(len(members), int)
        for label in range(len(source.class_names)):
            of_class = source.labels[members] == label
            rank[of_class] = np.arange(of_class.sum())
        members = members[rank < per_class]
    return ImageDataset(
        images=source.load(members, image_size),
        labels=source.labels[members],
        class_names=source.class_names,
        factors={key: values[members] for key, values in source.factors.items()},
        factor_names=source.factor_names,
    )


def class_counts(name: str, split: str) -> dict[str, int]:
    """Number of images of each class in a split, without decoding any."""
    source = _source(name)
    labels = source.labels[source.split() == split]
    counts = np.bincount(labels, minlength=len(source.class_names))
    return dict(zip(source.class_names, counts.tolist(), strict=True))


def check_dataset(name: str) -> None:
    """Raise CourseError, within seconds, if `load_dataset(name, ...)` cannot work."""
    if name.startswith("folder:"):
        for path in (path for _, _, path in _list_folder(_folder(name))):
            try:
                with Image.open(path) as image:
                    image.verify()
            except _BAD_IMAGE as error:
                raise _unreadable(path) from error
    source = _source(name)
    for split in SPLITS:
        found = np.unique(source.labels[source.split() == split])
        if absent := sorted(set(range(len(source.class_names))) - set(found.tolist())):
            raise CourseError(
                f"the {split} split of {name!r} has no image of the class "
                f"{source.class_names[absent[0]]!r}; add photographs of it (the content of a "
                "picture decides its split), or sort all yourself into train/, val/ and test/."
            )


def dataset_status(name: str) -> tuple[bool, str]:
    """Whether a data set is there and readable, and one sentence about it."""
    try:
        source = _source(name)
    except CourseError as error:
        return False, str(error)
    return True, f"{len(source.labels)} images, {len(source.class_names)} classes"


def split_of(key: bytes) -> str:
    """Split of an image, from the SHA-256 `key` of its content: 70% train, 15% val, 15% test."""
    position = int.from_bytes(key[:8], "big") / 2**64
    return "train" if position < 0.70 else "val" if position < 0.85 else "test"


def resize(images: np.ndarray, image_size: int | None) -> np.ndarray:
    """Resize square uint8 images (N x H x H x 3) to `image_size`, bilinearly; None copies."""
    if image_size is None or images.shape[1] == image_size:
        return images.copy()
    size = (image_size, image_size)
    resized = np.empty((len(images), image_size, image_size, 3), np.uint8)
    for row, image in enumerate(images):
        resized[row] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return resized


def animal_table() -> tuple[tuple[str, ...], dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """Species, and per species its group (int64, 10) and attributes (int64, 10 x 13).

    From ``data/animals.csv``, written for this course: everyday zoology, one row per species.
    Returns the species names, the two arrays, and the names of groups and attributes.
    """
    with (ROOT / "data" / "animals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = tuple(rows[0])[2:]
    groups = ("pet", "farm", "wild")
    tables = {
        "group": np.array([groups.index(row["group"]) for row in rows]),
        "attributes": np.array([[int(row[name]) for name in names] for row in rows]),
    }
    return tuple(row["species"] for row in rows), tables, {"group": groups, "attributes": names}


def _source(name: str) -> _Source:
    if name.startswith("folder:"):
        return _folder_source(_folder(name))
    makers: dict[str, Callable[[], _Source]] = {
        "animals": _animals,
        "textured": _textured,
        "digits": _digits,
        "pets": _pets,
        "cifar10": _cifar10,
    }
    if name not in makers:
        near = get_close_matches(name, makers, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise CourseError(
            f"there is no data set {name!r}{hint}; use one of {', '.join(makers)}, or folder:PATH "
            "for your own photographs."
        )
    return makers[name]()


def _content_keys(images: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in images]


# --- animals, textured, digits: these come with the installation --------------------------------


class _ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays and nothing else: a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("_core", "core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"refusing to load {module}.{name}")


def _unpickle_array(file: IO[bytes]) -> np.ndarray:
    array = _ArrayUnpickler(file).load()
    if not isinstance(array, np.ndarray):
        raise pickle.UnpicklingError("not an array")
    return array


@lru_cache(maxsize=1)
def _animals() -> _Source:
    silhouettes, labels = _silhouettes()
    species, tables, names = animal_table()
    factors = {key: table[labels] for key, table in tables.items()}
    factors["area"] = np.array([_body(image).mean() for image in silhouettes], np.float32)
    rgb = np.repeat(silhouettes[..., None], 3, axis=3)
    return _Source(
        keys=_content_keys(silhouettes),
        labels=labels,
        class_names=species,
        load=lambda members, size: resize(rgb[members], size),
        factors=factors,
        factor_names=names,
    )


@lru_cache(maxsize=1)
def _silhouettes() -> tuple[np.ndarray, np.ndarray]:
    """All 10,000 silhouettes (uint8, N x 28 x 28) and labels, from the package animal-mnist."""
    try:
        folder = files("animal_mnist").joinpath("data", "Animal_MNIST")
        arrays = []
        for name in ("animal_data_version_3.gz", "animal_label_version_3.gz"):
            # All bytes first: only at their end does gzip check that they are the right ones.
            content = gzip.decompress(folder.joinpath(name).read_bytes())
            arrays.append(_unpickle_array(io.BytesIO(content)))
    except (ModuleNotFoundError, OSError, EOFError, zlib.error, pickle.UnpicklingError) as error:
        raise CourseError(
            f"the package animal-mnist 0.4 is missing or damaged ({error}); "
            "run `pip install --force-reinstall --no-deps animal-mnist==0.4`."
        ) from error
    return arrays[0], arrays[1].astype(np.int64)


def _body(silhouette: np.ndarray) -> np.ndarray:
    """Mask (bool, 28 x 28) of the animal's body; holes are filled because zebras have stripes."""
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(silhouette > 40))


@lru_cache(maxsize=1)
def _textured() -> _Source:
    base = _animals()
    silhouettes, _ = _silhouettes()
    images, factors = make_textured(silhouettes)
    factors["area"] = base.factors["area"] * factors["scale"] ** 2  # the figure was shrunk
    return _Source(
        keys=base.keys,  # the silhouette's own split, so that the two data sets never leak
        labels=base.labels,
        class_names=base.class_names,
        load=lambda members, size: resize(images[members], size),
        factors={**base.factors, **factors},
        factor_names={**base.factor_names, "colour": tuple(COLOURS), "background": BACKGROUNDS},
    )


def make_textured(
    silhouettes: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Move silhouettes to another domain: coloured animals on patches of photographs.

    The MNIST-M recipe (Ganin et al. 2016, section 5.2.4) inverts a photograph where the figure
    is; here the inverted patch is mixed half and half with one of six colours, and the figure is
    first shrunk to between 70% and 100% and placed at random.

    Args:
        silhouettes: uint8, N x 28 x 28, bright animals on black.
        seed: decides colour, background, patch, scale and position of every image.

    Returns:
        images (uint8, N x 28 x 28 x 3) and the factors ``colour`` (int64, N), ``background``
        (int64, N) and ``scale`` (float32, N, 0.7 to 1.0).
    """
    from sklearn.datasets import load_sample_images

    count, side = len(silhouettes), silhouettes.shape[1]
    photos = [np.asarray(Image.fromarray(p).reduce(4)) for p in load_sample_images().images]
    rng = np.random.default_rng(seed)
    colour = rng.integers(len(COLOURS), size=count)
    background = rng.integers(len(photos), size=count)
    scale = rng.uniform(0.7, 1.0, size=count).astype(np.float32)
    place = rng.uniform(size=(count, 4))  # patch row, patch column, figure row, figure column
    palette = np.array(list(COLOURS.values()), np.float32)
    images = np.empty((count, side, side, 3), np.uint8)
    for i in range(count):
        photo = photos[background[i]]
        row, column = (place[i, :2] * (np.array(photo.shape[:2]) - side + 1)).astype(int)
        patch = photo[row : row + side, column : column + side].astype(np.float32)
        small = round(side * float(scale[i]))
        top, left = (place[i, 2:] * (side - small + 1)).astype(int)
        figure = np.zeros((side, side, 1), np.float32)
        shrunk = Image.fromarray(silhouettes[i]).resize((small, small), Image.Resampling.BILINEAR)
        figure[top : top + small, left : left + small, 0] = np.asarray(shrunk)
        figure /= 255
        inside = 0.5 * (255 - patch) + 0.5 * palette[colour[i]]
        images[i] = np.rint(figure * inside + (1 - figure) * patch)
    return images, {"colour": colour, "background": background, "scale": scale}


@lru_cache(maxsize=1)
def _digits() -> _Source:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    gray = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    rgb = np.repeat(gray[..., None], 3, axis=3)
    return _Source(
        keys=_content_keys(gray),
        labels=bunch.target.astype(np.int64),
        class_names=tuple("0123456789"),
        load=lambda members, size: resize(rgb[members], size),
    )


# --- photographs: the reader's own, or fetched ---------------------------------------------------


def _folder(name: str) -> Path:
    """The folder meant by ``folder:PATH``; a relative path may start here or at the course."""
    # The functions of os.path say no where Path's raise: unknown users, overlong names.
    given = Path(os.path.expanduser(name.removeprefix("folder:")))
    for candidate in (Path.cwd() / given, ROOT / given):
        if os.path.isdir(candidate):
            return candidate.resolve()
    raise CourseError(
        f"there is no folder {str(given)!r} (looked from the current folder and from the course's "
        "own); write folder:PATH with one sub-folder of photographs per class."
    )


def _list_folder(folder: Path) -> list[tuple[str | None, str, Path]]:
    """(split or None, class name, file) for each image, in the ImageFolder convention."""
    names = [path.name for path in _subfolders(folder)]
    roots: list[tuple[str | None, Path]] = [(None, folder)]
    if set(names) & set(SPLITS):
        if "train" not in names or not set(names) <= set(SPLITS):
            raise CourseError(
                f"the folder {folder.name!r} holds {', '.join(names)}; it may hold either one "
                "sub-folder per class, or train/ with val/ and test/ if you like, and nothing else."
            )
        roots = [(name, folder / name) for name in SPLITS if name in names]
    found: list[tuple[str | None, str, Path]] = []
    for split, root in roots:
        for class_folder in _subfolders(root):
            images = _images_below(class_folder)
            if not images:
                raise CourseError(
                    f"the folder {str(class_folder.relative_to(folder.parent))!r} holds no image "
                    f"({', '.join(sorted(_EXTENSIONS))}); add photographs or remove it."
                )
            found += [(split, class_folder.name, path) for path in images]
    classes = {name for _, name, _ in found}
    if len(classes) < 2:
        raise CourseError(
            f"the folder {folder.name!r} holds images of {len(classes)} class"
            f"{'es' if len(classes) != 1 else ''}, but at least 2 are needed: one sub-folder of "
            "photographs per class, optionally below train/, val/ and test/."
        )
    return found


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images_below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _folder_source(folder: Path) -> _Source:
    found = _list_folder(folder)
    names = tuple(sorted({name for _, name, _ in found}))
    labels = np.array([names.index(name) for _, name, _ in found])
    keys = [_file_key(path) for _, _, path in found]
    given = [split for split, _, _ in found]
    return _photo_source([path for _, _, path in found], keys, labels, names, given)


def _file_key(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _photo_source(
    paths: Sequence[Path],
    keys: list[bytes],
    labels: np.ndarray,
    names: tuple[str, ...],
    given: Sequence[str | None],
) -> _Source:
    """Photographs on disk; `given` is the split each file was filed under, or None."""

    def load(members: np.ndarray, size: int | None) -> np.ndarray:
        side = size or PHOTO_SIZE
        key = {"files": [keys[i].hex() for i in members], "side": side}
        return cached_arrays(
            "photos", key, lambda: {"images": _decode([paths[i] for i in members], side)}
        )["images"]

    present = {split for split in given if split is not None}
    return _Source(
        keys, labels, names, load, _filed_splits(keys, given, present) if present else None
    )


def _filed_splits(keys: list[bytes], given: Sequence[str | None], present: set[str]) -> np.ndarray:
    """Splits of files that came sorted into train/ and val/ and/or test/.

    Without test/, val/ is the test split: it was set aside, so it is touched last. What is not
    filed is carved out of train/ by content. A file that was filed twice keeps its last split
    only, in the order train, val, test; its other copies belong to no split ("").
    """
    role = {"train": "train", "val": "val" if "test" in present else "test", "test": "test"}
    missing = set(SPLITS) - {role[split] for split in present}
    splits = []
    for key, split in zip(keys, given, strict=True):
        assert split is not None
        if role[split] == "train" and len(missing) == 2:
            splits.append(split_of(key))
        elif role[split] == "train" and missing and int.from_bytes(key[:8], "big") < 0.15 * 2**64:
            splits.append(*missing)
        else:
            splits.append(role[split])
    last: dict[bytes, str] = {}
    for key, split in zip(keys, splits, strict=True):
        last[key] = max(split, last.get(key, split), key=SPLITS.index)
    return np.array([s if last[k] == s else "" for k, s in zip(keys, splits, strict=True)])


def _decode(paths: Sequence[Path], side: int) -> np.ndarray:
    """Centre squares of photographs (uint8, N x side x side x 3)."""
    images = np.empty((len(paths), side, side, 3), np.uint8)
    for row, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                image.draft("RGB", (2 * side, 2 * side))  # lets JPEG skip detail nobody will see
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I;16"):  # Pillow would clip these at 255
                    upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
                if "transparency" in upright.info:  # Pillow asks for this detour
                    upright = upright.convert("RGBA")
                upright = upright.convert("RGB")
                square = ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR)
                images[row] = np.asarray(square)
        except _BAD_IMAGE as error:
            raise _unreadable(path) from error
    return images


def _unreadable(path: Path) -> CourseError:
    return CourseError(
        f"the image {path.parent.name}/{path.name} cannot be read; repair or remove the file."
    )


def fetch_dataset(name: str) -> str:
    """Download ``"pets"`` or ``"cifar10"`` with torchvision and prepare it; say what was done.

    Raises:
        CourseError: the host cannot be reached, or the name is not one of the two.
    """
    if name not in ("pets", "cifar10"):
        raise CourseError(f"only pets and cifar10 are fetched; {name!r} is not.")
    from torchvision import datasets

    root = cache_dir() / name
    try:
        if name == "pets":
            _index_pets(root, datasets.OxfordIIITPet)
        else:
            _convert_cifar10(root, datasets.CIFAR10)
    except (OSError, RuntimeError) as error:
        raise CourseError(
            f"could not download {name} ({type(error).__name__}); only runs with DATASET {name} "
            "need it: everything else works without."
        ) from error
    return f"{name}: {dataset_status(name)[1]}, downloaded by torchvision"


def _index_pets(root: Path, dataset_class: Any) -> None:
    """Write index.json: class names and, per photograph, its file, label, split and SHA-256."""
    rows = []
    for filed, split in (("trainval", "train"), ("test", "test")):
        dataset = dataset_class(root, split=filed, download=True)
        for path, label in zip(dataset._images, dataset._labels, strict=True):
            file = Path(path)
            rows.append([str(file.relative_to(root)), int(label), split, _file_key(file).hex()])
    with atomic_path(root / "index.json") as path:
        path.write_text(json.dumps({"classes": list(dataset.classes), "rows": rows}))


@lru_cache(maxsize=1)
def _pets() -> _Source:
    root = cache_dir() / "pets"
    try:
        index = json.loads((root / "index.json").read_text())
        files, labels, given, keys = zip(*index["rows"], strict=True)
    except (OSError, ValueError, KeyError) as error:
        raise _not_fetched("pets") from error
    return _photo_source(
        [root / file for file in files],
        [bytes.fromhex(key) for key in keys],
        np.array(labels),
        tuple(index["classes"]),
        given,
    )


def _convert_cifar10(root: Path, dataset_class: Any) -> None:
    parts = [dataset_class(root, train=train, download=True) for train in (True, False)]
    with atomic_path(root / "cifar10.npz") as path, path.open("wb") as file:
        np.savez(
            file,
            images=np.concatenate([part.data for part in parts]),
            labels=np.concatenate([np.array(part.targets) for part in parts]),
            filed=np.repeat(["train", "test"], [len(part.data) for part in parts]),
            classes=np.array(parts[0].classes),
        )


@lru_cache(maxsize=1)
def _cifar10() -> _Source:
    try:
        path = cache_dir() / "cifar10" / "cifar10.npz"
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            images, labels, filed, classes = (
                file[key] for key in ("images", "labels", "filed", "classes")
            )
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _not_fetched("cifar10") from error
    keys = _content_keys(images)
    return _Source(
        keys=keys,
        labels=labels.astype(np.int64),
        class_names=tuple(classes.tolist()),
        load=lambda members, size: resize(images[members], size),
        fixed_split=_filed_splits(keys, filed.tolist(), {"train", "test"}),
    )


def _not_fetched(name: str) -> CourseError:
    return CourseError(
        f"the data set {name!r} has not been fetched; run `course fetch {name}` with internet, or "
        "use animals, textured, digits or folder:PATH."
    )
