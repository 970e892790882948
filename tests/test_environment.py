"""pyproject.toml is the one list of what the course needs; the other files follow it."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from helpers.base.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [
    Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
]
TOOLS = {"hypothesis", "mypy", "nbval", "playwright", "pytest", "pytest-xdist", "ruff"}


def locked(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


LOCK = locked("requirements-test.lock")
PYTHONS = ("3.11.2", "3.11.9", "3.12.1", "3.13.0")


def pins(python: str, platform: str) -> dict[str, str]:
    """Version by package for one Python on one platform."""
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "sys_platform": platform,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[platform],
        "os_name": "posix",
    }
    found: dict[str, str] = {}
    for requirement in LOCK:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} is pinned twice for Python {python} on {platform}"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            found[name] = pin.version
    return found


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_holds_every_direct_dependency(python: str, platform: str) -> None:
    versions = pins(python, platform)
    for requirement in DIRECT:
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but locked {version}"


def test_lock_leaves_gpu_libraries_to_the_build_of_pytorch_that_needs_them() -> None:
    """Pinned here, they would come 5 GB at a time also beside PyTorch's CPU build."""
    assert not [name for name in pins("3.11.9", "linux") if re.match("nvidia-|cuda-|triton", name)]


def test_locks_agree_and_the_lean_one_has_no_tools() -> None:
    lean = [str(requirement) for requirement in locked("requirements.lock")]
    assert set(lean) < {str(requirement) for requirement in LOCK}
    assert not TOOLS & {requirement.name for requirement in locked("requirements.lock")}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_lock_names_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|@ ", text)


def test_readme_names_the_locked_versions_of_pytorch() -> None:
    text, versions = (ROOT / "README.md").read_text(encoding="utf-8"), pins("3.11.9", "linux")
    for name in ("torch", "torchvision"):
        assert re.findall(rf"\b{name}==([\d.]+\d)", text) == [versions[name]]


def test_conda_environment_follows_the_project() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment.keys() == {"name", "channels", "dependencies"}
    assert environment["name"] == PROJECT["name"]
    python, pip, from_pip = environment["dependencies"]
    assert SpecifierSet(python.removeprefix("python ")) == SpecifierSet(PROJECT["requires-python"])
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.lock", "-e ."]}


def test_tensorflow_and_torch_share_a_process_that_imports_helpers_first() -> None:
    """Without helpers, this aborts (two copies of LLVM): the return code is what tells."""
    code = (
        "import helpers, tensorflow, torch, torchvision; "
        "torch.optim.Adam([torch.zeros(1, requires_grad=True)])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
