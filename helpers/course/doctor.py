"""Pre-flight: is this machine ready for the course, and what to do if not?"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from helpers import data, weights
from helpers.base.errors import CourseError
from helpers.base.paths import cache_dir
from helpers.course.engine import MEMORY_GB

DISTRIBUTION = "transfer-multitask-course"
DISK_GB = 2  # weights, prepared data, features and runs


@dataclass(frozen=True)
class Check:
    """One line of the table; `advice` says what to do if it is not `good`."""

    name: str
    good: bool
    found: str
    advice: str = ""


def checks() -> Iterator[Check]:
    """All checks but the smoke run, each made as it is asked for."""
    try:
        distribution = metadata(DISTRIBUTION)
    except PackageNotFoundError:
        yield Check("course", False, "not installed", "run `pip install -e .` in the repository")
        return
    python = ".".join(map(str, sys.version_info[:3]))
    allowed = distribution["Requires-Python"]
    yield Check(
        "Python",
        python in SpecifierSet(allowed),
        f"{python} (allowed: {allowed})",
        "make a new environment with an allowed Python",
    )
    yield _packages(distribution.get_all("Requires-Dist") or [])
    memory = psutil.virtual_memory()
    yield Check(
        "memory",
        memory.available >= MEMORY_GB * 2**30,
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GB are free",
        f"close other programs: a notebook may need {MEMORY_GB} GB",
    )
    yield _cache()
    yield Check("processor", True, f"{os.cpu_count()} cores; {_gpu()}")
    yield _kernel()
    for kind, assets in (("data", data.DATASETS), ("weights", weights.WEIGHTS)):
        for name, asset in assets.items():
            reinstall = "run `pip install -r requirements.lock`"
            advice = "run `course fetch` with internet" if asset.fetch else reinstall
            yield Check(f"{kind}: {name}", *asset.status(), advice)


def _cache() -> Check:
    advice = f"free {DISK_GB} GB, or set COURSE_CACHE to a folder on another disk"
    try:
        folder = cache_dir()
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except (OSError, CourseError) as error:
        return Check(
            "cache",
            False,
            f"cannot be written: {error}",
            "set COURSE_CACHE to a folder in which you may write, or mend this one's permissions",
        )
    found = f"{folder}, {free / 2**30:.0f} GB are free"
    return Check("cache", free >= DISK_GB * 2**30, found, advice)


def _kernel() -> Check:
    """`course` always runs notebooks with its own Python; JupyterLab with what it finds first."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        lab = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (NoSuchKernel, OSError, ValueError) as error:
        lab = f"none ({error})"
    own = lab.startswith("python") or _same_file(lab, sys.executable)
    return Check(
        "kernel",
        own,
        sys.executable if own else f"{sys.executable}, but JupyterLab's Python 3 is {lab}",
        "`jupyter kernelspec list` shows where it is; `jupyter kernelspec remove python3` removes "
        "it, and this environment's own is used",
    )


def _same_file(one: str, other: str) -> bool:
    # Not samefile: the Pythons of two environments are links to one file.
    return os.path.normcase(os.path.abspath(one)) == os.path.normcase(os.path.abspath(other))


def _packages(requirements: list[str]) -> Check:
    parsed = [Requirement(text) for text in requirements]
    needed = [r for r in parsed if not r.marker or r.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in needed:
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    if wrong:
        return Check("packages", False, "; ".join(wrong), "run `pip install -r requirements.lock`")
    shown = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "torch"))
    return Check("packages", True, f"all {len(needed)} as required, among them {shown}")


def _gpu() -> str:
    try:
        reply = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "no NVIDIA GPU found, none is needed"
    return "GPU " + ", ".join(reply.stdout.split("\n")).strip(", ")


def smoke(notebooks: Path) -> Check:
    """Run notebook 00 of the folder `notebooks` at its smallest."""
    from helpers.course import engine, runs
    from helpers.course.kernels import Settings

    (run,) = runs.plan(runs.select_notebooks(["00"], notebooks), {}, "smoke")
    with tempfile.TemporaryDirectory() as folder:
        result = engine.execute(run, Path(folder), Settings())
    seconds = f"{result.seconds:.0f} seconds" if result.seconds is not None else "no time"
    return Check(
        "smoke run",
        not result.error,
        result.error or f"notebook 00 passed in {seconds}",
        "mend the lines above first; then open notebook 00 and run it cell by cell",
    )
