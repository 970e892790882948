"""What a notebook does: start, claim, check, record; here, and in a real kernel."""

import json
import random
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from support import refused

from helpers import notebook
from helpers.course import parameters, photographs
from helpers.course.results import read_result
from helpers.notebook import (
    ClaimError,
    check,
    claim,
    conclude,
    must_fail,
    on_photographs,
    record,
    run_seed,
    start,
)

CELL = """SEED: int = 0  # decides all
DATASET: str = "digits"  # which pictures
EPOCHS: int = 3  # passes
PER_CLASS_SIZES: list[int] = [10, 20]  # images
"""
DEFAULTS: dict[str, Any] = {
    "SEED": 0,
    "DATASET": "digits",
    "EPOCHS": 3,
    "PER_CLASS_SIZES": [10, 20],
}


@pytest.fixture(autouse=True)
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A course whose only lesson is 07, with the parameters above."""
    (tmp_path / "notebooks").mkdir()
    cells = [new_code_cell("1"), new_code_cell(CELL, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "07_lesson.ipynb")
    monkeypatch.setattr(parameters, "ROOT", tmp_path)
    monkeypatch.setattr(notebook, "_run", notebook._Run())


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The `course` metadata of each output, with its text."""
    outputs: list[dict[str, Any]] = []

    def display(data: Any, raw: bool, metadata: Any) -> None:
        assert raw
        assert list(data) == ["text/plain"]
        outputs.append({**metadata["course"], "text": data["text/plain"]})

    monkeypatch.setattr(notebook, "display", display)
    return outputs


# --- start ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("IMAGE_SIZE", 16, "IMAGE_SIZE must be a whole number from 32 to 512 (VGG16 halves"),
        ("IMAGE_SIZE", 513, "not 513"),
        ("IMAGE_SIZE", "64", "not '64'"),
        ("IMAGE_SIZE", None, "not None"),
        ("EPOCHS", -1, "EPOCHS must be a whole number from 1 to 1000, not -1"),
        ("EPOCHS", 0, "not 0"),
        ("EPOCHS", 2.5, "not 2.5"),
        ("EPOCHS", 2.0, "not 2.0"),
        ("EPOCHS", True, "not True"),
        ("EPOCHS", float("nan"), "not nan"),
        ("EPOCHS", [3], "not [3]"),
        ("SEED", -1, "SEED must be a whole number from 0 to 2147483647, not -1"),
        ("SEED", 2**31, "not 2147483648"),
        ("PER_CLASS_SIZES", "[5, 9]", "must be a list of whole numbers, each from 2 to 100000"),
        ("PER_CLASS_SIZES", "5", "not '5'"),
        ("PER_CLASS_SIZES", 5, "not 5"),
        ("PER_CLASS_SIZES", [], "not []"),
        ("PER_CLASS_SIZES", [5, 1], "not [5, 1]"),
        ("PER_CLASS_SIZES", [5, "9"], "not [5, '9']"),
        ("PER_CLASS_SIZES", {5: 1}, "not {5: 1}"),
        ("DATASET", "cats", "DATASET: there is no data set 'cats'"),
        ("DATASET", "digit", "(did you mean 'digits'?)"),
        ("DATASET", "two\nlines", "no data set 'two\\nlines'"),
        ("DATASET", 3, "DATASET must be the name of a data set, not 3"),
        ("DATASET", ["digits"], "not ['digits']"),
        ("DATASET", "folder:/no/such/place", "DATASET: there is no folder '/no/such/place'"),
    ],
)
def test_bad_parameter_ends_in_a_sentence(
    name: str, value: Any, match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with refused(match):
        start("07", **{**DEFAULTS, name: value})
    assert not capsys.readouterr().out


def test_start_seeds_and_says_what_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    for seed in (1, 1, 2):
        start("07", **{**DEFAULTS, "SEED": seed})
        drawn.append((random.random(), np.random.rand()))
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[2][0]
    assert drawn[0][1] != drawn[2][1]
    start("07", **DEFAULTS)
    text = capsys.readouterr().out
    assert "Notebook 07 with seed 2\n" in text
    assert "Settings: DATASET='digits', EPOCHS=3, PER_CLASS_SIZES=[10, 20]\n" in text
    assert "Changed" not in text
    start("07", **{**DEFAULTS, "EPOCHS": 4})
    assert "Changed: EPOCHS; claims are reported, not enforced." in capsys.readouterr().out


# --- claims --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "enforced"),
    [
        ({}, True),
        ({"SEED": 5}, True),
        ({"EPOCHS": 4}, False),
        ({"PER_CLASS_SIZES": [10]}, False),
        ({"DATASET": "animals"}, False),
        ({"SEED": 5, "EPOCHS": 4}, False),
    ],
)
def test_claims_are_enforced_with_the_lessons_own_settings(
    changes: Any, enforced: bool, shown: list[dict[str, Any]]
) -> None:
    start("07", **{**DEFAULTS, **changes})
    claim("A beats B.", np.bool_(True), "2 > 1")
    claim("A beats B.", np.bool_(False), "1 < 2")
    for output, holds, evidence in zip(shown, (True, False), ("2 > 1", "1 < 2"), strict=True):
        text = output.pop("text")
        assert output == {
            "kind": "claim",
            "sentence": "A beats B.",
            "holds": holds,
            "enforced": enforced,
            "evidence": evidence,
        }
        assert type(output["holds"]) is bool
        assert text.startswith(f"Claim {'holds' if holds else 'DOES NOT HOLD'}: A beats B.")
        assert evidence in text


