"""The cache on disk: computed once, never believed blindly, shared between processes."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from support import refused

from helpers.base.cache import Arrays, atomic_path, cached_arrays, digest
from helpers.base.paths import ROOT, cache_dir

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
    others: list[tuple[str, dict[str, Any]]] = [
        ("kind", {"a": 1, "b": {"c": 2, "d": 4}}),
        ("kind", {"a": "1", "b": {"c": 2, "d": 3}}),
        ("other", {"a": 1, "b": {"c": 2, "d": 3}}),
    ]
    for kind, key in others:
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
def test_damaged_file_is_computed_again(cache: Path) -> None:
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    whole = stored(cache).read_bytes()
    wrong = [flip(whole), npy(whole), whole[:-20], whole[: len(whole) // 2], b"", b"<html>"]
    for times, damaged in enumerate(wrong, start=2):
        stored(cache).write_bytes(damaged)
        for _ in range(2):
            assert compute.right(cached_arrays("kind", KEY, compute))
            assert compute.times == times


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


def test_other_files_stay(cache: Path) -> None:
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


# --- where nothing can be written ----------------------------------------------------------------

# Two keys, computed as someone who does not own the cache, or with other odds against writing.
STUDENT = """
import io, json, os, sys, warnings
import numpy as np
from helpers.base.cache import cached_arrays

file = io.BytesIO()  # what NumPy imports only now may be out of reach for another user
np.savez(file, a=np.arange(3))
np.load(io.BytesIO(file.getvalue()))["a"]

def compute():
    times.append(1)
    return {"a": np.arange(20_000)}

if sys.argv[1] == "student" and os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
if sys.argv[1] == "limit":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
times = []
with warnings.catch_warnings(record=True) as caught:
    for key in sys.argv[2:]:
        assert cached_arrays("kind", {"key": key}, compute)["a"].sum() == 199990000
print(json.dumps([len(times), [str(warning.message) for warning in caught]]))
"""


def student(how: str, *keys: str, before: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """How often a process of its own had to compute, and the warnings that it shows."""
    command = [*before, sys.executable, "-c", STUDENT, how, *keys]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    times, warned = json.loads(process.stdout.splitlines()[-1])
    return times, warned


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache in a place that every user may enter, with one result in it."""
    if sys.platform == "win32":
        pytest.skip("rights and owners are other ones there")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setenv("COURSE_CACHE", str(folder / "cache"))
    assert student("owner", "there") == (1, [])
    yield folder / "cache"
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_shared_cache_that_may_only_be_read(shared: Path) -> None:
    for folder in (shared / "kind", shared):
        folder.chmod(0o555)
    before = files(shared)
    times, warned = student("student", "there", "one", "two", "there")
    assert times == 2
    assert len(set(warned)) == 1, "the same sentence for all that cannot be kept"
    assert warned[0].startswith("the result is used but not kept: nothing can be written to ")
    assert str(shared / "kind") in warned[0] and "COURSE_CACHE" in warned[0]
    assert files(shared) == before


def test_cache_that_cannot_even_be_made(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.chmod(0o555)
    monkeypatch.setenv("COURSE_CACHE", str(shared / "new" / "folder"))
    times, (warned,) = student("student", "one")
    assert times == 1
    assert "nothing can be written to" in warned


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes two users")
def test_shared_cache_with_files_of_several_users(shared: Path) -> None:
    """A folder in which each may write and nobody may replace the files of another, as in /tmp."""
    (shared / "kind").chmod(0o1777)
    assert student("student", "there", "one") == (1, [])
    assert student("owner", "one") == (0, [])
    assert student("owner", "two") == (1, [])
    first = min(stored for stored in (shared / "kind").glob("*.npz") if stored.stat().st_uid == 0)
    whole = first.read_bytes()
    first.write_bytes(flip(whole))
    times, warned = student("student", "there", "one", "two")
    assert times == 1
    assert [text for text in warned if "nothing can be written to" in text] == warned != []
    assert first.read_bytes() == flip(whole)
    assert student("owner", "there", "one", "two") == (1, [])
    assert first.read_bytes() == whole
    assert not list(shared.rglob("*.tmp"))


@pytest.mark.parametrize("how", ["limit", "disk"])
def test_full_disk(shared: Path, how: str) -> None:
    """In the middle of a write: nothing half-written, the result is there all the same."""
    before: tuple[str, ...] = ()
    if how == "disk":  # a real one, of 64 KB
        mount = 'mount -t tmpfs -o size=64k none "$COURSE_CACHE" && exec "$@"'
        before = ("unshare", "-rm", "sh", "-c", mount, "sh")
        tried = (
            subprocess.run([*before, "true"], capture_output=True)
            if shutil.which("unshare")
            else None
        )
        if tried is None or tried.returncode:
            pytest.skip("no small disk can be made here")
    times, (warned,) = student(how, "one", before=before)
    assert times == 1
    place = shared / "kind"
    assert warned.startswith(f"the result is used but not kept: there is no room left in {place};")
    assert not list(shared.rglob("*.tmp"))
    assert student("owner", "there") == (0, [])


def test_refused_by_the_system(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """As on Windows, when another process holds the file open."""

    def replace(*paths: Any) -> None:
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.warns(UserWarning, match="cannot access the file"):
        assert Compute().right(cached_arrays("kind", KEY, Compute()))
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_lock_that_cannot_be_had(cache: Path) -> None:
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    lock = stored(cache).with_suffix(".lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    stored(cache).unlink()
    assert compute.right(cached_arrays("kind", KEY, compute))
    assert stored(cache).stat().st_size > 0


def test_folder_where_a_file_should_be(cache: Path) -> None:
    compute = Compute()
    cached_arrays("kind", KEY, compute)
    path = stored(cache)
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning, match="not kept: a folder stands where the file .*npz should"):
        assert compute.right(cached_arrays("kind", KEY, compute))
    assert path.is_dir()
    with refused(f"a folder stands where the file {path} should be"), atomic_path(path) as new:
        new.write_text("new")
    assert path.is_dir() and not list(cache.rglob("*.tmp"))


def test_file_where_a_folder_should_be(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("mine")
    compute = Compute()
    for name in (cache, cache / "below"):
        monkeypatch.setenv("COURSE_CACHE", str(name))
        with refused(f"the file {cache} stands where a folder should be; move it away"):
            cached_arrays("kind", KEY, compute)
    assert compute.times == 0, "said before any work"
    assert cache.read_text() == "mine"
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "other"))
    (cache_dir() / "kind").write_text("mine")
    with pytest.warns(UserWarning, match="kind stands where a folder should be"):
        assert compute.right(cached_arrays("kind", KEY, compute))


def test_digest_sees_shape_dtype_order_and_content() -> None:
    base = np.arange(12, dtype=np.int32)
    changed = base.copy()
    changed[5] += 1
    variants: list[tuple[np.ndarray, ...]] = [
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
