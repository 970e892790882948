"""The cache on disk: computed once, never believed blindly, shared between processes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from helpers.base.cache import Arrays, atomic_path, cached_arrays, digest
from helpers.base.paths import ROOT

KEY = {"layers": ["a", "b"], "images": "0123"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Compute:
    """Makes two arrays, and counts how often."""

    arrays: Arrays = {  # noqa: RUF012
        "first": np.arange(12, dtype=np.float32).reshape(3, 4),
        "second": np.array([1, 2], np.int64),
    }

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Arrays:
        self.times += 1
        return self.arrays

    def right(self, result: Arrays) -> bool:
        return result.keys() == self.arrays.keys() and all(
            result[name].dtype == array.dtype and np.array_equal(result[name], array)
            for name, array in self.arrays.items()
        )


def stored(cache: Path) -> Path:
    (path,) = cache.rglob("*.npz")
    return path


def test_computed_once(cache: Path) -> None:
    compute = Compute()
    assert all(compute.right(cached_arrays("kind", KEY, compute)) for _ in range(3))
    assert compute.times == 1
    assert stored(cache).parent.name == "kind"
    assert not list(cache.rglob("*.tmp"))


def test_order_of_the_key_does_not_matter_and_all_else_does() -> None:
    compute = Compute()
    cached_arrays("kind", {"a": 1, "b": {"c": 2, "d": 3}}, compute)
    cached_arrays("kind", {"b": {"d": 3, "c": 2}, "a": 1}, compute)
    assert compute.times == 1
    for kind, key in [
        ("kind", {"a": 1, "b": {"c": 2, "d": 4}}),
        ("kind", {"a": "1", "b": {"c": 2, "d": 3}}),
        ("other", {"a": 1, "b": {"c": 2, "d": 3}}),
    ]:
        cached_arrays(kind, key, compute)
    assert compute.times == 4


def test_refresh(cache: Path) -> None:
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    cached_arrays("kind", KEY, compute, refresh=True)
    assert compute.times == 2
    cached_arrays("kind", KEY, compute)
    assert compute.times == 2


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def npy(content: bytes) -> bytes:
    """A sound NumPy file, but of one array, not an archive."""
    return content[content.index(b"\x93NUMPY") :][:128] + bytes(1000)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "damage",
    [flip, npy, lambda c: c[:-20], lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"<html>"],
    ids=["byte", "npy", "end cut off", "half", "empty", "html"],
)
def test_damaged_file_is_computed_again(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    path = stored(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert compute.right(cached_arrays("kind", KEY, compute))
    assert compute.times == 2
    assert compute.right(cached_arrays("kind", KEY, compute))
    assert compute.times == 2


@pytest.mark.parametrize("mask", [0x01, 0x40])
def test_no_single_wrong_byte_is_believed(cache: Path, mask: int) -> None:
    """A zip file's own checksums miss some: those in its table of contents, for example."""
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    path = stored(cache)
    content = path.read_bytes()
    for place in range(len(content)):
        wrong = bytearray(content)
        wrong[place] ^= mask
        path.write_bytes(wrong)
        assert compute.right(cached_arrays("kind", KEY, compute)), place
    assert compute.times > len(content) / 2


def test_a_folder_in_the_way_of_nothing_else(cache: Path) -> None:
    """Another file of the same kind is neither read nor touched."""
    (cache / "kind").mkdir(parents=True)
    (cache / "kind" / "other.npz").write_bytes(b"other")
    assert Compute().right(cached_arrays("kind", KEY, Compute()))
    assert (cache / "kind" / "other.npz").read_bytes() == b"other"


@pytest.mark.parametrize(
    "compute", [lambda: 1 / 0, lambda: {"a": np.array([object()])}, lambda: {"a": 1 / 0}]
)
def test_failure_leaves_nothing(cache: Path, compute: Callable[[], Arrays]) -> None:
    with pytest.raises((ZeroDivisionError, ValueError)):
        cached_arrays("kind", KEY, compute)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert Compute().right(cached_arrays("kind", KEY, Compute()))


WORKER = """
import os, pathlib, sys, time
import numpy as np
from helpers.base.cache import cached_arrays

def compute():
    with open(sys.argv[1], "a") as file:
        file.write("computed ")
    if sys.argv[2] == "die":
        os._exit(9)
    time.sleep(0.5)
    return {"a": np.arange(100_000)}

while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
assert cached_arrays("kind", {}, compute)["a"].sum() == 4999950000
"""


def worker(log: Path, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(log), how], cwd=ROOT)


def test_two_processes_compute_once(tmp_path: Path, cache: Path) -> None:
    log = tmp_path / "log"
    both = [worker(log, "live") for _ in range(2)]
    log.touch()  # both go
    assert [process.wait() for process in both] == [0, 0]
    assert log.read_text() == "computed "
    assert stored(cache)


def test_killed_process_blocks_nobody(tmp_path: Path, cache: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    assert worker(log, "die").wait() == 9
    assert not list(cache.rglob("*.npz"))
    compute = Compute()
    assert compute.right(cached_arrays("kind", {}, compute))


def test_atomic_path(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_text() == "one"
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("two")
        raise KeyError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_digest_sees_shape_dtype_order_and_content() -> None:
    base = np.arange(12, dtype=np.int32)
    changed = base.copy()
    changed[5] += 1
    variants = [
        (base,),
        (base.reshape(3, 4),),
        (base.reshape(4, 3),),
        (base.view(np.uint32),),
        (base.astype(np.int64),),
        (changed,),
        (base, changed),
        (changed, base),
        (base[:0],),
        (),
    ]
    assert len({digest(*arrays) for arrays in variants}) == len(variants)


@given(
    arrays_of.arrays(
        st.sampled_from([np.uint8, np.float32, np.int64]),
        arrays_of.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4),
    )
)
def test_digest_does_not_see_memory_layout(array: np.ndarray) -> None:
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(array[::-1][::-1].copy()) == digest(array)
