"""Importing `helpers` is quick, silent and local; each check needs a process of its own."""

import pkgutil
import subprocess
import sys

from helpers.base.paths import ROOT

FRAMEWORKS = {"keras", "tensorflow", "torch"}
KERAS = {"keras_models", "features"}  # the only modules that import Keras
# the only modules that import torch
TORCH = {"adaptation", "balancing", "regularization", "torch_models", "training"}
MODULES = {module.name for module in pkgutil.iter_modules([str(ROOT / "helpers")])}
NO_NETWORK = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_no_framework_is_imported_before_it_is_needed() -> None:
    assert frameworks_after(MODULES - KERAS - TORCH) == "[]\n"


def test_torch_comes_alone() -> None:
    assert frameworks_after(TORCH) == "['torch']\n"


def frameworks_after(modules: set[str]) -> str:
    names = ", ".join(f"helpers.{name}" for name in sorted(modules))
    code = f"import {names}; print(sorted({FRAMEWORKS!r} & sys.modules.keys()))"
    reply = python(NO_NETWORK + code)
    assert reply.returncode == 0, reply.stderr
    assert reply.stderr == ""
    return reply.stdout


def test_command_line_starts_without_slow_imports() -> None:
    code = (
        "import sys, helpers.course.cli; "
        "print(sys.modules.keys() & {'numpy', 'papermill', 'pandas'})"
    )
    assert python(code).stdout == "set()\n"


def test_tensorflow_before_helpers_before_torch() -> None:
    """Two copies of LLVM would abort the process: only the return code tells.

    That `helpers` may also come first is tested in test_environment.
    """
    code = (
        "import tensorflow, helpers.keras_models, torch, torchvision; "
        "torch.optim.Adam([torch.zeros(1, requires_grad=True)])"
    )
    reply = python(NO_NETWORK + code)
    assert reply.returncode == 0, reply.stderr
