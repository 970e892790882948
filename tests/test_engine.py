"""Plans of runs on Dask: what is repeated, what is not, and what a broken run costs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from lessons import CLAIM_ERROR, PARAMETERS, RECORD, attempts, write_notebook
from support import refused

from helpers.base import environment
from helpers.base.paths import ROOT
from helpers.course import cli, doctor, engine, runs
from helpers.course.kernels import Settings
from helpers.course.results import Result, read_result

posix = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Where the lessons leave a file for each time they run."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A `dask scheduler` and two `dask worker`, as a user starts them."""
    scratch = tmp_path_factory.mktemp("dask")
    dask = [sys.executable, "-m", "dask"]
    command = [*dask, "scheduler", "--port", "0", "--no-dashboard"]
    head = subprocess.Popen(command, cwd=scratch, stderr=subprocess.PIPE, text=True)
    assert head.stderr
    address = next(m[0] for line in head.stderr if (m := re.search(r"tcp://\S+", line)))
    address = f"tcp://127.0.0.1:{address.rpartition(':')[2]}"
    command = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard"]
    workers: list[subprocess.Popen[Any]]
    workers = [subprocess.Popen(command, cwd=scratch, stderr=subprocess.DEVNULL) for _ in range(2)]
    yield address
    for process in [*workers, head]:
        process.terminate()
    for process in [*workers, head]:
        process.wait(30)
    head.stderr.close()


def course(notebooks: Path, *arguments: object) -> "tuple[int, str]":
    reply = CliRunner().invoke(cli.main, [str(a) for a in arguments], obj=notebooks)
    return reply.exit_code, reply.output


def run_all(plan: list[runs.Run], folder: Path, **options: object) -> list[Result]:
    timeout = float(options.pop("timeout", 60))  # type: ignore[arg-type]
    settings = Settings(timeout=timeout)
    return engine.run_all(plan, folder, settings, **options)  # type: ignore[arg-type]


def wait_until(what: object, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pids(marks: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in marks.iterdir()]


def test_grid(notebooks: Path) -> None:
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, RECORD)
    write_notebook(notebooks / "01_b.ipynb", "SEED: int = 0", "1")
    lessons = runs.select_notebooks([], notebooks)
    plan = runs.plan(lessons, {"EPOCHS": [3, 5], "SEED": [0, 1]})
    assert [run.given for run in plan] == [
        {"EPOCHS": 3, "SEED": 0},
        {"EPOCHS": 3, "SEED": 1},
        {"EPOCHS": 5, "SEED": 0},
        {"EPOCHS": 5, "SEED": 1},
        {"SEED": 0},  # a lesson that does not know EPOCHS runs once for each seed
        {"SEED": 1},
    ]
    assert [str(run) for run in plan][1:3] == ["00_a SEED=1", "00_a EPOCHS=5"]
    assert len({run.key for run in plan}) == 6


def test_key_tells_what_a_result_depends_on(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = notebooks / "00_a.ipynb"
    photos = tmp_path / "photos"
    photos.mkdir()
    own = f"SEED: int = 0\nFOLDER: str = 'folder:{photos}'"
    write_notebook(lesson, own, "1")

    def key(values: dict[str, list[object]] | None = None, threads: int = 1) -> str:
        return runs.plan([lesson], values or {}, None, threads)[0].key

    first = key()
    assert key({"SEED": [0]}) == first  # its own value, given
    assert len({first, key({"SEED": [1]}), key(threads=2)}) == 3
    (photos / "cat.png").write_text("a cat")
    other = key()
    write_notebook(lesson, own, "2")
    assert len({first, other, key()}) == 3
    monkeypatch.setattr(runs, "version", lambda: "newer")
    assert len({first, other, key()}) == 3


def test_finished_runs_are_not_repeated(
    notebooks: Path, marks: Path, tmp_path: Path, scheduler: str
) -> None:
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, attempts(marks), RECORD)
    command = ["sweep", "0", "--output", tmp_path / "runs", "-p", "SEED", "0", "1"]
    command += ["--scheduler", scheduler]
    status, output = course(notebooks, *command)
    assert status == 0, output
    assert "00_a SEED=1 started" in output
    index = (tmp_path / "runs" / "index.html").read_text()
    assert len(list(marks.iterdir())) == 2
    status, output = course(notebooks, *command, "-p", "EPOCHS", "3", "4")
    assert status == 0, output
    assert output.count("already there") == 2
    assert len(list(marks.iterdir())) == 4
    assert (tmp_path / "runs" / "index.html").read_text().count("<details") == 4
    assert index.count("<details") == 2
    assert course(notebooks, *command, "--again")[0] == 0
    assert len(list(marks.iterdir())) == 6


