"""The command `course`. Slow imports wait until a command needs them."""

import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT

if TYPE_CHECKING:
    from helpers.course.results import Result

NOTEBOOKS = ROOT / "notebooks"


class _Course(click.Group):
    """Shows a CourseError as its sentence, and anything unexpected as one too."""

    def invoke(self, context: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # a console that lacks a sign shows another for it
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
        try:
            return super().invoke(context)
        except CourseError as error:
            raise click.ClickException(str(error)) from error
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            with tempfile.NamedTemporaryFile(
                "w", prefix="course-", suffix=".log", delete=False, encoding="utf-8"
            ) as log:
                traceback.print_exc(file=log)
            raise click.ClickException(
                f"{str(error).strip() or 'something went wrong'} ({type(error).__name__}, where "
                f"nobody expected it; {log.name} has all about it)."
            ) from error


@click.group(cls=_Course, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """A course on transfer learning and multi-task learning."""
    context.obj = context.obj or NOTEBOOKS


@main.command()
@click.option("--no-smoke", is_flag=True, help="Leave out running notebook 00 (a minute).")
@click.pass_obj
def doctor(notebooks: Path, no_smoke: bool) -> None:
    """Check this machine: Python, packages, memory, data, weights, and a notebook that runs.

    The exit code is 1 if something has to be done first.
    """
    from helpers.course.doctor import checks, smoke

    console = _console()
    with console.status("Checking ..."):
        made = list(checks())
    if not no_smoke:
        with console.status("Running notebook 00 ..."):
            made.append(smoke(notebooks))
    table = Table("Check", "", "Found", "What to do")
    for check in made:
        mark = "[green]ok[/]" if check.good else "[red]NO[/]"
        style = None if check.good else "red"
        table.add_row(
            check.name, mark, escape(check.found), "" if check.good else check.advice, style=style
        )
    console.print(table)
    bad = sum(not check.good for check in made)
    console.print(f"{bad} of {len(made)} checks need your attention." if bad else "Ready.")
    if bad:
        raise SystemExit(1)


@main.command()
@click.argument("names", nargs=-1)
def fetch(names: Sequence[str]) -> None:
    """Bring weights and data sets into the cache: those NAMES, or all weights.

    All else comes with the installation. What is there already is verified, not fetched again.
    """
    from helpers.data import DATASETS
    from helpers.weights import WEIGHTS

    assets = {name: a for name, a in {**WEIGHTS, **DATASETS}.items() if a.fetch is not None}
    if unknown := sorted(set(names) - assets.keys()):
        raise CourseError(f"{unknown[0]!r} is not fetched; the names are {', '.join(assets)}.")
    fatal = False
    for name in names or [name for name, asset in assets.items() if asset.by_default]:
        asset = assets[name]
        assert asset.fetch is not None
        try:
            click.echo(asset.fetch())
        except CourseError as error:
            click.echo(
                f"{name} could not be fetched: {asset.missing}\n    Reason: {error}", err=True
            )
            fatal |= asset.needed or name in names
    if fatal:
        raise SystemExit(1)


class _Sweep(click.Command):
    """Takes several values after ``-p NAME``: all up to the next option."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        turned: list[str] = []
        name, values = "", 0
        for position, text in enumerate(arguments):
            if text == "-p":
                name, values = next(iter(arguments[position + 1 : position + 2]), ""), -1
            elif (text.startswith("-") and text[1:2].isalpha()) or text.startswith("--"):
                name = ""
            elif name:
                values += 1
                if values > 1:
                    turned += ["-p", name]
            turned.append(text)
        return super().parse_args(context, turned)


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """What `run` and `sweep` have in common."""
    for option in reversed(
        (
            click.argument("names", metavar="[NN]...", nargs=-1),
            click.option(
                "--profile",
                type=click.Choice(["smoke", "gpu"]),
                help="Parameters from notebooks/profiles.",
            ),
            click.option(
                "--output",
                type=click.Path(path_type=Path),
                default=ROOT / "runs",
                help="Folder for the results  [runs]",
            ),
            click.option(
                "--workers",
                type=click.IntRange(1),
                help="Runs at a time  [what cores and free memory allow]",
            ),
            click.option(
                "--threads",
                type=click.IntRange(1),
                default=1,
                show_default=True,
                help="Threads of each run; another number gives other last digits.",
            ),
            click.option(
                "--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://host:8786."
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(1),
                default=1800,
                show_default=True,
                help="Seconds after which a run is stopped.",
            ),
            click.option(
                "--report-claims",
                is_flag=True,
                help="A claim that does not hold is reported, and is no failure.",
            ),
            click.option("--again", is_flag=True, help="Repeat also what is finished."),
        )
    ):
        command = option(command)
    return command


@main.command()
@_run_options
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="One parameter, read as papermill does: -p EPOCHS 3; also lists: -p SHOTS '[1, 5]'.",
)
@click.option(
    "--record-as",
    metavar="NAME",
    help="Write the metrics into data/photographs.json, as those on the data set NAME.",
)
@click.option("--source", help="Where the data set NAME comes from; needed the first time.")
@click.option("--licence", help="Its licence; needed the first time.")
@click.pass_obj
def run(
    notebooks: Path,
    /,
    names: Sequence[str],
    parameters: Sequence[tuple[str, str]],
    record_as: str | None,
    source: str | None,
    licence: str | None,
    **options: Any,
) -> None:
    """Run all notebooks, or those named NN, each in a process of its own.

    NN is a number, a range (00-04), or the name or path of a notebook. A parameter goes to every
    notebook that knows it; --help-notebook of papermill shows them. As with papermill, a relative
    path in a parameter starts at your current folder.

    What is finished is not run again: after an interruption the same command goes on. A run that
    breaks down is tried once more. The exit code is 1 if one failed; the others run all the same.
    """
    if (source or licence) and not record_as:
        raise click.UsageError("--source and --licence belong to --record-as.")
    recorded = (record_as, source, licence) if record_as else None
    values = {name: [text] for name, text in parameters}
    _execute(notebooks, names, values, recorded, **options)


@main.command(cls=_Sweep)
@_run_options
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE...",
    help="A parameter and its values: -p IMAGE_SIZE 32 64 -p SEED 0 1 2 runs all six.",
)
@click.pass_obj
def sweep(
    notebooks: Path, /, names: Sequence[str], parameters: Sequence[tuple[str, str]], **options: Any
) -> None:
    """Run the notebooks NN with all combinations of several values of parameters.

    NN come before -p. Like `run` otherwise; `report` then shows the grid, seeds gathered.
    """
    values: dict[str, list[str]] = {}
    for name, text in parameters:
        values.setdefault(name, []).append(text)
    _execute(notebooks, names, values, None, **options)


def _execute(
    notebooks: Path,
    names: Sequence[str],
    texts: Mapping[str, Sequence[str]],
    recorded: tuple[str, str | None, str | None] | None,
    *,
    profile: str | None,
    output: Path,
    workers: int | None,
    threads: int,
    scheduler: str | None,
    timeout: float,
    report_claims: bool,
    again: bool,
) -> None:
    """Plan, check everything, run, and show the results."""
    from helpers.course import engine, pages, photographs, results, runs
    from helpers.course.kernels import Settings
    from helpers.course.progress import Screen

    if scheduler and workers:
        raise click.UsageError("--workers is for this machine; with --scheduler Dask has its own.")
    if output.exists() and not output.is_dir():
        raise CourseError(f"--output must be a folder, and {output} is a file.")
    values = {name: [runs.parse_value(text) for text in several] for name, several in texts.items()}
    plan = runs.plan(runs.select_notebooks(names, notebooks), values, profile, threads)
    if recorded:
        photographs.check(*recorded, plan)
    console = _console()
    with Screen(console, plan) as screen:
        made = engine.run_all(
            plan,
            output,
            Settings(threads, timeout, report_claims),
            workers=workers,
            scheduler=scheduler,
            again=again,
            tell=screen,
        )
    if made:
        title = f"Run of {datetime.now():%Y-%m-%d %H:%M}"
        results.write_metrics(made, output / "metrics.json")
        results.write_table(made, output / "results.csv")
        pages.write_results_page(made, output / "index.html", title)
        _print_results(console, made)
        console.print(f"Every notebook as a page: {output / 'index.html'}", soft_wrap=True)
    if len(made) < len(plan):
        console.print(
            f"Interrupted; {len(made)} of {len(plan)} runs are finished, and the same command goes "
            "on with the rest.",
            soft_wrap=True,
        )
        raise SystemExit(130)
    if recorded:
        count = photographs.record_as(*recorded, plan, made)
        console.print(f"{count} results are in {photographs.FILE}.", soft_wrap=True)
    if any(result.error for result in made):
        raise SystemExit(1)


@main.command()
@click.argument(
    "folders",
    metavar="RUNS...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
def report(folders: Sequence[Path]) -> None:
    """Gather all executed notebooks in RUNS (folders or notebooks).

    Works on what `course run` or plain papermill wrote. Prints a table, and writes report.csv, with
    all parameters and metrics, and report.html, with grids and plots, into the first folder.
    """
    from helpers.course import pages, results

    found = results.find_results(folders)
    grids = results.grids(found)
    target = folders[0] if folders[0].is_dir() else folders[0].parent
    results.write_table(found, target / "report.csv")
    pages.write_results_page(found, target / "report.html", "Runs", grids)
    console = _console()
    _print_results(console, found)
    for grid in grids:
        table = Table(*grid.names, "Seeds", *grid.headline, title=grid.notebook)
        for row in grid.rows:
            settings = [escape(str(row.parameters[name])) for name in grid.names]
            table.add_row(*settings, str(row.seeds), *(row.text(name) for name in grid.headline))
        console.print(table)
    console.print(f"Everything: {target / 'report.html'} and report.csv", soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # logs are not 80 columns wide
    return console


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _print_results(console: Console, results: "Sequence[Result]") -> None:
    """The results as a table, and below it what went wrong."""
    from helpers.course.results import changed_parameters

    table = Table("Notebook", "Parameters", "Seconds", "Peak MB", "Headline", "Claims held")
    for index in (2, 3, 5):
        table.columns[index].justify = "right"
    for result, parameters in zip(results, changed_parameters(results), strict=True):
        table.add_row(
            escape(result.notebook),
            escape(" ".join(f"{name}={value}" for name, value in parameters.items())),
            _number(result.seconds),
            _number(result.peak_memory_mb),
            "[red]failed[/]" if result.error else escape(result.headline),
            result.claims_held,
        )
    console.print(table)
    lessons = [result.notebook for result in results]
    for result, parameters in zip(results, changed_parameters(results), strict=True):
        which = result.notebook
        if lessons.count(which) > 1:
            which += "".join(f" {name}={value}" for name, value in parameters.items())
        for claim in result.claims:
            if not claim["holds"]:
                sentence = escape(claim["sentence"])
                console.print(f"[yellow]{escape(which)}, claim not held:[/] {sentence}")
        if result.error:
            console.print(f"[red]{escape(which)} failed:[/] {escape(result.error)}")
