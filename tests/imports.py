"""What imports what, read from the syntax trees: nothing is imported to find out."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from helpers.base.paths import ROOT

FRAMEWORKS = {"keras": "keras", "tensorflow": "keras", "torch": "torch"}


def imported(tree: ast.AST, functions: bool = True, types: bool = True) -> Iterator[str]:
    """Dotted names: ``from a import b`` gives ``a`` and ``a.b``, which may be a module.

    Args:
        functions: whether imports inside functions count.
        types: whether imports for the type checker count.
    """
    for node in ast.iter_child_nodes(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (functions or not function) and (types or not typing):
            yield from imported(node, functions, types)


def modules() -> list[str]:
    """Every module of `helpers`, packages included."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((ROOT / "helpers").rglob("*.py"))
    ]


def rooms() -> list[str]:
    """The modules and packages that lie flat in `helpers`."""
    return [name for name in modules() if name.count(".") == 1]


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


@lru_cache
def imports(module: str, functions: bool = True, types: bool = True) -> frozenset[str]:
    """Modules that `module` of `helpers` imports, and other packages by their first name."""
    file = _file(module)
    assert file, module
    found = set()
    for name in imported(ast.parse(file.read_text(encoding="utf-8")), functions, types):
        if name.split(".")[0] != "helpers":
            found.add(name.split(".")[0])
        elif _file(name):
            found.add(name)
    # `from helpers.room import module` names the room too, but needs nothing of it.
    inner = {name.rpartition(".")[0] for name in found}
    return frozenset(name for name in found if name not in inner or not _is_room(name)) - {module}


def _is_room(name: str) -> bool:
    file = _file(name)
    return file is not None and file.name == "__init__.py"


@lru_cache
def loaded(module: str) -> frozenset[str]:
    """All that comes with ``import module``: what its imports import, and the rooms above."""
    names, wanted = set(), {module}
    while wanted:
        name = wanted.pop()
        names.add(name)
        if _file(name):
            above = name.rpartition(".")[0]
            wanted |= ({above} if above else set()) | imports(name, functions=False, types=False)
            wanted -= names
    return frozenset(names)


@lru_cache
def framework(package: str) -> str | None:
    """The framework that a package is, or that it needs: ``"keras"``, ``"torch"``."""
    if package in FRAMEWORKS:
        return FRAMEWORKS[package]
    try:
        needs = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return None
    names = {re.split(r"[^\w-]", text)[0] for text in needs if "extra ==" not in text}
    return next((FRAMEWORKS[name] for name in sorted(names & FRAMEWORKS.keys())), None)


def frameworks(module: str) -> set[str | None]:
    """What a notebook gets that imports `module`: frameworks by name.

    Imports inside its functions count, except where these offer both frameworks: then the caller
    decides, as with `helpers.tasks`.
    """
    if not module.startswith("helpers"):
        return {framework(module.split(".")[0])} - {None}
    if not _file(module):  # a name in a module
        return set()
    later = {framework(name) for name in imports(module, types=False)} - {None}
    found = {framework(name) for name in loaded(module)} - {None}
    return found | later if len(later) == 1 else found
