"""Checks of the exercises, a module for each notebook.

Each raises AssertionError with a hint if an answer is not right.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

CHECKS: dict[str, Callable[[Any], None]] = {}
for _module in iter_modules(__path__):
    if _module.name.startswith("lesson_"):
        CHECKS |= import_module(f"{__name__}.{_module.name}").CHECKS
