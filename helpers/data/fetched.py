"""Data sets that `course fetch` brings: `pets` and `cifar10`."""

import json
import zipfile
from collections.abc import Callable
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from helpers.base.assets import NotFetched
from helpers.base.cache import atomic_path
from helpers.base.errors import NOT_WRITABLE, CourseError, writing
from helpers.base.paths import cache_dir
from helpers.data.photographs import file_key, photo_source
from helpers.data.splits import Source, content_keys, filed_splits, resize


def fetch_pets() -> str:
    """Download the photographs of `pets` with torchvision and list them; say what was done.

    Raises:
        CourseError: the host cannot be reached, or nothing can be written.
    """
    from torchvision.datasets import OxfordIIITPet

    return _fetch("pets", pets, lambda root: _index_pets(root, OxfordIIITPet))


def fetch_cifar10() -> str:
    """Download `cifar10` with torchvision and convert it; say what was done.

    Raises:
        CourseError: the host cannot be reached, or nothing can be written.
    """
    from torchvision.datasets import CIFAR10

    return _fetch("cifar10", cifar10, lambda root: _convert_cifar10(root, CIFAR10))


def _fetch(name: str, load: Callable[[], Source], prepare: Callable[[Path], None]) -> str:
    root = cache_dir() / name
    with writing(root / "file"):
        root.mkdir(exist_ok=True)
        try:
            prepare(root)
        except (OSError, RuntimeError, HTTPException) as error:
            if getattr(error, "errno", None) in NOT_WRITABLE:
                raise
            if isinstance(error, FileNotFoundError):  # torchvision was stopped while unpacking
                raise CourseError(
                    f"the folder {root} holds a part of {name}; remove it and try again."
                ) from error
            raise CourseError(
                f"could not download {name} ({type(error).__name__}); only runs with DATASET "
                f"{name} need it: everything else works without."
            ) from error
    found = load()
    return (
        f"{name}: {len(found.labels)} images, {len(found.class_names)} classes, "
        "downloaded by torchvision"
    )


def _index_pets(root: Path, dataset_class: Any) -> None:
    """Write index.json: class names and, per photograph, its file, label, split and SHA-256."""
    rows = []
    for filed, split in (("trainval", "train"), ("test", "test")):
        dataset = dataset_class(root, split=filed, download=True)
        for path, label in zip(dataset._images, dataset._labels, strict=True):
            file = Path(path)
            rows.append([str(file.relative_to(root)), int(label), split, file_key(file).hex()])
    with atomic_path(root / "index.json") as path:
        path.write_text(json.dumps({"classes": list(dataset.classes), "rows": rows}))


@lru_cache(maxsize=1)
def pets() -> Source:
    root = cache_dir() / "pets"
    try:
        index = json.loads((root / "index.json").read_text())
        files, labels, filed, keys = zip(*index["rows"], strict=True)
    except (OSError, ValueError, KeyError) as error:
        raise _not_fetched("pets") from error
    contents = [bytes.fromhex(key) for key in keys]
    return photo_source(
        [root / file for file in files],
        contents,
        np.array(labels),
        tuple(index["classes"]),
        filed_splits(contents, filed),
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
def cifar10() -> Source:
    path = cache_dir() / "cifar10" / "cifar10.npz"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            images, labels, filed, classes = (
                file[key] for key in ("images", "labels", "filed", "classes")
            )
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _not_fetched("cifar10") from error
    keys = content_keys(images)
    return Source(
        keys=keys,
        labels=labels.astype(np.int64),
        class_names=tuple(classes.tolist()),
        load=lambda members, size: resize(images[members], size),
        fixed_split=filed_splits(keys, filed.tolist()),
    )


def _not_fetched(name: str) -> NotFetched:
    return NotFetched(
        f"the data set {name!r} has not been fetched; run `course fetch {name}` with internet, or "
        "use animals, textured, digits or folder:PATH."
    )
