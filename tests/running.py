"""Running a lesson by plain papermill, and what its notebook then holds."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml

from helpers.base.paths import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@dataclass
class Outcome:
    """How the run of a notebook ended.

    Attributes:
        error: type and message of the exception that ended it, or None.
        cell: number of the code cell that raised it, from 1; the inserted cell counts.
        course: the data that `claim`, `check` and `record` left, by their kind.
    """

    error: tuple[str, str] | None = None
    cell: int = 0
    source: str = ""
    course: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.error is None:
            return "recorded" if "record" in self.course else "nothing recorded"
        kind, message = self.error
        return f"code cell {self.cell} raises {kind}: {message}"


def run_notebook(source: Path, parameters: dict[str, Any], output: Path) -> Outcome:
    """Execute a notebook by plain papermill."""
    from papermill import PapermillExecutionError, execute_notebook

    with suppress(PapermillExecutionError):  # the notebook holds the error
        execute_notebook(
            source,
            output,
            parameters,
            kernel_name="python3",
            progress_bar=False,
            # Otherwise every kernel prints a warning about its own transport.
            extra_arguments=["--log-level=CRITICAL"],
        )
    return outcome(output)


def outcome(path: Path) -> Outcome:
    """What an executed notebook holds."""
    found = Outcome()
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error" and found.error is None:
                found.error = (output.ename, output.evalue)
                found.cell, found.source = number, cell.source
            data = output.get("metadata", {}).get("course", {})
            if data:
                found.course.setdefault(data["kind"], []).append(data)
    return found


def smoke(lesson: Path) -> dict[str, Any]:
    """The parameters of a lesson's smoke profile."""
    profile = lesson.parent / "profiles" / "smoke" / f"{lesson.name[:2]}.yaml"
    return yaml.safe_load(profile.read_text(encoding="utf-8")) or {}
