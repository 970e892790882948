"""Which split an image belongs to, decided by its content, and the types all loaders share.

The same picture lands in the same split whatever its position or file name, so duplicates can
never straddle train, validation and test.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

SPLITS = ("train", "val", "test")


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
class Source:
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


def rank_in_class(labels: np.ndarray) -> np.ndarray:
    """For each item how many of its class come before it: 0, 1, 2 ... (int64, N).

    ``rank_in_class(labels) < 20`` are the first 20 of each class.

    Args:
        labels: class numbers, N, in the order of the items.
    """
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    return rank


def split_of(key: bytes) -> str:
    """Split of an image, from the SHA-256 `key` of its content: 70% train, 15% val, 15% test."""
    position = _position(key)
    return "train" if position < 0.70 else "val" if position < 0.85 else "test"


def _position(key: bytes) -> float:
    return int.from_bytes(key[:8], "big") / 2**64


def content_keys(images: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(image.tobytes()).digest() for image in images]


def filed_splits(keys: list[bytes], given: Sequence[str]) -> np.ndarray:
    """Splits of images that came as "train" and "test"; 15% of "train", by content, become "val".

    An image that was filed twice keeps its last split only, in the order train, val, test; its
    other copies belong to no split ("").
    """
    splits = [
        "val" if split == "train" and _position(key) < 0.15 else split
        for key, split in zip(keys, given, strict=True)
    ]
    return _last_only(keys, splits)


def folder_splits(
    keys: list[bytes], labels: Sequence[int], given: Sequence[str | None]
) -> np.ndarray:
    """Splits of a reader's own pictures, filed under train, val, test or (None) not at all.

    What is missing is taken out of train, or out of all that is not filed: of the different
    pictures of each class, in the order of their content's digest, the first 15%, but at least 2,
    become the test split, the next as many the validation split. (A share of each class, not
    `split_of` each picture, which leaves some class of a small folder without any.) Without test,
    val is the test split: it was set aside, so it is touched last.

    The same picture in two classes goes to one split. A picture that was filed twice keeps its
    last split only, in the order train, val, test; its other copies belong to no split ("").
    """
    role = {None: "train", "train": "train", "val": "val", "test": "test"}
    if "test" not in given:
        role["val"] = "test"
    filed = [role[split] for split in given]
    carved: dict[bytes, str] = {}
    for label in sorted(set(labels)):
        ordered = sorted(
            {k for k, s, n in zip(keys, filed, labels, strict=True) if s == "train" and n == label}
        )
        few = max(2, round(0.15 * len(ordered)))
        for split in ("test", "val"):
            if split not in filed:
                for key in ordered[:few]:
                    carved[key] = max(split, carved.get(key, split), key=SPLITS.index)
                del ordered[:few]
    splits = [
        carved.get(key, split) if split == "train" else split
        for key, split in zip(keys, filed, strict=True)
    ]
    return _last_only(keys, splits)


def _last_only(keys: list[bytes], splits: list[str]) -> np.ndarray:
    """The splits, but "" for an image whose copy is in a later one."""
    last: dict[bytes, str] = {}
    for key, split in zip(keys, splits, strict=True):
        last[key] = max(split, last.get(key, split), key=SPLITS.index)
    return np.array([s if last[k] == s else "" for k, s in zip(keys, splits, strict=True)])


def resize(images: np.ndarray, image_size: int | None) -> np.ndarray:
    """Resize square uint8 images (N x H x H x 3) to `image_size`, bilinearly; None copies."""
    if image_size is None or images.shape[1] == image_size:
        return images.copy()
    size = (image_size, image_size)
    resized = np.empty((len(images), image_size, image_size, 3), np.uint8)
    for row, image in enumerate(images):
        resized[row] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return resized
