"""Every lesson with the smallest values its parameters may have, and with a reader's small folder.

A run either ends with its record, or stops at once with one sentence that names the parameter and
says what is allowed; nothing in between, and no traceback of a library.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running import LESSONS, Outcome, run_notebook, smoke
from support import is_one_sentence

from helpers.course.parameters import PARAMETERS, stored_parameters

AT_ONCE = 6  # code cells in which a lesson may refuse: nothing has been computed so far
FOLDERS = [
    path for path in LESSONS if {"DATASET", "SOURCE"} & set(stored_parameters(path.name[:2]))
]


def smallest(name: str, stored: Any) -> Any:
    """The lower end of a range; of a list, as many values as are stored."""
    rule = PARAMETERS[name]
    assert rule != "dataset"
    return [rule.low + place for place in range(len(stored))] if rule.many else rule.low


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_smallest_values(lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once; what a refusal names goes back to its smoke value, and the rest is tried."""
    monkeypatch.chdir(tmp_path)
    stored = stored_parameters(lesson.name[:2])
    low = {n: smallest(n, value) for n, value in stored.items() if PARAMETERS[n] != "dataset"}
    while True:
        found = run_notebook(lesson, smoke(lesson) | low, tmp_path / lesson.name)
        if found.error is None:
            break
        refused = says_what_is_allowed(found, set(low))
        print(found)
        for name in refused:
            del low[name]
    assert "record" in found.course


def says_what_is_allowed(found: Outcome, names: set[str]) -> set[str]:
    """The parameters that the refusal names; fails if it is no refusal of the right form."""
    assert found.error
    kind, message = found.error
    assert kind == "CourseError", str(found)
    assert found.cell <= AT_ONCE, f"too late: {found}"
    assert is_one_sentence(message), message
    named = {name for name in names if name in message.replace("'", " ").replace("=", " ").split()}
    assert named, f"names none of {sorted(names)}: {message}"
    return named


@pytest.mark.parametrize("lesson", FOLDERS, ids=lambda path: path.stem)
def test_two_classes_of_twenty_pictures(
    lesson: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least that the README asks for."""
    monkeypatch.chdir(tmp_path)
    places = [name for name in stored_parameters(lesson.name[:2]) if PARAMETERS[name] == "dataset"]
    folders = {
        name: f"folder:{pictures(tmp_path / name, seed)}" for seed, name in enumerate(places, 1)
    }
    found = run_notebook(lesson, smoke(lesson) | folders, tmp_path / lesson.name)
    assert found.error is None, str(found)
    assert "record" in found.course


def pictures(folder: Path, seed: int) -> Path:
    """Two classes of 20 pictures of 40 x 30 pixels: noise on a color that differs a little."""
    random = np.random.default_rng(seed)
    for name, color in (("ants", 110), ("bees", 140)):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            noise = random.normal(color, 40, (30, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / name / f"{number:02}.png")
    return folder
