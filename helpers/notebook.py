"""What every notebook of the course does: start, make claims, check exercises, record results.

Claims, exercise checks and the record are ordinary text outputs; the same facts lie as data in the
output's metadata under ``course``, where `course run` and `course report` find them.
"""

import ast
import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import nbformat
import numpy as np
import psutil
from IPython.display import display
from threadpoolctl import threadpool_limits

from helpers.data import check_dataset
from helpers.errors import CourseError
from helpers.paths import ROOT

Number = int | float


@dataclass(frozen=True)
class _Range:
    """Allowed values of a number, or of each element of a list."""

    kind: type[int] | type[float]
    low: Number
    high: Number
    why: str = ""
    many: bool = False


_SIZE_WHY = " (VGG16 halves the image five times, so it needs at least 32)"
# One meaning and one range per parameter name, in the whole course.
PARAMETERS: dict[str, _Range | Literal["dataset"]] = {
    "SEED": _Range(int, 0, 2**31 - 1),
    "DATASET": "dataset",
    "SOURCE": "dataset",
    "TARGET": "dataset",
    "IMAGE_SIZE": _Range(int, 32, 512, _SIZE_WHY),
    "LARGE_SIZE": _Range(int, 32, 512, _SIZE_WHY),
    "SMALL_SIZE": _Range(int, 32, 512, _SIZE_WHY),
    "PER_CLASS": _Range(int, 2, 100_000),
    "PER_CLASS_SIZES": _Range(int, 2, 100_000, many=True),
    "TEST_PER_CLASS": _Range(int, 2, 100_000),
    "VAL_PER_CLASS": _Range(int, 2, 100_000),
    "SHOTS": _Range(int, 1, 100_000, many=True),
    "DRAWS": _Range(int, 2, 100),
    "RESNET_DRAWS": _Range(int, 2, 100),
    "SCHEDULE_DRAWS": _Range(int, 2, 100),
    "EPOCHS": _Range(int, 1, 1000),
    "STEPS": _Range(int, 1, 100_000),
    "SOURCE_STEPS": _Range(int, 1, 100_000),
    "TUNE_STEPS": _Range(int, 1, 100_000),
    "BATCH_SIZE": _Range(int, 1, 4096),
}


class ClaimError(CourseError):
    """A sentence the lesson teaches did not hold with the lesson's own settings."""


@dataclass
class _Run:
    notebook: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    enforce: bool = False
    began: float = 0.0


_run = _Run()


def start(
    notebook: str, *, framework: Literal["keras", "torch"] | None = None, **parameters: Any
) -> None:
    """Check the parameters, seed every generator, and print what will be used.

    Claims are enforced when all parameters but SEED have the values stored in the notebook; with
    any other value they are reported only, since they were established for those settings.

    Args:
        notebook: its number, ``"02"``.
        framework: imported here, after the parameters were found good, because it is slow.
        **parameters: every name in the cell tagged ``parameters``, with its value.

    Raises:
        CourseError: in one sentence, the first parameter that cannot be used and what can.
    """
    for name, value in parameters.items():
        _check_parameter(name, value)
    defaults = _stored_parameters(notebook)
    changed = {name for name, value in parameters.items() if defaults.get(name) != value}
    _run.notebook = notebook
    _run.parameters = dict(parameters)
    _run.enforce = changed <= {"SEED"} and bool(defaults)
    _run.began = time.perf_counter()
    # NumPy's and SciPy's matrices are small here: a second thread gains little, and while another
    # program is busy the two wait for each other and run several times slower.
    threadpool_limits(1, user_api="blas")
    seed = parameters["SEED"]
    random.seed(seed)
    np.random.seed(seed)
    lines = [f"Notebook {notebook} with seed {seed}"]
    if framework == "keras":
        lines.append(_start_keras(seed))
    elif framework == "torch":
        lines.append(_start_torch(seed))
    settings = [f"{name}={value!r}" for name, value in parameters.items() if name != "SEED"]
    lines.append("Settings: " + ", ".join(settings))
    if changed - {"SEED"}:
        lines.append(
            f"Changed: {', '.join(sorted(changed - {'SEED'}))}; claims are reported, not enforced."
        )
    print("\n".join(lines))


def claim(sentence: str, holds: bool | np.bool_, evidence: str) -> None:
    """State what the lesson teaches, with its evidence; stop if it does not hold.

    Raises:
        ClaimError: it does not hold although the notebook runs with its own settings.
    """
    verdict = "holds" if holds else "DOES NOT HOLD"
    _show(
        f"Claim {verdict}: {sentence}\n    Evidence: {evidence}",
        kind="claim",
        sentence=sentence,
        holds=bool(holds),
        enforced=_run.enforce,
        evidence=evidence,
    )
    if not holds and _run.enforce:
        raise ClaimError(f"this claim does not hold: {sentence} Evidence: {evidence}")


