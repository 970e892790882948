"""The command `course`, on small notebooks made here."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner, Result
from lessons import PARAMETERS, RECORD, write_notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from support import refused

from helpers.base.errors import CourseError
from helpers.course import cli, doctor, pages, photographs, results, runs
from helpers.weights import WEIGHTS


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
    plan = runs.plan(runs.select_notebooks([], notebooks), {"EPOCHS": [1]})
    assert [run.notebook.stem for run in plan] == lessons
    made = {path.name for path in output.iterdir()}
    pair = {f"{run.name}.{suffix}" for run in plan for suffix in ("ipynb", "html")}
    assert made == pair | {"index.html", "results.csv", "metrics.json"}
    with (output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["notebook"] for row in rows] == lessons
    assert [row["metric accuracy"] for row in rows] == ["0.1", "", "", "0.1"]
    assert [row["parameter EPOCHS"] for row in rows] == ["1", "", "", "1"]
    assert [row["claims_held"] for row in rows] == ["0/1", "", "", "0/1"]
    metrics = json.loads((output / "metrics.json").read_text())
    assert [run["metrics"] for run in metrics] == [{"accuracy": 0.1}, {}, {}, {"accuracy": 0.1}]
    assert [len(run["conclusions"]) for run in metrics] == [1, 0, 0, 1]
    assert metrics[0]["conclusions"][0]["verdict"] == "above"
    page = (output / "index.html").read_text()
    assert "a grows<small>+0.200 (+0.100 to +0.300)</small>" in page
    assert f'href="{plan[1].name}.html"' in page
    assert "src=" not in page
    path = output / f"{plan[1].name}.ipynb"
    executed = nbformat.read(path, as_version=4)
    nbformat.validate(executed)
    assert executed.metadata.papermill.output_path == str(path)

    again = course(notebooks, "report", output)
    assert again.exit_code == 0
    assert "02_dies failed: the kernel died" in again.output
    assert (output / "report.csv").read_text() == (output / "results.csv").read_text()
    assert (output / "report.html").exists()


def test_profile_and_command_line_parameters(notebooks: Path) -> None:
    lesson = notebooks / "00_works.ipynb"

    def given(values: dict[str, list[object]]) -> dict[str, object]:
        (run,) = runs.plan([lesson], values, "smoke")
        return run.given

    assert given({}) == {"EPOCHS": 2}
    assert given({"EPOCHS": [5], "SEED": [1]}) == {"EPOCHS": 5, "SEED": 1}
    both = runs.plan(runs.select_notebooks([], notebooks), {"EPOCHS": [5]})
    assert [run.given for run in both] == [{"EPOCHS": 5}, {}]
    with pytest.raises(CourseError, match="smoke profile has no file for 01_fails"):
        runs.plan([notebooks / "01_fails.ipynb"], {}, "smoke")
    profile = notebooks / "profiles" / "smoke" / "00.yaml"
    profile.write_text("EPOHCS: 2\n")
    with pytest.raises(CourseError, match=r"EPOHCS \(did you mean EPOCHS\?\).*00_works"):
        given({})
    profile.write_text("EPOCHS: 0\n")
    with refused("EPOCHS must be a whole number from 1 to 1000, not 0."):
        given({})


def test_unknown_parameter_is_refused_before_anything_runs(notebooks: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    reply = course(notebooks, "run", "-p", "epohcs", "1", "--output", output)
    assert reply.exit_code == 1
    assert reply.output.count("\n") == 1
    assert "(did you mean EPOCHS?)" in reply.output
    assert "known are EPOCHS, SEED, SIZE." in reply.output
    assert not output.exists()


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


def executed(folder: Path, seed: int, epochs: int, **changes: object) -> Path:
    """A notebook as it looks after a run, without the run."""
    claim = {"kind": "claim", "sentence": "a < b", "holds": True, "enforced": True, "evidence": ""}
    accuracy = epochs / 10 + seed / 100
    record = {
        "kind": "record",
        "notebook": "00",
        "parameters": {"SEED": seed, "EPOCHS": epochs, "DATASET": "animals"},
        "metrics": {"accuracy": accuracy, "steps": 7.0},
        "headline": f"accuracy {accuracy:.2f}",
        "seconds": 1.0,
        "peak_memory_mb": 100,
    } | changes
    outputs = [
        nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"course": data})
        for data in (claim, record)
    ]
    notebook = new_notebook(cells=[new_code_cell("1", outputs=outputs, execution_count=1)])
    notebook.metadata.papermill = {"input_path": "00_works.ipynb", "end_time": f"{len(changes)}"}
    path = folder / f"00_works-{seed}-{epochs}-{len(changes)}.ipynb"
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_report_gathers_seeds_of_a_grid(notebooks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for seed in (0, 1, 2):
        for epochs in (10, 2):
            executed(folder, seed, epochs)
    executed(folder, 0, 5)  # one seed has no interval
    executed(folder, 0, 2, metrics={"accuracy": 0.21, "steps": 7.0})  # the later one counts
    (folder / "half.ipynb").write_text('{"cells": [')
    old = executed(folder, 9, 9)
    text = old.read_text().replace('"evidence"', '"proof"')
    old.write_text(text)
    reply = course(notebooks, "report", folder)
    assert reply.exit_code == 0, reply.output
    assert "half failed: not a readable notebook" in reply.output
    assert f"{old.stem} failed: not a readable notebook of this course (KeyError)" in reply.output
    # 0.21, 0.21, 0.22: t is 4.303 for two degrees of freedom
    rows = [line.split("│")[1:-1] for line in reply.output.splitlines() if "│" in line]
    grid = [[cell.strip() for cell in row] for row in rows if len(row) == 3]
    assert grid == [
        ["2", "3", "0.213 (0.199 to 0.228)"],
        ["5", "1", "0.5"],
        ["10", "3", "1.01 (0.985 to 1.03)"],
    ]
    assert len((folder / "report.csv").read_text().splitlines()) == 11
    page = (folder / "report.html").read_text()
    assert 'alt="accuracy of 00_works against EPOCHS' in page
    assert "data:image/png;base64," in page
    assert "0.213 (0.199 to 0.228)" in page
    assert 'src="http' not in page


def test_report_of_a_single_run_has_no_grid(tmp_path: Path) -> None:
    assert results.grids(results.find_results([executed(tmp_path, 0, 2)])) == []


def test_two_parameters_make_lines(tmp_path: Path) -> None:
    for size in (32, 64):
        for source in ("animals", "digits"):
            parameters = {"SEED": 0, "SIZE": size, "SOURCE": source}
            executed(tmp_path / f"{size}{source}", 0, 2, parameters=parameters)
    (grid,) = results.grids(results.find_results([tmp_path]))
    assert grid.names == ["SIZE", "SOURCE"]
    assert grid.headline == ["accuracy"]
    assert [row.parameters["SIZE"] for row in grid.rows] == [32, 32, 64, 64]
    plot = pages.grid_plot(grid)
    assert plot
    assert "against SIZE" in plot[1]


def test_photographs_are_recorded(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "photographs.json"
    monkeypatch.setattr(photographs, "FILE", file)
    assert photographs.stored("00") == {}
    own = "SEED: int = 0\nEPOCHS: int = 3\nDATASET: str = 'animals'"
    recorded = RECORD.replace("EPOCHS=EPOCHS)", "EPOCHS=EPOCHS, DATASET=DATASET)")
    write_notebook(notebooks / "00_works.ipynb", own, recorded)
    for name in ("cat", "dog"):
        folder = tmp_path / "private" / name
        folder.mkdir(parents=True)
        for number in range(20):
            picture = np.full((8, 8, 3), number + 100 * (name == "dog"), np.uint8)
            Image.fromarray(picture).save(folder / f"{number}.png")
    command = ["run", "0", "-p", "DATASET", f"folder:{tmp_path / 'private'}", "--output"]
    command += [str(tmp_path / "runs"), "--record-as", "pets at home"]
    described = ["--source", "our camera", "--licence", "CC0"]
    reply = course(notebooks, *command, *described)
    assert reply.exit_code == 0, reply.output
    reply = course(notebooks, *command, "-p", "SEED", 1)  # known by now
    assert reply.exit_code == 0, reply.output
    (name, found), *_ = photographs.stored("00").items()
    assert name == "pets at home"
    assert found["seeds"].keys() == {"0", "1"}
    assert (found["source"], found["licence"]) == ("our camera", "CC0")
    assert (found["classes"], found["images"]) == (2, 40)
    assert found["seeds"]["1"]["metrics"] == {"accuracy": 0.31}
    assert found["seeds"]["1"]["parameters"] == {"EPOCHS": 3, "DATASET": "pets at home"}
    assert "private" not in file.read_text()
    file.write_text("{")
    with refused("is damaged"):
        photographs.stored("00")


def test_report_of_nothing(notebooks: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    reply = course(notebooks, "report", tmp_path / "empty")
    assert reply.exit_code == 1
    assert "no executed notebook below" in reply.output


def test_stored_notebook_that_stopped_is_reported_so(tmp_path: Path) -> None:
    path = tmp_path / "02_stopped.ipynb"
    write_notebook(path, PARAMETERS, "1")
    assert results.read_result(path).error == "did not run to its end"


def test_pages_need_no_network(tmp_path: Path) -> None:
    path = tmp_path / "00_page.ipynb"
    text = r"Inline $x_1 < 3$, code `$y$`, broken $\frac{$." "\n\n" r"$$\arg\min_\theta L(\theta)$$"
    image = nbformat.v4.new_output(
        "display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": 'a "cat"'}}
    )
    code = new_code_cell("1", outputs=[image])
    nbformat.write(new_notebook(cells=[new_markdown_cell(text), code]), path)
    page = pages.notebook_page(nbformat.read(path, as_version=4), path.stem)
    body = page[page.index("<body") :]
    assert "<script" not in page
    assert "<link" not in page
    assert body.count("<math") == 2
    assert r"<code>\frac{</code>" in body
    assert "<code>$y$</code>" in body
    assert "alt='a \"cat\"'" in body or 'alt="a &quot;cat&quot;"' in body


def test_drawings_are_in_the_page_of_a_run() -> None:
    text = new_markdown_cell("![a drawing](figures/fine_tuning.svg)")
    page = pages.notebook_page(new_notebook(cells=[text]), "lesson")
    assert 'src="data:image/svg+xml;base64,' in page
    assert 'alt="a drawing"' in page


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
    assert "notebook 06 trains its own source model" in reply.output
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


def test_doctor_explains_a_cache_that_cannot_be_written(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    reply = course(notebooks, "doctor", "--no-smoke")
    assert reply.exit_code == 1
    assert "cannot be written" in reply.output
    assert "set COURSE_CACHE to a folder" in " ".join(reply.output.replace("│", " ").split())
    assert not isinstance(reply.exception, OSError)


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