@pytest.mark.parametrize("number", ["08", "99"])
def test_claims_of_an_unknown_lesson_are_only_reported(
    number: str, shown: list[dict[str, Any]]
) -> None:
    start(number, **DEFAULTS)
    claim("A beats B.", False, "1 < 2")
    assert not shown[0]["enforced"]


def test_claims_before_start_are_only_reported(shown: list[dict[str, Any]]) -> None:
    claim("A beats B.", False, "1 < 2")
    assert not shown[0]["enforced"]


def test_a_later_start_decides_anew(shown: list[dict[str, Any]]) -> None:
    start("07", **DEFAULTS)
    start("07", **{**DEFAULTS, "EPOCHS": 9})
    claim("A beats B.", False, "1 < 2")


def test_claims_that_fail_are_listed_once_everything_is_recorded(
    shown: list[dict[str, Any]],
) -> None:
    start("07", **DEFAULTS)
    claim("A beats B.", False, "1 < 2")
    claim("B beats C.", False, "2 < 3")
    claim("C beats D.", True, "4 > 3")
    with pytest.raises(ClaimError) as caught:
        record("done", accuracy=0.5)
    assert str(caught.value) == "2 claims do not hold: A beats B. (1 < 2) B beats C. (2 < 3)"
    assert shown[-1]["metrics"] == {"accuracy": 0.5}


def test_a_claim_that_holds_when_its_cell_is_run_again_is_forgiven(
    shown: list[dict[str, Any]],
) -> None:
    start("07", **DEFAULTS)
    claim("A beats B.", False, "1 < 2")
    claim("A beats B.", True, "2 > 1")
    record("done", accuracy=0.5)


@pytest.mark.parametrize("changes", [{"EPOCHS": 4}, {}])
def test_reported_claims_stop_nothing(
    changes: Any, shown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not changes:
        monkeypatch.setenv("COURSE_REPORT_CLAIMS", "1")
    start("07", **{**DEFAULTS, **changes})
    claim("A beats B.", False, "1 < 2")
    record("done", accuracy=0.5)
    assert shown[0]["holds"] is shown[0]["enforced"] is False


# --- conclusions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimate", "bound", "verdict"),
    [
        ((0.2, 0.1, 0.3), 0.0, "above"),
        ((0.2, 0.1, 0.3), 0.1, "cannot tell"),  # the bound itself decides nothing
        ((0.2, 0.1, 0.3), 0.4, "below"),
        ((-0.2, -0.3, -0.1), 0.0, "below"),
        ((0.0, -0.1, 0.1), 0.0, "cannot tell"),
        ((float("nan"),) * 3, 0.0, "cannot tell"),
    ],
)
def test_conclude_says_what_the_interval_supports(
    estimate: Any, bound: float, verdict: str, shown: list[dict[str, Any]]
) -> None:
    words = {"above": "It helps.", "below": "It harms.", "cannot tell": "Nobody knows."}
    conclude(
        np.array(estimate),
        above=words["above"],
        below=words["below"],
        cannot_tell=words["cannot tell"],
        bound=bound,
    )
    (output,) = shown
    assert output["kind"] == "conclusion"
    assert (output["verdict"], output["sentence"]) == (verdict, words[verdict])
    assert output["text"].startswith(f"Answer: {words[verdict]}\n    ({estimate[0]:+.3f}, ")
    assert json.loads(json.dumps(output, allow_nan=False)) == output
    assert np.isnan(estimate[0]) or output["low"] == estimate[1]


