"""Data sets that come with the installation: `animals`, `textured` and `digits`."""

import csv
import gzip
import io
import pickle
import zlib
from functools import lru_cache
from importlib.resources import files
from typing import IO, Any

import numpy as np
from PIL import Image

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.data.splits import Source, content_keys, resize

COLOURS = {
    "red": (230, 40, 40),
    "yellow": (240, 220, 40),
    "green": (40, 190, 60),
    "cyan": (40, 210, 220),
    "blue": (50, 70, 230),
    "magenta": (220, 60, 210),
}
BACKGROUNDS = ("china", "flower")


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
def animals() -> Source:
    silhouettes, labels = _silhouettes()
    species, tables, names = animal_table()
    factors = {key: table[labels] for key, table in tables.items()}
    factors["area"] = np.array([_body(image).mean() for image in silhouettes], np.float32)
    rgb = np.repeat(silhouettes[..., None], 3, axis=3)
    return Source(
        keys=content_keys(silhouettes),
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
def textured() -> Source:
    base = animals()
    silhouettes, _ = _silhouettes()
    images, factors = make_textured(silhouettes)
    factors["area"] = base.factors["area"] * factors["scale"] ** 2  # the figure was shrunk
    return Source(
        keys=base.keys,  # the silhouette's own split, so that the two data sets never leak
        labels=base.labels,
        class_names=base.class_names,
        load=lambda members, size: resize(images[members], size),
        factors={**base.factors, **factors},
        factor_names={**base.factor_names, "colour": tuple(COLOURS), "background": BACKGROUNDS},
    )


def make_textured(silhouettes: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Move silhouettes to another domain: coloured animals on patches of photographs.

    The MNIST-M recipe (Ganin et al. 2016, section 5.2.4) inverts a photograph where the figure
    is; here the inverted patch is mixed half and half with one of six colours, and the figure is
    first shrunk to between 70% and 100% and placed at random.

    Args:
        silhouettes: uint8, N x 28 x 28, bright animals on black.

    Returns:
        images (uint8, N x 28 x 28 x 3) and the factors ``colour`` (int64, N), ``background``
        (int64, N) and ``scale`` (float32, N, 0.7 to 1.0).
    """
    from sklearn.datasets import load_sample_images

    count, side = len(silhouettes), silhouettes.shape[1]
    photos = [np.asarray(Image.fromarray(p).reduce(4)) for p in load_sample_images().images]
    rng = np.random.default_rng(0)  # the same data set on every machine
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
def digits() -> Source:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    gray = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    rgb = np.repeat(gray[..., None], 3, axis=3)
    return Source(
        keys=content_keys(gray),
        labels=bunch.target.astype(np.int64),
        class_names=tuple("0123456789"),
        load=lambda members, size: resize(rgb[members], size),
    )