def test_a_broken_run_costs_itself_and_is_tried_once_more(
    notebooks: Path, marks: Path, tmp_path: Path, scheduler: str
) -> None:
    """Kernels that die, fail, or end with the course's own sentence."""
    broken = {
        0: "if ATTEMPT == 1: os._exit(1)",
        1: "if ATTEMPT == 1: os.kill(os.getpid(), 9)" if os.name == "posix" else "1",
        2: "[][ATTEMPT]",
        3: "class CourseError(ValueError): pass\nraise CourseError('too few photographs.')",
        4: "1",
    }
    for seed, cell in broken.items():
        own = PARAMETERS.replace("= 0", f"= {seed}")
        write_notebook(notebooks / f"0{seed}_a.ipynb", own, attempts(marks), cell, RECORD)
    told = []
    plan = runs.plan(runs.select_notebooks([], notebooks), {})
    results = run_all(
        plan,
        tmp_path,
        scheduler=scheduler,
        tell=lambda event, run, **facts: told.append((event, str(run))),
    )
    assert [result.error for result in results] == [
        None,
        None,
        "IndexError: list index out of range",
        "too few photographs.",
        None,
    ]
    tries = [len(list(marks.glob(f"{seed}-*"))) for seed in broken]
    assert tries == ([2, 2, 2, 1, 1] if os.name == "posix" else [2, 1, 2, 1, 1])
    assert ("retry", "02_a") in told
    assert ("retry", "03_a") not in told
    assert ("cell", "04_a") in told
    # The same command makes only what is not finished.
    run_all(plan, tmp_path, scheduler=scheduler)
    more = [len(list(marks.glob(f"{seed}-*"))) - n for seed, n in enumerate(tries)]
    assert more == [0, 0, 2, 1, 0]


@posix
def test_killed_worker(notebooks: Path, marks: Path, tmp_path: Path) -> None:
    """The first try of SEED 0 kills its worker while its kernel would go on for a minute."""
    kill = "if SEED == 0 and ATTEMPT == 1:\n    os.kill(os.getppid(), 9)\n    time.sleep(60)"
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, attempts(marks), kill, RECORD)
    plan = runs.plan([notebooks / "00_a.ipynb"], {"SEED": [0, 1, 2, 3]})
    results = run_all(plan, tmp_path, workers=2)
    assert [result.error for result in results] == [None] * 4
    assert [len(list(marks.glob(f"{seed}-*"))) for seed in range(4)] == [2, 1, 1, 1]
    wait_until(lambda: not any(map(alive, pids(marks))), 30)


def test_time_limit(notebooks: Path, marks: Path, tmp_path: Path, scheduler: str) -> None:
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, attempts(marks), "time.sleep(60)")
    told = []
    (late,) = run_all(
        runs.plan([notebooks / "00_a.ipynb"], {}),
        tmp_path,
        timeout=3,
        scheduler=scheduler,
        tell=lambda event, run, **facts: told.append(event),
    )
    assert late.error == "stopped at the time limit of 3 seconds"
    assert told.count("started") == 2
    assert not any(map(alive, pids(marks)))