# --- expected failures, seeds --------------------------------------------------------------------


def test_must_fail_shows_the_error_and_insists_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    must_fail(lambda: int("a b"), "invalid literal")
    must_fail(lambda: int("a b"), "'a b'")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "ValueError: invalid literal for int() with base 10: 'a b'"
    assert second == "ValueError: …'a b'"
    with pytest.raises(AssertionError, match="invalid literal"):
        must_fail(lambda: int("a"), "division")
    with pytest.raises(AssertionError, match="expected to fail"):
        must_fail(lambda: int("1"), "")


def test_seeds_of_draws_and_phases_never_meet() -> None:
    seeds = {run_seed(s, d, p) for s in range(3) for d in range(100) for p in range(10)}
    assert len(seeds) == 3 * 100 * 10


# --- exercises -----------------------------------------------------------------------------------


def fails(error: BaseException) -> Any:
    def answer(*arguments: Any, **options: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize("exercise", ["01.1", "01.2", "02.1", "02.4", "03.1", "03.2", "04.1"])
@pytest.mark.parametrize(
    "answer",
    [
        *(..., {"a": ..., "b": "task"}, {"a": np.arange(3), "b": ...}),
        *({"a": np.arange(3)}, {"a": None}, {}, None, "domain", 3, 3.5, np.arange(3), object()),
        *(lambda: 1, lambda *a: None, lambda *a: "text", lambda *a: ..., lambda *a: np.zeros(0)),
        *(lambda *a: a, print, int, [1, 2], (1, 2), {1, 2}, np.nan, float("inf")),
        *(fails(error) for error in (ValueError("no"), AssertionError(), KeyError())),
        *(fails(error) for error in (RecursionError(), MemoryError(), StopIteration())),
    ],
)
def test_check_never_stops_the_notebook_nor_accepts_nonsense(
    exercise: str, answer: Any, shown: list[dict[str, Any]]
) -> None:
    check(exercise, answer)
    (output,) = shown
    text = output.pop("text")
    assert output.keys() == {"kind", "id", "passed", "hint"}
    assert output["kind"] == "exercise"
    assert output["id"] == exercise
    assert output["passed"] is False
    assert output["hint"]
    assert text == f"Exercise {exercise}: not yet: {output['hint']}"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (..., "replace the three dots by your answer."),
        (fails(ValueError("no")), "your code stopped with ValueError: no"),
        (fails(AssertionError()), "an assertion in your code does not hold."),
        (lambda *a: None, "your function returns nothing; does it end with `return`?"),
    ],
)
def test_hints_for_any_exercise(answer: Any, hint: str, shown: list[dict[str, Any]]) -> None:
    check("01.2", answer)
    assert shown[0]["hint"] == hint


def test_right_answer(shown: list[dict[str, Any]]) -> None:
    check("02.1", {"a": "domain", "b": "task", "c": "both", "d": "neither"})
    assert shown[0] == {
        "kind": "exercise",
        "id": "02.1",
        "passed": True,
        "hint": "",
        "text": "Exercise 02.1: correct.",
    }


# --- photographs ---------------------------------------------------------------------------------


