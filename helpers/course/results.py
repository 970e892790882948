"""What executed notebooks say about themselves: one `Result` each, tables, and grids of seeds."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from helpers.base.cache import atomic_path
from helpers.base.errors import CourseError
from helpers.course.parameters import Parameters

CLAIM = ("sentence", "holds", "enforced", "evidence")
CONCLUSION = ("sentence", "verdict", "bound")  # and mean, low, high where they are finite
# Errors that are sentences of the course: the same run would end the same way again.
SENTENCES = ("CourseError", "ClaimError")


@dataclass
class Result:
    """What one executed notebook says about itself.

    Attributes:
        notebook: file name of the lesson without its suffix, ``"03_feature_reuse"``.
        path: the executed notebook.
        error: one sentence, or None if the notebook ran to its end.
        seconds: the whole run, with the kernel's start; `slowest_cell` is part of it.
        parameters: all of them if the notebook got as far as ``record``, else the injected ones.
        claims: dictionaries with the keys `CLAIM`.
        conclusions: dictionaries with the keys `CONCLUSION`, and mean, low and high.
        finished: it recorded its metrics and then at most its claims failed.
        engine: what `course run` noted: key, threads, version, report_claims.
    """

    notebook: str
    path: Path
    error: str | None = None
    seconds: float | None = None
    slowest_cell: float | None = None
    peak_memory_mb: float | None = None
    headline: str = ""
    parameters: Parameters = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    claims: list[dict[str, Any]] = field(default_factory=list)
    conclusions: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    ended: str = ""
    engine: dict[str, Any] = field(default_factory=dict)

    @property
    def claims_held(self) -> str:
        """``"4/5"``, or nothing for a notebook that claims nothing."""
        held = sum(claim["holds"] for claim in self.claims)
        return f"{held}/{len(self.claims)}" if self.claims else ""


def sentence(kind: str, message: str) -> str:
    """First line of an exception; the course's own errors are sentences already."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if kind in SENTENCES else f"{kind}: {line}"[:300]


def read_result(path: Path) -> Result:
    """What the executed notebook at `path` holds: records, claims, errors, papermill's times."""
    try:
        return _read(path)
    except Exception as problem:  # a half-written file, or one of another time, may raise anything
        why = f"not a readable notebook of this course ({type(problem).__name__})"
        return Result(path.stem, path, why)


def _read(path: Path) -> Result:
    notebook = nbformat.read(path, as_version=4)
    papermill = notebook.metadata.get("papermill", {})
    engine = dict(notebook.metadata.get("course", {}))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    result = Result(
        notebook=Path(papermill.get("input_path") or path).stem,
        path=path,
        error=engine.pop("error", None),
        seconds=papermill.get("duration"),
        slowest_cell=max(
            (cell.metadata.get("papermill", {}).get("duration") or 0 for cell in cells),
            default=None,
        ),
        parameters=dict(papermill.get("parameters", {})),
        ended=papermill.get("end_time") or "",
        engine=engine,
    )
    recorded = claims_failed = False
    for output in (output for cell in cells for output in cell.outputs):
        if output.output_type == "error":
            claims_failed = output.ename == "ClaimError"
            result.error = result.error or sentence(output.ename, output.evalue)
            continue
        data = output.get("metadata", {}).get("course", {})
        if data.get("kind") == "claim":
            result.claims.append({name: data[name] for name in CLAIM})
        elif data.get("kind") == "conclusion":
            numbers = {name: data[name] for name in ("mean", "low", "high") if name in data}
            result.conclusions.append({name: data[name] for name in CONCLUSION} | numbers)
        elif data.get("kind") == "record":
            recorded = True
            result.headline = data["headline"]
            result.metrics |= data["metrics"]
            result.parameters |= data["parameters"]
            result.peak_memory_mb = data["peak_memory_mb"]
            result.seconds = result.seconds or data["seconds"]
    if not result.error and any(cell.execution_count is None for cell in cells):
        result.error = "did not run to its end"
    result.finished = recorded and (claims_failed or not result.error)
    return result


