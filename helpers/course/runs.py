"""A plan of runs: which lessons, with which parameters, checked before anything starts."""

import ast
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import nbformat

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.course.parameters import PARAMETERS, Parameters, check_parameter, defaults
from helpers.data.photographs import find_folder


@dataclass(frozen=True, eq=False)
class Run:
    """One lesson with its parameters.

    Attributes:
        notebook: file of the lesson.
        text: what was in it when the plan was made.
        given: parameters to inject.
        changed: those that were asked for, not by a profile, and are not the lesson's own.
        key: hash of all that the result depends on.
        seconds: what the stored notebook took, if it says so.
    """

    notebook: Path
    text: str = field(repr=False)
    given: Parameters
    changed: Parameters
    key: str
    seconds: float

    @property
    def name(self) -> str:
        """File name of the result, without suffix."""
        return f"{self.notebook.stem}-{self.key[:8]}"

    def __str__(self) -> str:
        return " ".join(
            [self.notebook.stem, *(f"{name}={value}" for name, value in self.changed.items())]
        )


def select_notebooks(names: Sequence[str], folder: Path) -> list[Path]:
    """Notebooks of `folder` in order; all of them for no name.

    Args:
        names: numbers (``"3"``, ``"03"``), ranges (``"00-04"``: those of 00 to 04 that exist), or
            names or paths of notebooks.

    Raises:
        CourseError: there is no such notebook.
    """
    available = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not available:
        raise CourseError(f"there are no notebooks in {folder}.")
    stems = {path.stem: path for path in available.values()}
    chosen = set() if names else set(available.values())
    for name in names:
        if Path(name).suffix == ".ipynb" and Path(name).is_file():
            chosen.add(Path(name).resolve())
        elif Path(name).name.removesuffix(".ipynb") in stems:
            chosen.add(stems[Path(name).name.removesuffix(".ipynb")])
        elif name.zfill(2) in available:
            chosen.add(available[name.zfill(2)])
        elif between := _between(name, available):
            chosen |= {available[number] for number in between}
        else:
            raise CourseError(
                f"there is no notebook {name}; choose from {', '.join(available)}, a range such as "
                "00-04, or the name of a notebook."
            )
    return sorted(chosen, key=lambda path: (path.name, path))


def _between(name: str, available: Iterable[str]) -> list[str]:
    """Numbers in a range; none if `name` is no range. Numbers without a lesson are passed over."""
    if not (ends := re.fullmatch(r"(\d\d?)-(\d\d?)", name)):
        return []
    first, last = (end.zfill(2) for end in ends.groups())
    if first > last:
        raise CourseError(f"the range {name} is empty; write the smaller number first.")
    return [number for number in available if first <= number <= last]


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
    notebooks: Sequence[Path],
    values: Mapping[str, Sequence[Any]],
    profile: str | None = None,
    threads: int = 1,
) -> list[Run]:
    """All combinations of `values` for each notebook, on top of those of its profile.

    A name goes to the notebooks that know it. All names and values are checked here.

    Args:
        notebooks: files of lessons.
        values: one or more values for each name.
        profile: a folder in ``notebooks/profiles``.
        threads: of each kernel; they are part of the key.

    Raises:
        CourseError: no notebook knows a name, a value is not allowed, a profile is missing or names
            something unknown, or a notebook cannot be read.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in notebooks}
    stored = {path: _read(path, text) for path, text in texts.items()}
    known = {path: defaults(notebook) for path, notebook in stored.items()}
    _refuse_unknown(values, {name for names in known.values() for name in names}, "any of these")
    for name, several in values.items():
        for value in several:
            _check(name, value)
    runs: dict[str, Run] = {}
    for path, own in known.items():
        base = _profile(path, profile, own) if profile else {}
        names = [name for name in values if name in own]
        for combination in itertools.product(*(values[name] for name in names)):
            asked = dict(zip(names, combination, strict=True))
            given = base | asked
            changed = {name: value for name, value in asked.items() if value != own[name]}
            key = _key(stored[path], own | given, threads)
            seconds = _seconds(stored[path])
            # Two copies of a lesson are two runs.
            runs.setdefault(f"{path} {key}", Run(path, texts[path], given, changed, key, seconds))
    return list(runs.values())


def _read(path: Path, text: str) -> nbformat.NotebookNode:
    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:  # nbformat raises whatever a damaged file makes it raise
        raise CourseError(f"{path} is no readable notebook ({type(error).__name__}).") from error


def _check(name: str, value: Any) -> None:
    if name in PARAMETERS:
        check_parameter(name, value)


def _profile(notebook: Path, profile: str, known: Iterable[str]) -> Parameters:
    from papermill.iorw import read_yaml_file

    path = notebook.parent / "profiles" / profile / f"{notebook.name[:2]}.yaml"
    if not path.exists():
        raise CourseError(f"the {profile} profile has no file for {notebook.name}: {path}.")
    values: Parameters = read_yaml_file(str(path)) or {}
    _refuse_unknown(values, set(known), f"{notebook.name}, but {path} names it")
    for name, value in values.items():
        _check(name, value)
    return values


def _refuse_unknown(names: Iterable[str], known: set[str], where: str) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name.upper(), known, n=1, cutoff=0.5)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise CourseError(
                f"{name}{hint} is not a parameter of {where}; known are {', '.join(sorted(known))}."
            )


def _key(notebook: nbformat.NotebookNode, parameters: Parameters, threads: int) -> str:
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    folders = [
        _photographs(value)
        for value in parameters.values()
        if isinstance(value, str) and value.startswith("folder:")
    ]
    text = json.dumps([code, parameters, folders, threads, version()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _photographs(name: str) -> list[tuple[str, int, int]]:
    """What lies in a reader's folder, so that a changed folder is another data set."""
    folder = find_folder(name)
    files = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return sorted((str(p.relative_to(folder)), s.st_size, s.st_mtime_ns) for p, s in files)


@cache
def version() -> str:
    """Hash of all code in `helpers`, and of the versions of the libraries that compute."""
    state = hashlib.sha256()
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        state.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    for package in ("tensorflow", "keras", "torch", "scikit-learn", "numpy"):
        try:
            state.update(f"{package} {version_of(package)}".encode())
        except PackageNotFoundError:  # the lessons that need it will say so
            continue
    return state.hexdigest()[:16]


def _seconds(notebook: nbformat.NotebookNode) -> float:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    records = [output.get("metadata", {}).get("course", {}) for output in outputs]
    return max((record.get("seconds", 0.0) for record in records), default=0.0)
