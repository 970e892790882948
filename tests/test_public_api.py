"""What a lesson can import is used by a lesson, and what is taught stays short."""

import ast
from functools import cache
from pathlib import Path

import nbformat

from helpers.base.paths import ROOT

HELPERS = ROOT / "helpers"
TAUGHT = (
    "adaptation",
    "balancing",
    "evaluation",
    "features",
    "imbalance",
    "keras_models",
    "regularization",
    "tasks",
    "torch_models",
    "transferability",
    "zero_shot",
)
ROOMS = ("data", "training")  # what they re-export
BESIDE = ("notebook", "plots", "text_encoder", "weights")

# Functions for the lessons that are being built on them; a name that is used must leave the list.
SOON = {
    "torch_models.efficientnet_lite0_trunk",
    "weights.efficientnet_lite0_imagenet",
}
# Options, likewise.
OPTIONS_SOON = {
    "adaptation.mmd_rbf unbiased",  # so that penalties are not compared by the noise in them
    "evaluation.bootstrap_interval level",  # all intervals have one
    "evaluation.interval_of_draws level",
    "evaluation.two_way_interval level",
    "torch_models.efficientnet_lite0_trunk weights",
}
# What a lesson holds in its hands without having imported it.
GIVEN = {
    "data.ImageDataset",
    "evaluation.Estimate",
    "evaluation.Interval",
    "keras_models.VGG16Preprocessing",
    "notebook.ClaimError",
    "training.History",
}


@cache
def trees(folder: Path, pattern: str) -> list[ast.Module]:
    """The code of all notebooks that match."""
    found = []
    for path in sorted(folder.glob(pattern)):
        notebook = nbformat.read(path, as_version=4)
        cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        lines = "\n".join(cells).splitlines()
        kept = ["" if line.startswith(("%", "!")) else line for line in lines]
        found.append(ast.parse("\n".join(kept)))
    return found


def lessons() -> list[ast.Module]:
    notebooks = ROOT / "notebooks"
    return [*trees(notebooks, "*.ipynb"), *trees(notebooks / "solutions", "*.ipynb")]


def used(tree: ast.Module) -> set[str]:
    """Names such as ``evaluation.accuracy`` that code imports from helpers and then mentions."""
    names, modules = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "helpers":
            module = (node.module or "").removeprefix("helpers").removeprefix(".")
            for alias in node.names:
                if module:
                    names[alias.asname or alias.name] = f"{module}.{alias.name}"
                else:
                    modules[alias.asname or alias.name] = alias.name
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            found.add(names[node.id])
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ):
            found.add(f"{modules[node.value.id]}.{node.attr}")
    return found


def public() -> dict[str, ast.FunctionDef | ast.ClassDef | None]:
    """Functions and classes of the flat modules, and what the rooms re-export."""
    found: dict[str, ast.FunctionDef | ast.ClassDef | None] = {}
    for module in (*TAUGHT, *BESIDE):
        for node in ast.parse((HELPERS / f"{module}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[f"{module}.{node.name}"] = node
    for room in ROOMS:
        tree = ast.parse((HELPERS / room / "__init__.py").read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        names = [alias.name for node in imports for alias in node.names]
        found |= {f"{room}.{name}": None for name in names if not name.isupper()}  # no constants
    return found


def used_by_plumbing() -> set[str]:
    """What the other modules of helpers use; the registry of weights calls its own functions."""
    paths = [p for p in HELPERS.rglob("*.py") if p.stem not in TAUGHT]
    found = set().union(*(used(ast.parse(p.read_text(encoding="utf-8"))) for p in paths))
    for module in ("weights", "text_encoder"):
        tree = ast.parse((HELPERS / f"{module}.py").read_text(encoding="utf-8"))
        found |= {f"{module}.{node.id}" for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found


def test_every_public_function_is_used_by_a_lesson() -> None:
    by_lessons = set().union(*map(used, lessons()))
    assert len(by_lessons) > 50  # the notebooks were read
    plumbing = {
        name for name in used_by_plumbing() if name.split(".")[0] not in (*TAUGHT, "notebook")
    }
    nobody = public().keys() - by_lessons - plumbing - SOON - GIVEN
    assert not nobody, f"no lesson uses {sorted(nobody)}"
    assert not SOON & by_lessons, f"used by now, no exemption needed: {sorted(SOON & by_lessons)}"
    assert public().keys() >= SOON | GIVEN, "an exemption names what is not there"


def test_every_option_of_what_is_taught_is_set_by_a_lesson() -> None:
    """An option is a parameter with a default; set means by name, or by position."""
    options: dict[str, dict[str, int | None]] = {}  # by function: option -> its place
    for name, node in public().items():
        module = name.split(".")[0]
        if isinstance(node, ast.FunctionDef) and module in (*TAUGHT, "notebook"):
            arguments = node.args
            first = len(arguments.args) - len(arguments.defaults)
            places: dict[str, int | None] = {
                argument.arg: first + i for i, argument in enumerate(arguments.args[first:])
            }
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                if default is not None:
                    places[argument.arg] = None
            options[name] = places
    given: set[str] = set()
    for tree in lessons():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            called = getattr(call.func, "id", getattr(call.func, "attr", None))
            for name in (n for n in options if n.split(".")[1] == called):
                keywords = {keyword.arg for keyword in call.keywords}
                for option, place in options[name].items():
                    by_place = place is not None and len(call.args) > place
                    if option in keywords or None in keywords or by_place:
                        given.add(f"{name} {option}")
    known = {f"{name} {option}" for name, places in options.items() for option in places}
    never = known - given - OPTIONS_SOON
    assert not never, f"no lesson sets {sorted(never)}"
    assert not OPTIONS_SOON & given, f"set by now: {sorted(OPTIONS_SOON & given)}"
    assert known >= OPTIONS_SOON, "an exemption names what is not there"


def test_what_is_taught_is_short() -> None:
    lines = {
        module: len((HELPERS / f"{module}.py").read_text(encoding="utf-8").splitlines())
        for module in TAUGHT
    }
    assert sum(lines.values()) <= 1600, lines
