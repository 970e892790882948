"""``data/photographs.json``: what the lessons recorded on photographs; numbers, never pictures."""

import json
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version as version_of
from typing import Any

from helpers.base.cache import atomic_path
from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.course.results import Result
from helpers.course.runs import Run, version

FILE = ROOT / "data" / "photographs.json"
DATA_PARAMETERS = ("DATASET", "SOURCE", "TARGET")  # parameters that name a data set


def stored(lesson: str) -> dict[str, dict[str, Any]]:
    """What is recorded for a lesson, by the name of the data set; {} if nothing is.

    Each has ``source``, ``licence``, ``classes``, ``images``, and ``seeds``: per seed (a text) its
    ``metrics``, ``parameters``, ``date`` and ``version``.
    """
    data = _read()
    return {
        name: data["sets"][name] | {"seeds": seeds}
        for name, seeds in data["results"].get(lesson, {}).items()
    }


def check(name: str, source: str | None, licence: str | None, runs: Sequence[Run]) -> None:
    """Refuse, before anything runs, what `record_as` could not record.

    Raises:
        CourseError: a lesson would run on its own data, or the name is new and its source or its
            licence is not given.
    """
    for run in runs:
        if not set(DATA_PARAMETERS) & set(run.changed):
            raise CourseError(
                f"{run.notebook.stem} would run on its own data; --record-as is for photographs: "
                f"give one of {', '.join(DATA_PARAMETERS)} too."
            )
    if name not in _read()["sets"] and not (source and licence):
        raise CourseError(f"{name} is a new data set; say --source TEXT and --licence TEXT too.")


def record_as(
    name: str,
    source: str | None,
    licence: str | None,
    runs: Sequence[Run],
    results: Sequence[Result],
) -> int:
    """Write the results that have metrics into the file, and return how many.

    Other lessons, data sets and seeds in it stay as they are. No path is written: a data set that
    was given is called by `name`.
    """
    data, count = _read(), 0
    for run, result in zip(runs, results, strict=True):
        if result.error or not result.metrics:
            continue
        given = {key for key in DATA_PARAMETERS if key in run.changed}
        entry = data["sets"].setdefault(name, {})
        entry |= {key: text for key, text in (("source", source), ("licence", licence)) if text}
        entry |= _size(run.changed[min(given)])
        lesson = data["results"].setdefault(result.notebook[:2], {})
        parameters = {k: name if k in given else v for k, v in result.parameters.items()}
        lesson.setdefault(name, {})[str(parameters.pop("SEED", 0))] = {
            "metrics": result.metrics,
            "parameters": parameters,
            "date": f"{date.today()}",
            "version": f"{version_of('transfer-multitask-course')} ({version()})",
        }
        count += 1
    with atomic_path(FILE) as path:
        text = json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
    return count


def _size(dataset: str) -> dict[str, int]:
    from helpers.data import SPLITS, class_counts

    counts = [class_counts(dataset, split) for split in SPLITS]
    return {"classes": len(counts[0]), "images": sum(sum(count.values()) for count in counts)}


def _read() -> dict[str, Any]:
    if not FILE.exists():
        return {"sets": {}, "results": {}}
    try:
        data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CourseError(f"{FILE} is damaged; take it from the repository again.") from error
    return data
