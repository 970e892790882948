"""Every lesson runs through papermill with its smoke profile, from a folder that is not its own."""

from pathlib import Path

import pytest
from running import LESSONS, outcome, run_notebook, smoke


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_smoke_profile(lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run_notebook(lesson, smoke(lesson), tmp_path / lesson.name)
    assert found.error is None, str(found)
    (record,) = found.course["record"]
    assert record["headline"]
    assert record["metrics"]
    assert record["parameters"].items() >= smoke(lesson).items()
    claims = found.course.get("claim", [])
    assert not any(claim["enforced"] for claim in claims)
    assert len(claims) == len(outcome(lesson).course.get("claim", []))