def find_results(folders: Iterable[Path]) -> list[Result]:
    """All executed notebooks in and below `folders`, by lesson and path."""
    paths = {
        path.resolve()
        for folder in folders
        for path in ([folder] if folder.is_file() else folder.rglob("*.ipynb"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    results = [read_result(path) for path in sorted(paths)]
    if not results:
        raise CourseError(f"no executed notebook below {', '.join(map(str, folders))}.")
    return sorted(results, key=lambda result: (result.notebook, result.path))


def changed_parameters(results: Sequence[Result]) -> list[Parameters]:
    """Per result, its SEED and the parameters that differ between runs of the same notebook."""
    values: dict[tuple[str, str], set[str]] = {}
    for result in results:
        for name, value in result.parameters.items():
            values.setdefault((result.notebook, name), set()).add(repr(value))
    return [
        {
            name: value
            for name, value in result.parameters.items()
            if name == "SEED" or len(values[result.notebook, name]) > 1
        }
        for result in results
    ]


@dataclass(frozen=True)
class Row:
    """Runs that differ in nothing but SEED; `metrics` holds mean, low and high over the seeds.

    The interval (95%, Student's t) is None for a metric that only one seed has.
    """

    parameters: Parameters
    seeds: int
    metrics: dict[str, tuple[float, float | None, float | None]]

    def text(self, metric: str) -> str:
        """``"0.92 (0.88 to 0.96)"``, or nothing if there is no such metric."""
        if metric not in self.metrics:
            return ""
        mean, low, high = self.metrics[metric]
        return f"{mean:.3g}" if low is None else f"{mean:.3g} ({low:.3g} to {high:.3g})"


@dataclass(frozen=True)
class Grid:
    """The rows of one lesson; `headline` names the metrics that its headline shows."""

    notebook: str
    rows: list[Row]
    headline: list[str]

    @property
    def names(self) -> list[str]:
        """Parameters that differ between rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row.parameters))

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.metrics))


def grids(results: Sequence[Result]) -> list[Grid]:
    """The lessons of which there are several runs with metrics, seeds of a kind gathered.

    Of several runs with the very same parameters the latest counts.
    """
    from helpers.evaluation import interval_of_draws  # slow to import

    found = []
    for lesson in dict.fromkeys(result.notebook for result in results):
        ran = sorted((r for r in results if r.notebook == lesson and r.metrics), key=_ended)
        runs = list({repr(sorted(run.parameters.items())): run for run in ran}.values())
        if len(runs) < 2:
            continue
        groups: dict[str, list[Result]] = {}
        for run in runs:
            groups.setdefault(repr(sorted(_without_seed(run).items())), []).append(run)
        differ = {name for changed in changed_parameters(runs) for name in changed} - {"SEED"}
        rows = []
        for group in groups.values():
            metrics: dict[str, tuple[float, float | None, float | None]] = {}
            for name in dict.fromkeys(name for run in group for name in run.metrics):
                values = np.array([run.metrics[name] for run in group if name in run.metrics])
                alone = len(values) == 1
                metrics[name] = (values[0], None, None) if alone else interval_of_draws(values)
            kept = {name: v for name, v in group[0].parameters.items() if name in differ}
            rows.append(Row(kept, len(group), metrics))
        rows.sort(key=lambda row: [_order(row.parameters.get(name)) for name in sorted(differ)])
        found.append(Grid(lesson, rows, _headline_metrics(runs)))
    return found


def _ended(result: Result) -> str:
    return result.ended


def _without_seed(result: Result) -> Parameters:
    return {name: value for name, value in result.parameters.items() if name != "SEED"}


def _order(value: Any) -> tuple[float, str]:
    """Numbers in order, then all else by its text."""
    return (value, "") if isinstance(value, int | float) else (float("inf"), str(value))


def _headline_metrics(runs: Sequence[Result]) -> list[str]:
    """Metrics whose value stands in the headline of most runs; three others if none does."""
    names = list(dict.fromkeys(name for run in runs for name in run.metrics))
    shown = [
        name
        for name in names
        if sum(f"{run.metrics.get(name, float('nan')):.2f}" in run.headline for run in runs)
        > len(runs) / 2
    ]
    return shown or names[:3]


def write_table(results: Sequence[Result], table: Path) -> None:
    """Write `table`: CSV, one row per run with all parameters and metrics."""
    rows = [
        {
            "notebook": result.notebook,
            "file": os.path.relpath(result.path, table.parent),
            "error": result.error,
            "seconds": result.seconds,
            "slowest_cell_seconds": result.slowest_cell,
            "peak_memory_mb": result.peak_memory_mb,
            "headline": result.headline,
            "claims_held": result.claims_held,
            "threads": result.engine.get("threads"),
            "version": result.engine.get("version"),
            **{f"parameter {name}": value for name, value in result.parameters.items()},
            **{f"metric {name}": value for name, value in result.metrics.items()},
        }
        for result in results
    ]
    columns = {name: None for row in rows for name in row}  # in order of appearance
    with atomic_path(table) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)


def write_metrics(results: Sequence[Result], path: Path) -> None:
    """Write JSON: a list of the runs with their parameters, metrics, claims and conclusions."""
    data = [
        {
            "notebook": result.notebook,
            "error": result.error,
            "parameters": result.parameters,
            "metrics": result.metrics,
            "claims": result.claims,
            "conclusions": result.conclusions,
        }
        for result in results
    ]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
