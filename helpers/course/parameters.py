"""Names and ranges of the parameters of all lessons, and the values stored in a lesson."""

import ast
from dataclasses import dataclass
from typing import Any, Literal

import nbformat

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.data import check_dataset

Number = int | float
Parameters = dict[str, Any]


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
    "BATCH_SIZE": _Range(int, 2, 4096, " (BatchNorm cannot train on one image)"),
}


def check_parameter(name: str, value: Any) -> None:
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


def defaults(notebook: nbformat.NotebookNode) -> Parameters:
    """Names and values in the notebook's cell tagged ``parameters``; {} if there is none.

    A value that is no plain literal is kept as its source text.
    """
    found: Parameters = {}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    for target in targets:
                        found[ast.unparse(target)] = _literal(node.value)
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def stored_parameters(notebook: str) -> Parameters:
    """Values in the stored notebook's cell tagged ``parameters``; {} if it is not there."""
    for path in (ROOT / "notebooks").glob(f"{notebook}_*.ipynb"):
        return defaults(nbformat.read(path, as_version=4))
    return {}
