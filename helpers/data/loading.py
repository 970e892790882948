"""One function that loads every data set of the course, and the registry of what there is."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from PIL import Image

from helpers.base.assets import Asset
from helpers.base.errors import CourseError
from helpers.data.drawings import animals, digits, textured
from helpers.data.fetched import cifar10, fetch_cifar10, fetch_pets, pets
from helpers.data.photographs import (
    _BAD_IMAGE,
    _list_folder,
    _unreadable,
    find_folder,
    folder_source,
)
from helpers.data.splits import SPLITS, ImageDataset, Source, rank_in_class


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(Asset):
    """`load` gives the whole data set before it is split."""

    load: Callable[[], Source]

    def look(self) -> str:
        source = self.load()
        return f"{len(source.labels)} images, {len(source.class_names)} classes"


DATASETS = {
    "animals": DatasetInfo(
        source="the package animal-mnist 0.4, part of the installation",
        license="MIT",
        sha256="aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
        missing="no lesson can run.",
        needed=True,
        load=animals,
    ),
    "textured": DatasetInfo(
        source="computed from animals and from scikit-learn's two photographs",
        license="MIT",
        missing="lessons with a change of domain cannot run.",
        needed=True,
        load=textured,
    ),
    "digits": DatasetInfo(
        source="scikit-learn",
        license="CC BY 4.0",
        sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        missing="lessons that compare with something other than animals cannot run.",
        needed=True,
        load=digits,
    ),
    "pets": DatasetInfo(
        source="the University of Oxford, by torchvision",
        license="CC BY-SA 4.0",
        missing="only runs with DATASET pets need it.",
        load=pets,
        fetch=fetch_pets,
    ),
    "cifar10": DatasetInfo(
        source="the University of Toronto, by torchvision",
        license="none stated",
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        missing="only runs with DATASET cifar10 need it.",
        load=cifar10,
        fetch=fetch_cifar10,
    ),
}


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
        split: ``"train"`` (about 70%), ``"val"`` (15%) or ``"test"`` (15%). Of a folder, at least
            2 photographs of each class in ``val`` and ``test``; one with only ``train/`` and
            ``val/`` gives ``val/`` as the test split and takes the validation split out of
            ``train/``.
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
        members = members[rank_in_class(source.labels[members]) < per_class]
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
        for path in (path for _, _, path in _list_folder(find_folder(name))):
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
                f"{source.class_names[absent[0]]!r}; of each class, 20 different photographs or "
                "more are wanted, and 5 are the least there can be."
            )


def _source(name: str) -> Source:
    if name.startswith("folder:"):
        return folder_source(find_folder(name))
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise CourseError(
            f"there is no data set {name!r}{hint}; use one of {', '.join(DATASETS)}, or "
            "folder:PATH for your own photographs."
        )
    return DATASETS[name].load()
