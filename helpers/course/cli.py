"""The command `course`. Slow imports wait until a command needs them."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from helpers.base.errors import CourseError
from helpers.base.paths import ROOT

if TYPE_CHECKING:
    from helpers.course.runs import Result

NOTEBOOKS = ROOT / "notebooks"


class _Course(click.Group):
    """Shows a CourseError as its sentence."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CourseError as error:
            raise click.ClickException(str(error)) from error


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


@main.command()
@click.argument("numbers", metavar="[NN]...", nargs=-1)
@click.option(
    "--profile", type=click.Choice(["smoke", "gpu"]), help="Parameters from notebooks/profiles."
)
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="One parameter, read as papermill does: -p EPOCHS 3; also lists: -p SIZES '[32, 64]'.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for the results  [runs/<time>]"
)
@click.pass_obj
def run(
    notebooks: Path,
    numbers: Sequence[str],
    profile: str | None,
    parameters: Sequence[tuple[str, str]],
    output: Path | None,
) -> None:
    """Run all notebooks, or those with the numbers NN, each in a process of its own.

    A parameter goes to every notebook that knows it; --help-notebook of papermill shows them. As
    with papermill, a relative path in a parameter starts at your current folder. The exit code is
    1 if a notebook failed; the others run all the same.
    """
    from helpers.course import runs

    chosen = runs.select_notebooks(numbers, notebooks)
    values = {name: runs.parse_value(text) for name, text in parameters}
    plans = runs.plan(chosen, values, profile)
    folder = output or ROOT / "runs" / f"{datetime.now():%Y-%m-%d_%H%M%S}"
    console, results = _console(), []
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with suppress(KeyboardInterrupt), bars:
        for path, plan in plans.items():
            console.print(f"[bold]{path.stem}[/]")
            bar = bars.add_task(path.stem)
            result = runs.execute(path, plan, folder, partial(bars.update, bar))
            bars.remove_task(bar)
            results.append(result)
            verdict = f"[red]{escape(result.error)}[/]" if result.error else escape(result.headline)
            console.print(f"  {_number(result.seconds)} s  {verdict}")
    if results:
        runs.write_metrics(results, folder / "metrics.json")
        title = f"Run of {datetime.now():%Y-%m-%d %H:%M}"
        runs.write_tables(results, folder / "results.csv", folder / "index.html", title)
        _print_results(console, results)
        console.print(f"Every notebook as a page: {folder / 'index.html'}", soft_wrap=True)
    if len(results) < len(plans):
        console.print(f"Interrupted; {len(results)} of {len(plans)} notebooks were finished.")
        raise SystemExit(130)
    if any(result.error for result in results):
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
    all parameters and metrics, and report.html into the first folder.
    """
    from helpers.course import runs

    results = runs.find_results(folders)
    target = folders[0] if folders[0].is_dir() else folders[0].parent
    runs.write_tables(results, target / "report.csv", target / "report.html", "Runs")
    console = _console()
    _print_results(console, results)
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
    from helpers.course.runs import changed_parameters

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
    for result in results:
        for claim in result.claims:
            if not claim["holds"]:
                sentence = escape(claim["sentence"])
                console.print(f"[yellow]{result.notebook}, claim not held:[/] {sentence}")
        if result.error:
            console.print(f"[red]{result.notebook} failed:[/] {escape(result.error)}")