@posix
def test_interrupted_plan_goes_on(notebooks: Path, marks: Path, tmp_path: Path) -> None:
    wait = f"while SEED > 1 and not Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.1)"
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, attempts(marks), wait, RECORD)
    main = (
        f"if __name__ == '__main__':\n cli.main(obj=__import__('pathlib').Path({str(notebooks)!r}))"
    )
    script = tmp_path / "course.py"
    script.write_text(f"from helpers.course import cli\n{main}\n")
    command = [sys.executable, str(script), "sweep", "0", "--output", str(tmp_path / "runs")]
    command += ["--workers", "2", "-p", "SEED", "0", "1", "2", "3"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    wait_until(lambda: len(list((tmp_path / "runs").glob("*.ipynb"))) == 2)
    wait_until(lambda: len(list(marks.iterdir())) == 4 and all(pids(marks)))
    os.killpg(running.pid, signal.SIGINT)  # what Ctrl-C in a terminal does
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130, output
    assert "Interrupted; 2 of 4 runs are finished, and the same command goes on" in output
    assert "Traceback" not in output
    wait_until(lambda: not any(map(alive, pids(marks))), 30)
    (tmp_path / "go").touch()
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stderr == ""
    assert again.stdout.count("already there") == 2
    assert [len(list(marks.glob(f"{seed}-*"))) for seed in range(4)] == [1, 1, 2, 2]


def test_scheduler_of_ones_own(notebooks: Path, tmp_path: Path, scheduler: str) -> None:
    """The same metrics wherever and however many at a time, kernels' threads among them."""
    threads = "import os\n" + RECORD.replace(
        "metrics=dict(", "metrics=dict(threads=int(os.environ['OMP_NUM_THREADS']), "
    )
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, threads)
    plan = runs.plan([notebooks / "00_a.ipynb"], {"SEED": [0, 1, 2]})
    there = run_all(plan, tmp_path / "there", scheduler=scheduler)
    here = run_all(plan, tmp_path / "here", workers=1)
    assert [result.error for result in there] == [None] * 3
    assert [result.metrics for result in there] == [result.metrics for result in here]
    assert [result.metrics["accuracy"] for result in here] == [0.3, 0.31, 0.32]
    assert {result.metrics["threads"] for result in here} == {1}


