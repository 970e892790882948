"""Run notebooks through papermill and gather what they record."""

import ast
import csv
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import nbformat

from helpers.base.cache import atomic_path
from helpers.base.errors import CourseError
from helpers.course.pages import notebook_page, results_page

# What kernels need besides the variables that importing `helpers` has set, and they inherit.
KERNEL_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}

CLAIM = ("sentence", "holds", "enforced", "evidence")

Parameters = dict[str, Any]


@dataclass
class Result:
    """What one executed notebook says about itself.

    Attributes:
        notebook: file name of the lesson without its suffix, ``"02_feature_reuse"``.
        path: the executed notebook.
        error: one sentence, or None if the notebook ran to its end.
        seconds: the whole run, with the kernel's start; `slowest_cell` is part of it.
        parameters: all of them if the notebook got as far as ``record``, else the injected ones.
        claims: dictionaries with the keys `CLAIM`.
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

    @property
    def claims_held(self) -> str:
        """``"4/5"``, or nothing for a notebook that claims nothing."""
        held = sum(claim["holds"] for claim in self.claims)
        return f"{held}/{len(self.claims)}" if self.claims else ""


def _sentence(kind: str, message: str) -> str:
    """First line of an exception; the course's own errors are sentences already."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if kind in ("CourseError", "ClaimError") else f"{kind}: {line}"[:300]


def select_notebooks(numbers: Sequence[str], folder: Path) -> list[Path]:
    """Notebooks with these numbers (``"2"`` or ``"02"``), in order; all of them for no number.

    Raises:
        CourseError: there is no notebook with such a number.
    """
    available = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not available:
        raise CourseError(f"there are no notebooks in {folder}.")
    wanted = {number.zfill(2) for number in numbers} or set(available)
    if unknown := sorted(wanted - set(available)):
        raise CourseError(f"there is no notebook {unknown[0]}; choose from {', '.join(available)}.")
    return [path for number, path in available.items() if number in wanted]


def parse_value(text: str) -> Any:
    """A parameter's value as papermill's ``-p`` reads it, and lists, which papermill leaves alone.

    ``True``, ``False``, ``None``, whole numbers, numbers, ``[10, 20]``; all else is text.
    """
    constants = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for parse in (int, float, ast.literal_eval) if text.startswith("[") else (int, float):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    return text


def plan(
    notebooks: Sequence[Path], parameters: Parameters, profile: str | None = None
) -> dict[Path, Parameters]:
    """The parameters each notebook gets: those of its profile, then those of `parameters`.

    Each of `parameters` goes to the notebooks that know its name.

    Raises:
        CourseError: no notebook knows a name, or a profile is missing or names something unknown.
    """
    from papermill import inspect_notebook
    from papermill.iorw import read_yaml_file

    known = {notebook: set(inspect_notebook(notebook)) for notebook in notebooks}
    _refuse_unknown(parameters, set().union(*known.values()), "of these notebooks")
    plans: dict[Path, Parameters] = {}
    for notebook, names in known.items():
        plans[notebook] = {}
        if profile:
            path = notebook.parent / "profiles" / profile / f"{notebook.name[:2]}.yaml"
            if not path.exists():
                raise CourseError(f"the {profile} profile has no file for {notebook.name}: {path}.")
            plans[notebook] = read_yaml_file(str(path)) or {}
            _refuse_unknown(plans[notebook], names, f"of {notebook.name}, which {path} names")
        plans[notebook] |= {name: value for name, value in parameters.items() if name in names}
    return plans


def _refuse_unknown(names: Iterable[str], known: set[str], where: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.5)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CourseError(
                f"{name}{hint} is not a parameter {where}; known are {', '.join(sorted(known))}."
            )


def execute(
    notebook: Path,
    parameters: Parameters,
    folder: Path,
    on_cell: Callable[..., None] = lambda *, completed, total: None,
) -> Result:
    """Run `notebook` in a kernel of its own and store it, executed, and as HTML in `folder`.

    The kernel works in the current folder, as with plain papermill. The executed notebook appears
    atomically, also after an error; an interrupted one leaves nothing behind.

    Args:
        on_cell: called before each cell with the numbers of cells ``completed`` and in ``total``.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # the result says it all
    for name, value in KERNEL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    folder.mkdir(parents=True, exist_ok=True)
    total = len(nbformat.read(notebook, as_version=4).cells)
    target, partial = folder / notebook.name, folder / f".{notebook.name}"
    error = None
    try:
        try:
            execute_notebook(
                notebook,
                partial,
                parameters,
                kernel_name="python3",
                progress_bar=False,
                on_cell_start=lambda cell, cell_index: on_cell(completed=cell_index, total=total),
                # Otherwise every kernel prints a warning about its own transport.
                extra_arguments=["--log-level=CRITICAL"],
            )
        except PapermillExecutionError:
            pass  # the notebook holds the error
        except DeadKernelError:
            error = "the kernel died: out of memory, or a crash inside a library"
        except Exception as problem:  # such as a kernel that does not start
            error = _sentence(type(problem).__name__, str(problem))
        executed = nbformat.read(partial, as_version=4)
        executed.metadata.papermill.output_path = str(target)
        if error:
            executed.metadata.course = {"error": error}
        nbformat.write(executed, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    with atomic_path(target.with_suffix(".html")) as path:
        path.write_text(notebook_page(target), encoding="utf-8")
    return read_result(target)


def read_result(path: Path) -> Result:
    """What the executed notebook at `path` holds: records, claims, errors, papermill's times."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as problem:  # nbformat raises whatever a half-written file makes it raise
        return Result(path.stem, path, f"not a readable notebook ({type(problem).__name__})")
    papermill = notebook.metadata.get("papermill", {})
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    result = Result(
        notebook=Path(papermill.get("input_path", path)).stem,
        path=path,
        error=notebook.metadata.get("course", {}).get("error"),
        seconds=papermill.get("duration"),
        slowest_cell=max(
            (cell.metadata.get("papermill", {}).get("duration") or 0 for cell in cells),
            default=None,
        ),
        parameters=dict(papermill.get("parameters", {})),
    )
    for output in (output for cell in cells for output in cell.outputs):
        if output.output_type == "error":
            result.error = result.error or _sentence(output.ename, output.evalue)
            continue
        data = output.get("metadata", {}).get("course", {})
        if data.get("kind") == "claim":
            result.claims.append({name: data[name] for name in CLAIM})
        elif data.get("kind") == "record":
            result.headline = data["headline"]
            result.metrics |= data["metrics"]
            result.parameters |= data["parameters"]
            result.peak_memory_mb = data["peak_memory_mb"]
            result.seconds = result.seconds or data["seconds"]
    if not result.error and any(cell.execution_count is None for cell in cells):
        result.error = "did not run to its end"
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


def write_tables(results: Sequence[Result], table: Path, page: Path, title: str) -> None:
    """Write `table` (CSV, one row per run with all parameters and metrics) and `page` (HTML)."""
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
    with atomic_path(page) as path:
        path.write_text(results_page(results, page.parent, title), encoding="utf-8")


def write_metrics(results: Sequence[Result], path: Path) -> None:
    """Write JSON: per lesson its parameters, metrics and claims."""
    data = {
        result.notebook: {
            "error": result.error,
            "parameters": result.parameters,
            "metrics": result.metrics,
            "claims": result.claims,
        }
        for result in results
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
