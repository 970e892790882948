"""Run lessons as another machine would: do their claims still hold?

    python tests/another_machine.py            # all lessons
    python tests/another_machine.py 09 15 --seed 1 --threads 2

Another processor adds in another order, so the last digits differ, and training makes percents of
them. Here each initial weight is multiplied by 1 + 1e-6 z, with z from a normal distribution: those
of fresh networks of torch and Keras, and those of the pre-trained ones. The noise depends on
nothing but the tensor's shape, so networks made from one seed still equal each other, and no
generator of the lesson is disturbed. A lesson that draws no weights just runs again.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from running import LESSONS, Outcome, run_notebook

from helpers.base.environment import PROCESS
from helpers.base.environment import threads as variables
from helpers.base.errors import CourseError
from helpers.base.paths import cache_dir

SIZE = 1e-6
TORCH = (
    "uniform_", "normal_", "trunc_normal_", "orthogonal_",
    "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
)  # fmt: skip
KERAS = ("VarianceScaling", "RandomUniform", "RandomNormal", "TruncatedNormal", "Orthogonal")
TRUNKS = {"vgg16_backbone", "resnet18_trunk", "efficientnet_lite0_trunk"}
INSERTED = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
import another_machine
another_machine.perturb(globals())
"""


# --- in the lesson's kernel ----------------------------------------------------------------------


def factors(shape: tuple[int, ...]) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(tuple(shape))
    return (1 + SIZE * noise).astype(np.float32)


def perturb(notebook: dict[str, Any]) -> None:
    """Change what makes weights, in the frameworks that the lesson has imported.

    Args:
        notebook: the lesson's names, among them functions that it has imported already.
    """
    import joblib

    # Workers of joblib are processes that know nothing of this one.
    joblib.parallel_config(backend="sequential")
    spaces = [notebook, *(vars(module) for module in list(sys.modules.values()))]
    if "torch" in sys.modules:
        import torch

        for name in TORCH:
            replace(getattr(torch.nn.init, name), filled, spaces)
    if "keras" in sys.modules:
        import keras

        for name in KERAS:
            kind = getattr(keras.initializers, name)
            kind.__call__ = drawn(kind.__call__)
    for module in filter(
        None, map(sys.modules.get, ("helpers.keras_models", "helpers.torch_models"))
    ):
        for name in TRUNKS & vars(module).keys():
            replace(getattr(module, name), made, spaces)


def replace(
    function: Callable[..., Any],
    change: Callable[[Callable[..., Any]], Callable[..., Any]],
    spaces: list[dict[str, Any]],
) -> None:
    """Put the changed function wherever the function was imported to."""
    changed = wraps(function)(change(function))
    for space in spaces:
        if space.get(function.__name__) is function:
            space[function.__name__] = changed


def filled(fill: Callable[..., Any]) -> Callable[..., Any]:
    """For an initializer of torch, which fills a tensor."""

    def changed(tensor: Any, *arguments: Any, **options: Any) -> Any:
        result = fill(tensor, *arguments, **options)
        multiply(tensor)
        return result

    return changed


def multiply(tensor: Any) -> None:
    import torch

    with torch.no_grad():
        tensor.mul_(torch.from_numpy(factors(tensor.shape)).to(tensor))


def drawn(call: Callable[..., Any]) -> Callable[..., Any]:
    """For an initializer of Keras, which returns a tensor."""

    def changed(self: Any, shape: Any, *arguments: Any, **options: Any) -> Any:
        values = call(self, shape, *arguments, **options)
        return values * factors(values.shape).astype(values.dtype.name)

    return changed


def made(make: Callable[..., Any]) -> Callable[..., Any]:
    """For a function that returns a network, whose weights may be loaded or drawn by NumPy."""

    def changed(*arguments: Any, **options: Any) -> Any:
        network = make(*arguments, **options)
        if hasattr(network, "get_weights"):
            weights = network.get_weights()
            network.set_weights([values * factors(values.shape) for values in weights])
        elif "imagenet" in (*arguments, *options.values()):  # random ones came from `filled`
            for values in network.parameters():
                multiply(values)
        return network

    return changed


# --- around it -----------------------------------------------------------------------------------


def insert(lesson: Path, target: Path) -> None:
    """Write a copy of the lesson that perturbs its weights from `start` on."""
    notebook = nbformat.read(lesson, as_version=4)
    place = next(
        place
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "\nstart(" in f"\n{cell.source}"
    )
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(INSERTED.strip()))
    nbformat.write(notebook, target)


@contextmanager
def environment(folder: Path, threads: int) -> Iterator[None]:
    """For the kernels: claims reported, so many threads, a cache with nothing but the weights."""
    weights = cache_dir() / "weights"
    (folder / "cache").mkdir()
    try:
        (folder / "cache" / "weights").symlink_to(weights, target_is_directory=True)
    except OSError:  # Windows allows it to few
        shutil.copytree(weights, folder / "cache" / "weights")
    before = dict(os.environ)
    os.environ |= {"COURSE_CACHE": str(folder / "cache"), "COURSE_REPORT_CLAIMS": "1"}
    os.environ |= PROCESS | variables(threads)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def repeat(lesson: Path, *, threads: int = 1, seed: int = 0) -> Outcome:
    """Run one lesson with perturbed weights, its own settings and no cached features."""
    with tempfile.TemporaryDirectory() as name, environment(folder := Path(name), threads):
        insert(lesson, folder / lesson.name)
        return run_notebook(folder / lesson.name, {"SEED": seed}, folder / "executed.ipynb")


def report(lesson: Path, found: Outcome, seconds: float) -> bool:
    """Print a line of the table, and what did not hold; return whether all is well."""
    claims = found.course.get("claim", [])
    failed = [claim for claim in claims if not claim["holds"]]
    print(
        f"{lesson.stem:34}{len(claims) - len(failed):4}/{len(claims):<4}{seconds:8.0f}", flush=True
    )
    for claim in failed:
        print(f"    does not hold: {claim['sentence']}\n        {claim['evidence']}")
    complete = found.error is None and "record" in found.course
    if not complete:
        print(f"    {found}")
    return complete and not failed


def choose(names: list[str]) -> list[Path]:
    known = {path.name[:2]: path for path in LESSONS}
    chosen = [Path(name) if name.endswith(".ipynb") else known.get(name) for name in names]
    if None in chosen:
        raise CourseError(f"lessons are named by numbers, {', '.join(known)}, or by their files.")
    return [path for path in chosen if path] or LESSONS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lessons", metavar="NN", nargs="*", help="numbers; all if none is given")
    parser.add_argument("--threads", type=int, default=1, help="of each framework (1)")
    parser.add_argument("--seed", type=int, default=0, help="the parameter SEED (0)")
    options = parser.parse_args(arguments)
    lessons = choose(options.lessons)
    print(f"{'lesson':34}{'claims held':>11}{'seconds':>9}")
    good = []
    for lesson in lessons:
        began = time.perf_counter()
        found = repeat(lesson, threads=options.threads, seed=options.seed)
        good.append(report(lesson, found, time.perf_counter() - began))
    return 0 if all(good) else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except CourseError as error:
        raise SystemExit(str(error)) from None