def test_stored_photographs_stand_beside_this_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(photographs, "FILE", tmp_path / "photographs.json")
    start("07", **DEFAULTS)
    on_photographs(gain=0.25)
    assert capsys.readouterr().out.endswith("photographs has been recorded yet.\n")
    seeds = {
        str(seed): {"metrics": {"gain": gain, "more": 1.0}} for seed, gain in ((0, 0.5), (1, 0.7))
    }
    facts = {"source": "a walk", "licence": "mine", "classes": 2, "images": 40}
    data = {"sets": {"moss": facts}, "results": {"07": {"moss": seeds}, "08": {"fern": {}}}}
    photographs.FILE.write_text(json.dumps(data))
    on_photographs(gain=0.25, chance=0.1)
    head, gain, chance, note = capsys.readouterr().out.splitlines()
    assert head.split() == ["this", "run", "moss"]
    assert gain.split() == ["gain", "0.25", "0.6"]
    assert chance.split() == ["chance", "0.10", "-"]
    assert note == "moss: 40 photographs of 2 classes, 2 seeds (a walk)"


# --- record --------------------------------------------------------------------------------------


def test_record(shown: list[dict[str, Any]]) -> None:
    start("07", **DEFAULTS)
    record("accuracy 0.86", accuracy=np.float32(0.5), images=np.int64(3), gain=0.25)
    (output,) = shown
    assert output["kind"] == "record"
    assert output["notebook"] == "07"
    assert output["parameters"] == DEFAULTS
    assert output["metrics"] == {"accuracy": 0.5, "images": 3.0, "gain": 0.25}
    assert output["headline"] == "accuracy 0.86"
    assert 0 <= output["seconds"] < 60
    assert 50 < output["peak_memory_mb"] < 100_000
    assert output["versions"].keys() >= {"python", "numpy", "keras", "tensorflow", "torch"}
    assert json.loads(json.dumps(output)) == output
    assert "accuracy = 0.5" in output["text"]


# --- in a real kernel ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """A small notebook with everything in it, executed as papermill and JupyterLab would."""
    cells = [
        "from helpers.notebook import check, claim, record, start",
        "start('99', SEED=0, EPOCHS=-1)",
        "start('99', SEED=0, EPOCHS=2)",
        "claim('A < B.', 1 < 2, '1, 2')",
        "check('01.2', ...)",
        "record('nothing', accuracy=0.5, gain=float('nan'), loss=float('inf'))",
        "from helpers.notebook import ClaimError\nraise ClaimError('it does not hold.')",
    ]
    made = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    folder = tmp_path_factory.mktemp("kernel")
    NotebookClient(
        made, allow_errors=True, timeout=60, resources={"metadata": {"path": folder}}
    ).execute()
    nbformat.validate(made)
    return made


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (1, "CourseError: EPOCHS must be a whole number from 1 to 1000, not -1."),
        (6, "ClaimError: it does not hold."),
    ],
)
def test_the_readers_own_errors_are_one_line(executed: NotebookNode, cell: int, line: str) -> None:
    (output,) = executed.cells[cell].outputs
    assert output.output_type == "error"
    assert output.traceback == [line]
    assert f"{output.ename}: {output.evalue}" == line


def test_outputs_carry_their_data(executed: NotebookNode) -> None:
    kinds = {3: "claim", 4: "exercise", 5: "record"}
    for cell, kind in kinds.items():
        (output,) = executed.cells[cell].outputs
        assert output.output_type == "display_data"
        assert output.metadata.course.kind == kind
        assert list(output.data) == ["text/plain"]
        assert "'text/plain'" not in output.data["text/plain"]
    assert executed.cells[2].outputs[0].text.startswith("Notebook 99 with seed 0\n")


def test_numbers_that_json_does_not_know_leave_a_valid_notebook(
    executed: NotebookNode, tmp_path: Path
) -> None:
    """JupyterLab could not open a notebook with NaN in its JSON."""
    path = tmp_path / "99_executed.ipynb"
    nbformat.write(executed, path)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(path.read_text(), parse_constant=refuse)
    assert read_result(path).metrics == {"accuracy": 0.5}
