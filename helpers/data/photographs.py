"""Photographs in folders: the reader's own, and those that were fetched."""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.base.cache import cached_arrays
from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.data.splits import SPLITS, Source, folder_splits

PHOTO_SIZE = 224  # photographs come in many sizes; this is what `image_size=None` means for them
_EXTENSIONS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_BAD_IMAGE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError)


def find_folder(name: str) -> Path:
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


def folder_source(folder: Path) -> Source:
    found = _list_folder(folder)
    names = tuple(sorted({name for _, name, _ in found}))
    labels = np.array([names.index(name) for _, name, _ in found])
    keys = [_known_key(path, *_version(path)) for _, _, path in found]
    splits = folder_splits(keys, labels.tolist(), [split for split, _, _ in found])
    return photo_source([path for _, _, path in found], keys, labels, names, splits)


def file_key(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _version(path: Path) -> tuple[int, ...]:
    """Numbers that change when the file does."""
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


@lru_cache(maxsize=100_000)  # some tens of MB when it is full
def _known_key(path: Path, *version: int) -> bytes:
    """`file_key`; a lesson asks for each photograph many times, but reads it once a process."""
    return file_key(path)


def photo_source(
    paths: Sequence[Path],
    keys: list[bytes],
    labels: np.ndarray,
    names: tuple[str, ...],
    splits: np.ndarray,
) -> Source:
    """Photographs on disk, each with its split."""

    def load(members: np.ndarray, size: int | None) -> np.ndarray:
        side = size or PHOTO_SIZE
        key = {"files": [keys[i].hex() for i in members], "side": side}
        return cached_arrays(
            "photos", key, lambda: {"images": _decode([paths[i] for i in members], side)}
        )["images"]

    return Source(keys, labels, names, load, splits)


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
