"""Every lesson runs through papermill with its smoke profile, from a folder that is not its own."""

from pathlib import Path

import pytest

from helpers.base.paths import ROOT
from helpers.course import engine, runs
from helpers.course.kernels import Settings
from helpers.course.results import read_result

LESSONS = runs.select_notebooks([], ROOT / "notebooks")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_smoke_profile(lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = runs.plan([lesson], {}, "smoke")
    result = engine.execute(run, tmp_path / "run", Settings())
    assert result.error is None
    assert result.headline
    assert result.metrics
    assert result.parameters.items() >= run.given.items()
    assert not any(claim["enforced"] for claim in result.claims)
    assert len(result.claims) == len(read_result(lesson).claims)