def check(exercise: str, answer: Any) -> None:
    """Check an answer to an exercise; print what is right or a hint, and never stop the notebook.

    Args:
        exercise: its number, ``"01.2"``: the second exercise of notebook 01.
        answer: the reader's value or function; ``...`` (also in a dictionary) means not tried yet.
    """
    from helpers.exercises import CHECKS

    hint = ""
    given = answer.values() if isinstance(answer, dict) else [answer]
    if any(value is ... for value in given):
        hint = "replace the three dots by your answer."
    else:
        try:
            CHECKS[exercise](_must_return(answer) if callable(answer) else answer)
        except AssertionError as error:
            hint = str(error) or "an assertion in your code does not hold."
        except Exception as error:  # the reader's code may fail in any way
            hint = f"your code stopped with {type(error).__name__}: {error}"
    passed = not hint
    text = f"Exercise {exercise}: " + ("correct." if passed else f"not yet: {hint}")
    _show(text, kind="exercise", id=exercise, passed=passed, hint=hint)


def _must_return(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but with a hint for the commonest slip of all."""

    def checked(*arguments: Any, **options: Any) -> Any:
        value = function(*arguments, **options)
        assert value is not None, "your function returns nothing; does it end with `return`?"
        return value

    return checked


def record(headline: str, **metrics: Number) -> None:
    """End the notebook: show the run's results and leave them as data in the output.

    Args:
        headline: the one result for the overview table, for example ``"accuracy 0.86"``.
        **metrics: numbers by name. Those that are not finite are shown but not kept as data:
            JSON knows no NaN.
    """
    seconds = time.perf_counter() - _run.began
    memory = _peak_memory_mb()
    values = {name: float(value) for name, value in metrics.items()}
    table = "\n".join(f"    {name} = {value:.4g}" for name, value in values.items())
    _show(
        f"Recorded: {headline}\n{table}\n    ({seconds:.0f} seconds, {memory / 1024:.1f} GB)",
        kind="record",
        notebook=_run.notebook,
        parameters=_run.parameters,
        metrics={name: value for name, value in values.items() if np.isfinite(value)},
        headline=headline,
        seconds=round(seconds, 1),
        peak_memory_mb=round(memory),
        versions=_versions(),
    )


def _show(text: str, **data: Any) -> None:
    display({"text/plain": text}, raw=True, metadata={"course": data})


def _check_parameter(name: str, value: Any) -> None:
    rule = PARAMETERS[name]
    if rule == "dataset":
        if not isinstance(value, str):
            raise CourseError(f"{name} must be the name of a data set, not {value!r}.")
        try:
            check_dataset(value)
        except CourseError as error:
            raise CourseError(f"{name}: {error}") from None
        return
    values: Any = value if rule.many else [value]
    what = "a whole number" if rule.kind is int else "a number"
    if rule.many:
        what = f"a list of {what.removeprefix('a ')}s, each"
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(_allowed(number, rule) for number in values)
    ):
        raise CourseError(
            f"{name} must be {what} from {rule.low} to {rule.high}{rule.why}, not {value!r}."
        )


def _allowed(number: Any, rule: _Range) -> bool:
    # Not isinstance: True is an int, and `EPOCHS True` is a slip.
    return number.__class__ is rule.kind and rule.low <= number <= rule.high


def _stored_parameters(notebook: str) -> dict[str, Any]:
    """Values in the stored notebook's cell tagged ``parameters``; {} if it is not there."""
    for path in (ROOT / "notebooks").glob(f"{notebook}_*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if "parameters" in cell.metadata.get("tags", []):
                return {
                    node.target.id: ast.literal_eval(node.value)
                    for node in ast.parse(cell.source).body
                    if isinstance(node, ast.AnnAssign)
                    and isinstance(node.target, ast.Name)
                    and node.value is not None
                }
    return {}


def _start_keras(seed: int) -> str:
    # TensorFlow greets from C++ before any log level applies; nothing else is hidden.
    with _no_stderr():
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing hints
    keras.utils.set_random_seed(seed)
    device = f"{len(gpus)} GPU" if gpus else f"CPU ({os.cpu_count()} cores)"
    return f"Keras {keras.__version__} on TensorFlow {tf.__version__}, {device}"


def _start_torch(seed: int) -> str:
    import torch

    torch.manual_seed(seed)
    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f"CPU ({os.cpu_count()} cores)"
    return f"PyTorch {torch.__version__.split('+')[0]} on {device}"


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a while (C++ libraries write there directly)."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _peak_memory_mb() -> float:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return float(psutil.Process().memory_info().peak_wset) / 2**20  # type: ignore[attr-defined]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _versions() -> Mapping[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in ("numpy", "scikit-learn", "keras", "tensorflow", "torch", "torchvision"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
