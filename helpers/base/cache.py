"""Arrays on disk that are computed once, checked whenever they are read, and safe to share."""

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import xxhash
from filelock import FileLock

from helpers.base.errors import CourseError, writing
from helpers.base.paths import cache_dir

Arrays = dict[str, np.ndarray]
_SEAL = "seal"


def digest(*arrays: np.ndarray) -> str:
    """128-bit fingerprint of the arrays' shapes, dtypes and contents (hexadecimal)."""
    state = xxhash.xxh3_128()
    for array in arrays:
        state.update(f"{array.shape}{array.dtype.str}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` only if the block succeeds.

    Raises:
        CourseError: it cannot be written; what was there before is as it was.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)  # mkstemp makes it private, but a workshop shares the cache
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def keep(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that only saves time later; where that is impossible, warn and go on."""
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            write(file)
    except CourseError as error:
        warnings.warn(f"the result is used but not kept: {error}", stacklevel=2)


def cached_arrays(
    kind: str, key: Mapping[str, object], compute: Callable[[], Arrays], refresh: bool = False
) -> Arrays:
    """Return `compute()`, or what an earlier call with the same `kind` and `key` stored.

    Each file is an uncompressed ``.npz`` with a fingerprint of all its arrays, which is checked
    whenever it is read: a damaged or truncated file is noticed and computed again. Files appear
    atomically, and a lock lets two processes share the folder without doing the work twice. Where
    nothing can be written (a shared cache that belongs to someone else, a full disk), the result
    is computed all the same, with a warning.

    Args:
        kind: sub-folder, for example ``"features"``.
        key: everything the result depends on; values must be JSON-serialisable.
        compute: makes the arrays; called only when there is no intact file.
        refresh: compute again even if there is one, for example to measure how long it takes.
    """
    name = xxhash.xxh3_128(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = cache_dir() / kind / f"{name}.npz"
    stored = None if refresh else _read(path)
    if stored is not None:
        return stored
    with _lock(path):
        # another process may have finished while we waited
        found = None if refresh else _read(path)
        if found is None:
            found = compute()
            arrays = {_SEAL: _seal(found), **found}
            # `allow_pickle` is np.savez's own keyword: naming it keeps the type checker calm.
            keep(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
        return found


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time; without a lock, where none can be had: work is then done twice."""
    with ExitStack() as held:
        with suppress(OSError, NotImplementedError):  # not allowed; not known to the file system
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(path.with_suffix(".lock"), mode=0o666))  # for all users
        yield


def _seal(arrays: Arrays) -> np.ndarray:
    """Fingerprint of names and contents; a zip file's own checksums miss some damage."""
    names = sorted(arrays)
    return np.array(digest(np.array(names), *(arrays[name] for name in names)))


def _read(path: Path) -> Arrays | None:
    """The arrays in `path`, or None if the file is absent or damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays if arrays.pop(_SEAL) == _seal(arrays) else None
    except Exception:  # one wrong byte can make NumPy and zipfile raise almost anything
        return None
