"""The command `course`, on small notebooks made here."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.base.errors import CourseError
from helpers.course import cli, doctor, pages, runs
from helpers.weights import WEIGHTS

PARAMETERS = "SEED: int = 0  # random seed\nEPOCHS: int = 3  # passes over the data\n"
RECORD = """
from IPython.display import display
claim = dict(kind="claim", sentence="a < b", holds=EPOCHS > 1, enforced=False, evidence="1, 2")
record = dict(
    kind="record", notebook="00", parameters=dict(SEED=SEED, EPOCHS=EPOCHS),
    metrics=dict(accuracy=EPOCHS / 10), headline=f"accuracy {EPOCHS / 10}", seconds=1.0,
    peak_memory_mb=100, versions={},
)
for data in (claim, record):
    display({"text/plain": "..."}, raw=True, metadata={"course": data})
"""


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    code = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    code += [new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), *code])
    notebook.metadata.kernelspec = kernel
    nbformat.write(notebook, path)


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """A course of two lessons: the first works, the second fails."""
    folder = tmp_path / "notebooks"
    (folder / "profiles" / "smoke").mkdir(parents=True)
    (folder / "profiles" / "smoke" / "00.yaml").write_text("EPOCHS: 2\n")
    write_notebook(folder / "00_works.ipynb", PARAMETERS, RECORD)
    write_notebook(folder / "01_fails.ipynb", "SIZE: int = 8  # pixels", "[][SIZE]", "1")
    return folder


def course(notebooks: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(a) for a in arguments], obj=notebooks)


def test_failing_notebook_does_not_stop_the_others(notebooks: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    write_notebook(notebooks / "02_dies.ipynb", "SIZE: int = 8", "import os; os._exit(1)", "2")
    write_notebook(notebooks / "03_works.ipynb", PARAMETERS, RECORD)
    reply = course(notebooks, "run", "-p", "EPOCHS", "1", "--output", output)
    assert reply.exit_code == 1
    assert "01_fails failed: IndexError: list index out of range" in reply.output
    assert "02_dies failed: the kernel died" in reply.output
    assert "00_works, claim not held: a < b" in reply.output
    lessons = ["00_works", "01_fails", "02_dies", "03_works"]
    made = {path.name for path in output.iterdir()}
    pair = {f"{lesson}.{suffix}" for lesson in lessons for suffix in ("ipynb", "html")}
    assert made == pair | {"index.html", "results.csv", "metrics.json"}
    with (output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["notebook"] for row in rows] == lessons
    assert [row["metric accuracy"] for row in rows] == ["0.1", "", "", "0.1"]
    assert [row["parameter EPOCHS"] for row in rows] == ["1", "", "", "1"]
    assert [row["claims_held"] for row in rows] == ["0/1", "", "", "0/1"]
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["00_works"]["metrics"] == {"accuracy": 0.1}
    page = (output / "index.html").read_text()
    assert 'href="01_fails.html"' in page
    assert "src=" not in page
    executed = nbformat.read(output / "01_fails.ipynb", as_version=4)
    nbformat.validate(executed)
    assert executed.metadata.papermill.output_path == str(output / "01_fails.ipynb")

    again = course(notebooks, "report", output)
    assert again.exit_code == 0
    assert "02_dies failed: the kernel died" in again.output
    assert (output / "report.csv").read_text() == (output / "results.csv").read_text()
    assert (output / "report.html").exists()


def test_profile_and_command_line_parameters(notebooks: Path) -> None:
    lesson = notebooks / "00_works.ipynb"
    assert runs.plan([lesson], {}, "smoke") == {lesson: {"EPOCHS": 2}}
    assert runs.plan([lesson], {"EPOCHS": 5, "SEED": 1}, "smoke") == {
        lesson: {"EPOCHS": 5, "SEED": 1}
    }
    both = runs.plan(runs.select_notebooks([], notebooks), {"EPOCHS": 5})
    assert list(both.values()) == [{"EPOCHS": 5}, {}]
    with pytest.raises(CourseError, match="smoke profile has no file for 01_fails"):
        runs.plan([notebooks / "01_fails.ipynb"], {}, "smoke")
    (notebooks / "profiles" / "smoke" / "00.yaml").write_text("EPOHCS: 2\n")
    with pytest.raises(CourseError, match=r"EPOHCS \(did you mean EPOCHS\?\).*00_works"):
        runs.plan([lesson], {}, "smoke")


def test_unknown_parameter_is_refused_before_anything_runs(notebooks: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    reply = course(notebooks, "run", "-p", "epohcs", "1", "--output", output)
    assert reply.exit_code == 1
    assert reply.output.count("\n") == 1
    assert "(did you mean EPOCHS?)" in reply.output
    assert "known are EPOCHS, SEED, SIZE." in reply.output
    assert not output.exists()


def test_unknown_notebook_is_refused(notebooks: Path) -> None:
    reply = course(notebooks, "run", "7")
    assert reply.exit_code == 1
    assert reply.output == "Error: there is no notebook 07; choose from 00, 01.\n"
    assert runs.select_notebooks(["1"], notebooks) == [notebooks / "01_fails.ipynb"]


def test_interruption_keeps_what_was_finished(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "run"
    execute = runs.execute

    def interrupted(path: Path, *arguments: object) -> runs.Result:
        if path.name.startswith("01"):
            raise KeyboardInterrupt
        return execute(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runs, "execute", interrupted)
    reply = course(notebooks, "run", "--output", output)
    assert reply.exit_code == 130
    assert "Interrupted; 1 of 2 notebooks were finished." in reply.output
    assert {"00_works.ipynb", "index.html"} <= {path.name for path in output.iterdir()}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("True", True),
        ("None", None),
        ("folder:photos", "folder:photos"),
        ("[32, 64]", [32, 64]),
        ("[32", "[32"),
        ("true", "true"),
    ],
)
def test_values_are_read_as_papermill_reads_them(text: str, value: object) -> None:
    assert runs.parse_value(text) == value


def test_report_shows_seeds_and_what_differs(notebooks: Path, tmp_path: Path) -> None:
    lesson = notebooks / "00_works.ipynb"
    for seed in (0, 1):
        folder = tmp_path / "runs" / str(seed)
        runs.execute(lesson, {"SEED": seed}, folder)
    (tmp_path / "runs" / "half.ipynb").write_text('{"cells": [')
    reply = course(notebooks, "report", tmp_path / "runs")
    assert reply.exit_code == 0
    assert "SEED=0" in reply.output
    assert "SEED=1" in reply.output
    assert "EPOCHS" not in reply.output
    assert "half failed: not a readable notebook" in reply.output
    assert len((tmp_path / "runs" / "report.csv").read_text().splitlines()) == 4


def test_report_of_nothing(notebooks: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    reply = course(notebooks, "report", tmp_path / "empty")
    assert reply.exit_code == 1
    assert "no executed notebook below" in reply.output


def test_stored_notebook_that_stopped_is_reported_so(tmp_path: Path) -> None:
    path = tmp_path / "02_stopped.ipynb"
    write_notebook(path, PARAMETERS, "1")
    assert runs.read_result(path).error == "did not run to its end"


def test_pages_need_no_network(tmp_path: Path) -> None:
    path = tmp_path / "00_page.ipynb"
    text = r"Inline $x_1 < 3$, code `$y$`, broken $\frac{$." "\n\n" r"$$\arg\min_\theta L(\theta)$$"
    image = nbformat.v4.new_output(
        "display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": 'a "cat"'}}
    )
    code = new_code_cell("1", outputs=[image])
    nbformat.write(new_notebook(cells=[new_markdown_cell(text), code]), path)
    page = pages.notebook_page(path)
    body = page[page.index("<body") :]
    assert "<script" not in page
    assert "<link" not in page
    assert body.count("<math") == 2
    assert r"<code>\frac{</code>" in body
    assert "<code>$y$</code>" in body
    assert "alt='a \"cat\"'" in body or 'alt="a &quot;cat&quot;"' in body


def test_fetch_says_what_a_missing_file_means(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> str:
        raise CourseError("the host cannot be reached.")

    def fetching(name: str, fetch: Callable[[], str]) -> None:
        monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], fetch=fetch))

    for name in WEIGHTS:
        if WEIGHTS[name].fetch is not None:
            fetching(name, lambda name=name: f"{name} weights: verified")
    fetching("resnet18", unreachable)
    reply = CliRunner().invoke(cli.main, ["fetch"])
    assert reply.exit_code == 0
    assert "vgg16 weights: verified" in reply.output
    assert "efficientnet_lite0 weights: verified" in reply.output
    assert "notebook 04 trains its own source model" in reply.output
    reply = CliRunner().invoke(cli.main, ["fetch", "resnet18"])
    assert reply.exit_code == 1  # it was asked for
    fetching("vgg16", unreachable)
    reply = CliRunner().invoke(cli.main, ["fetch"])
    assert reply.exit_code == 1
    assert "the Keras notebooks cannot run" in reply.output
    reply = CliRunner().invoke(cli.main, ["fetch", "animals"])
    assert reply.exit_code == 1
    assert "the names are vgg16, efficientnet_lite0, resnet18, pets, cifar10" in reply.output


def test_doctor_says_what_to_do(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vgg16 = replace(WEIGHTS["vgg16"], find=lambda: Path("weights"))
    monkeypatch.setitem(WEIGHTS, "vgg16", vgg16)
    monkeypatch.setattr(doctor, "MEMORY_GB", 0)  # other tests may be using it
    reply = course(notebooks, "doctor", "--no-smoke")
    assert reply.exit_code == 0, reply.output
    assert "Ready." in reply.output

    monkeypatch.setattr(doctor, "DISK_GB", 10**6)
    reply = course(notebooks, "doctor", "--no-smoke")
    assert reply.exit_code == 1
    assert "COURSE_CACHE" in reply.output
    assert "1 of " in reply.output


def test_doctor_finds_wrong_packages() -> None:
    check = doctor._packages(["numpy<1", "click", "no-such-package", 'pytest<1; extra == "test"'])
    assert not check.good
    assert check.found.startswith("numpy ")
    assert check.found.endswith("is not <1; no-such-package is missing")


def test_smoke_run(notebooks: Path) -> None:
    assert doctor.smoke(notebooks).good
    write_notebook(notebooks / "00_works.ipynb", PARAMETERS, "1 / 0")
    check = doctor.smoke(notebooks)
    assert check.found == "ZeroDivisionError: division by zero"
