"""What every notebook of the course does: start, make claims, check exercises, record results.

Claims, exercise checks and the record are ordinary text outputs; the same facts lie as data in the
output's metadata under ``course``, where `course run` and `course report` find them.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from IPython.display import display
from threadpoolctl import threadpool_limits

from helpers.base.errors import CourseError
from helpers.course.frameworks import peak_memory_mb, start_keras, start_torch, versions
from helpers.course.parameters import Number, check_parameter, stored_parameters


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
        check_parameter(name, value)
    defaults = stored_parameters(notebook)
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
        lines.append(start_keras(seed))
    elif framework == "torch":
        lines.append(start_torch(seed))
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
    memory = peak_memory_mb()
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
        versions=versions(),
    )


def _show(text: str, **data: Any) -> None:
    display({"text/plain": text}, raw=True, metadata={"course": data})
