"""What every notebook of the course does: start, conclude, claim, check exercises, record results.

Conclusions, claims, exercise checks and the record are ordinary text outputs; the same facts lie as
data in the output's metadata under ``course``, where `course run` and `course report` find them.
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

import numpy as np
import pandas as pd
from IPython.display import display
from threadpoolctl import threadpool_limits

from helpers.base.errors import CourseError
from helpers.course.frameworks import peak_memory_mb, start_keras, start_torch, versions
from helpers.course.parameters import Number, check_parameter, stored_parameters
from helpers.course.photographs import stored


class ClaimError(CourseError):
    """A sentence that the lesson teaches did not hold with the lesson's own settings."""


@dataclass
class _Run:
    notebook: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    enforce: bool = False
    failed: dict[str, str] = field(default_factory=dict)  # claim -> its evidence
    began: float = 0.0


_run = _Run()


def start(
    notebook: str, *, framework: Literal["keras", "torch"] | None = None, **parameters: Any
) -> None:
    """Check the parameters, seed every generator, and print what will be used.

    Claims are enforced when all parameters but SEED have the values stored in the notebook; with
    any other value they are reported only, since they were established for those settings.
    ``COURSE_REPORT_CLAIMS=1`` in the environment (`course run --report-claims`) reports them too.

    Args:
        notebook: its number, ``"03"``.
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
    reported = os.environ.get("COURSE_REPORT_CLAIMS") == "1"
    _run.enforce = changed <= {"SEED"} and bool(defaults) and not reported
    _run.failed = {}
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
    """State what the lesson teaches, with its evidence.

    A claim that does not hold is noted and the notebook runs on; `record` has the last word.

    Args:
        sentence: what must hold for every seed and on every machine.
        holds: whether it does.
        evidence: the numbers it rests on.
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
    _run.failed.pop(sentence, None)  # a cell may be run again
    if not holds and _run.enforce:
        _run.failed[sentence] = evidence


def conclude(
    estimate: tuple[float, float, float],
    *,
    above: str,
    below: str,
    cannot_tell: str,
    bound: float = 0.0,
) -> None:
    """Answer a prediction with the sentence that this run supports, and with its numbers.

    Args:
        estimate: mean, low and high, such as `evaluation.difference` gives.
        above: said if the whole interval lies above `bound`.
        below: said if the whole interval lies below `bound`.
        cannot_tell: said otherwise.
        bound: what the estimate is compared with.
    """
    mean, low, high = map(float, estimate)
    numbers = {"mean": mean, "low": low, "high": high}  # JSON knows no NaN
    if low > bound:
        verdict, sentence = "above", above
    elif high < bound:
        verdict, sentence = "below", below
    else:
        verdict, sentence = "cannot tell", cannot_tell
    _show(
        f"Answer: {sentence}\n    ({mean:+.3f}, 95% interval {low:+.3f} to {high:+.3f})",
        kind="conclusion",
        verdict=verdict,
        sentence=sentence,
        bound=bound,
        **{name: number for name, number in numbers.items() if isfinite(number)},
    )


def must_fail(call: Callable[[], object], fragment: str) -> None:
    """Run a call that is expected to fail; show its error, and insist that it is this one.

    Args:
        call: takes nothing.
        fragment: what the message must contain; the message is shown from there on.

    Raises:
        AssertionError: the call succeeds, or its message is another one.
    """
    try:
        call()
    except Exception as error:
        message = " ".join(str(error).split())
        assert fragment in message, message
        at = message.index(fragment)
        print(f"{type(error).__name__}: {'…' if at else ''}{message[at : at + 110]}")
    else:
        raise AssertionError("this call was expected to fail")


def run_seed(seed: int, draw: int, phase: int = 0) -> int:
    """A seed for one draw (and one phase of it, 0 to 9) of a notebook that runs with `seed`."""
    return 1000 * seed + 10 * draw + phase


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


def on_photographs(**metrics: Number) -> None:
    """Show this run's metrics beside what the lesson recorded on photographs.

    The stored numbers, a mean over seeds, are in ``data/photographs.json``; `course run NN
    -p DATASET folder:PATH --record-as NAME` puts them there.

    Args:
        **metrics: those to compare, under the names that `record` gets.
    """
    columns = {"this run": pd.Series(metrics, dtype=float)}
    notes = []
    for name, facts in stored(_run.notebook).items():
        seeds = pd.DataFrame([run["metrics"] for run in facts["seeds"].values()])
        columns[name] = seeds.mean()
        notes.append(
            f"{name}: {facts['images']} photographs of {facts['classes']} classes, "
            f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({facts['source']})"
        )
    if not notes:
        print("No run of this lesson on photographs has been recorded yet.")
        return
    table = pd.DataFrame(columns).loc[list(metrics)]
    print("\n".join([table.round(3).to_string(na_rep="-"), *notes]))


def record(headline: str, **metrics: Number) -> None:
    """End the notebook: show the run's results, leave them as data in the output, and judge.

    Args:
        headline: the one result for the overview table, for example ``"accuracy 0.86"``.
        **metrics: numbers by name. Those that are not finite are shown but not kept as data:
            JSON knows no NaN.

    Raises:
        ClaimError: after all was stored, if a claim did not hold with the lesson's own settings.
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
    if _run.failed:
        listed = " ".join(f"{sentence} ({why})" for sentence, why in _run.failed.items())
        count = len(_run.failed)
        raise ClaimError(f"{count} claim{'s do' if count > 1 else ' does'} not hold: {listed}")


def _show(text: str, **data: Any) -> None:
    display({"text/plain": text}, raw=True, metadata={"course": data})
