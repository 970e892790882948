"""Which worker runs which test, and in which order; conftest loads the two hooks.

One worker runs a whole file, since the cells of a notebook share a kernel, and slow imports are
paid once. Only tests that start a kernel each go to whichever worker is free. The longest lessons
start first, so that the workers end together.
"""

from functools import lru_cache
from pathlib import Path

import nbformat
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ONE_BY_ONE = {"test_another_machine.py", "test_limits.py", "test_papermill.py"}


class ByFile(LoadScopeScheduling):
    # pytest-xdist's own `loadgroup` would do, but marks no test with pytest 9.2.
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return nodeid if Path(file).name in ONE_BY_ONE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # not by the number of tests
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one process takes the tests as they come
        items.sort(key=lambda item: -expected_seconds(item.path))


@lru_cache
def expected_seconds(path: Path) -> float:
    """Seconds stored in a lesson; then come the tests that start kernels, at last all others."""
    if path.suffix != ".ipynb":
        return float(path.name in ONE_BY_ONE)
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("metadata", {}).get("course", {})
            if data.get("kind") == "record":
                return float(data["seconds"])
    return 0.0  # a solution