def test_kernel_in_a_folder_of_the_users(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths start at the current folder, and another Python's kernel changes nothing."""
    jupyter = tmp_path / "jupyter"
    spec = jupyter / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(
        '{"argv": ["/another/python", "-f", "{connection_file}"], "display_name": "Python 3", '
        '"language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(jupyter))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("")
    check = "import sys, os; assert os.path.exists('here'); print(sys.executable)"
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, check, RECORD)
    (run,) = runs.plan([notebooks / "00_a.ipynb"], {})
    result = engine.execute(run, tmp_path / "runs", Settings())
    assert result.error is None
    assert sys.executable in result.path.read_text()
    found = doctor._kernel()
    assert not found.good
    assert "/another/python" in found.found


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "7"], "there is no notebook 7; choose from 00"),
        (["run", "-p", "SEED", "-1"], "SEED must be a whole number from 0"),
        (["run", "-p", "SEED", "one"], "SEED must be a whole number from 0"),
        (["sweep", "0", "-p", "SEED", "0", "True"], "not True"),
        (["sweep", "0", "-p", "SEEED", "0", "1"], "did you mean SEED?"),
        (["run", "-p", "DATASET", "animls"], "did you mean 'animals'?"),
        (["run", "-p", "DATASET", "folder:nowhere"], "there is no folder 'nowhere'"),
        (["run", "--workers", "9999"], "9999 workers with 1 threads each need more than"),
        (["run", "--threads", "9999"], "ask for fewer workers or threads"),
        (["run", "--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://"),
        (["run", "--scheduler", "here"], "no Dask scheduler answers at here"),
        (["run", "--scheduler", "tcp://h:1", "--workers", "2"], "--workers is for this machine"),
        (["run", "--source", "a book"], "belong to --record-as"),
        (["run", "--record-as", "ants"], "00_a would run on its own data"),
        (["run", "-p", "DATASET", "digits", "--record-as", "new"], "say --source TEXT"),
    ],
)
def test_refused_before_anything_runs(
    notebooks: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    write_notebook(notebooks / "00_a.ipynb", "SEED: int = 0\nDATASET: str = 'animals'", "1")
    status, output = course(notebooks, *arguments, "--output", tmp_path / "runs")
    assert status in (1, 2)
    assert sentence in output
    assert "Traceback" not in output
    assert not (tmp_path / "runs").exists()


def test_output_is_a_file(notebooks: Path, tmp_path: Path) -> None:
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, RECORD)
    (tmp_path / "file").write_text("mine")
    status, output = course(notebooks, "run", "--output", tmp_path / "file")
    assert status == 1
    assert output.startswith("Error: --output must be a folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_names_of_notebooks(notebooks: Path) -> None:
    for number in range(5):
        write_notebook(notebooks / f"0{number}_a.ipynb", PARAMETERS, "1")
    own = notebooks.parent / "09_mine.ipynb"
    write_notebook(own, PARAMETERS, "1")

    def chosen(*names: str) -> list[str]:
        return [path.stem[:2] for path in runs.select_notebooks(names, notebooks)]

    assert chosen() == ["00", "01", "02", "03", "04"]
    assert chosen("3", "01_a", "notebooks/00_a.ipynb") == ["00", "01", "03"]
    assert chosen("1-03", "2") == ["01", "02", "03"]
    (notebooks / "02_a.ipynb").unlink()  # numbers may be free
    assert chosen("1-03") == chosen("01-2", "3") == ["01", "03"]
    assert chosen("02-20") == ["03", "04"]
    assert chosen(str(own), "4") == ["04", "09"]
    for name in ("02", "2-2", "05-09", "a-b", "05", "notebooks/05_b.ipynb", "00-", "-4", "1-3-4"):
        with refused(f"there is no notebook {name}; choose from 00, 01, 03, 04"):
            chosen(name)
    with refused("the range 03-01 is empty"):
        chosen("03-01")


def test_claims_that_fail(notebooks: Path, tmp_path: Path, scheduler: str) -> None:
    """A seed whose claim fails is finished, and has its metrics; only --report-claims forgives."""
    write_notebook(notebooks / "00_a.ipynb", PARAMETERS, RECORD, CLAIM_ERROR)
    output = tmp_path / "runs"
    command = ["sweep", "0", "--output", output, "-p", "EPOCHS", "1", "2", "--scheduler", scheduler]
    status, text = course(notebooks, *command)
    assert status == 1
    assert "00_a EPOCHS=1 SEED=0 failed: this claim does not hold: a < b." in text
    assert text.count("it is tried once more") == 0
    status, text = course(notebooks, *command, "--report-claims")
    assert status == 0, text
    assert text.count("already there") == 2
    assert "00_a EPOCHS=1 SEED=0, claim not held: a < b" in text
    status, text = course(notebooks, "report", output)
    assert status == 0
    rows = (output / "report.csv").read_text().splitlines()
    assert "metric accuracy" in rows[0]
    assert {row.rpartition(",")[2] for row in rows[1:]} == {"0.1", "0.2"}


def test_reported_claims_do_not_count_as_passed(notebooks: Path, tmp_path: Path) -> None:
    own = PARAMETERS.replace("= 3", "= 1")
    write_notebook(notebooks / "00_a.ipynb", own, RECORD, CLAIM_ERROR)
    (run,) = runs.plan([notebooks / "00_a.ipynb"], {})
    result = engine.execute(run, tmp_path, Settings(report_claims=True))
    assert result.error is None
    assert engine._finished(run, tmp_path, Settings(report_claims=True))
    assert engine._finished(run, tmp_path, Settings()) is None


def test_nothing_ends_in_a_traceback(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a thing nobody thought of")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(runs, "select_notebooks", broken)
    status, output = course(notebooks, "run")
    assert status == 1
    assert output.count("\n") == 1
    assert output.startswith("Error: a thing nobody thought of (RuntimeError")
    (log,) = tmp_path.glob("course-*.log")
    assert str(log) in output
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_console_that_lacks_signs(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "运行"
    folder.mkdir()
    headline = RECORD.replace("accuracy {", "准确率 {")
    write_notebook(folder / "00_a.ipynb", "SEED = 0\nEPOCHS = 3", headline)
    (run,) = runs.plan([folder / "00_a.ipynb"], {})
    if encoding == "ascii":
        result = engine.execute(run, folder, Settings())
        assert result.headline == "准确率 0.30"
    code = "from helpers.course.cli import main; main()"
    reply = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert reply.returncode == 0, reply.stderr
    assert b"?" in reply.stdout
    assert (folder / "report.html").exists()


def test_makefile_exports_the_list_of_variables() -> None:
    exported = dict(re.findall(r"^export (\w+) = (\S+)$", (ROOT / "Makefile").read_text(), re.M))
    del exported["PIP_DISABLE_PIP_VERSION_CHECK"]  # its own affair
    assert exported == environment.FRAMEWORKS | environment.PROCESS


def test_keras_backend_of_the_user_does_not_count() -> None:
    code = "import helpers, os; print(os.environ['KERAS_BACKEND'])"
    reply = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert reply.stdout == "tensorflow\n", reply.stderr


def test_notebook_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "00_a.ipynb"
    path.write_text('{"cells": [')
    with refused("is no readable notebook"):
        runs.plan([path], {})
    assert read_result(path).error == "not a readable notebook of this course (NotJSONError)"
