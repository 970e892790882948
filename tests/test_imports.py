"""Importing `helpers` is quick, silent and local, and goes one way only."""

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from imports import framework, imports, loaded, modules, rooms
from support import rule

from helpers.base.paths import ROOT

NO_NETWORK = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""
# From the bottom to the top; all else (methods, models, training, plots, exercises) is 2.
LEVELS = {"base": 0, "data": 1, "weights": 1, "text_encoder": 1, "course": 3, "notebook": 4}
PLUMBING = {"cli", "runs", "engine", "results", "pages", "doctor", "parameters", "frameworks"}


def test_no_circle() -> None:
    """Imports inside functions and for types only count too. The error names the circle."""
    TopologicalSorter({name: imports(name) for name in modules()}).prepare()


@rule(modules())
def test_imports_go_from_the_top_to_the_bottom(module: str) -> list[str]:
    return [
        f"imports {name}"
        for name in imports(module)
        if name.startswith("helpers.") and level(name) > level(module)
    ]


def level(module: str) -> int:
    room = f"{module}.".split(".")[1]
    return LEVELS.get(room, 2) if room else 0


def test_plumbing_is_not_beside_the_methods() -> None:
    assert not PLUMBING & {name.removeprefix("helpers.") for name in rooms()}


@pytest.mark.parametrize(
    ("needed", "expected"),
    [(set(), []), ({"torch"}, ["torch"]), ({"keras"}, ["keras", "tensorflow"])],
    ids=["none", "torch", "keras"],
)
def test_a_framework_is_imported_where_it_is_needed(needed: set[str], expected: list[str]) -> None:
    """The modules that need no framework, torch, Keras: each kind imported in a process."""
    chosen = [
        name
        for name in modules()
        if {found for part in loaded(name) if (found := framework(part))} == needed
    ]
    assert chosen, "the test has nothing to import"
    code = f"import {', '.join(chosen)}\nprint(sorted({{'keras', 'tensorflow', 'torch'}} & "
    reply = python(NO_NETWORK + code + "sys.modules.keys()))")
    assert reply.returncode == 0, reply.stderr
    # TensorFlow greets from C++ before any log level applies; `start` hides it in a lesson.
    assert reply.stderr == "" or needed == {"keras"}
    assert reply.stdout == f"{expected}\n"


def test_no_module_imports_both_frameworks() -> None:
    both = [n for n in modules() if len({framework(part) for part in loaded(n)} - {None}) > 1]
    assert both == []


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_command_line_starts_without_slow_imports() -> None:
    code = (
        "import sys, helpers.course.cli; "
        "print(sys.modules.keys() & {'numpy', 'papermill', 'pandas', 'distributed'})"
    )
    assert python(code).stdout == "set()\n"


@pytest.mark.parametrize("first", ["helpers, tensorflow, torch", "tensorflow, helpers, torch"])
def test_both_frameworks_in_one_process(first: str) -> None:
    """Two copies of LLVM abort the process where Triton comes late: the return code tells.

    A worker of the tests runs files of both frameworks; without `helpers` it would abort.
    """
    code = f"""
import {first}, torchvision, helpers.keras_models, helpers.torch_models, keras, torch
layer = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(layer.parameters())
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(keras.ops.ones((2, 2)), keras.ops.ones((2, 1)), verbose=0)
"""
    reply = python(NO_NETWORK + code)
    assert reply.returncode == 0, reply.stderr
