"""What a running plan shows: one line for each running lesson, and one for all."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from helpers.course.results import Result
from helpers.course.runs import Run


class Screen:
    """Told by the engine what happens; without a terminal, a line for each start and each end."""

    def __init__(self, console: Console, runs: Sequence[Run]) -> None:
        self.console = console
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.total, self.ended = len(runs), 0
        self.all = self.bars.add_task("[bold]all[/]", total=len(runs), state=f"{len(runs)} runs")
        self.running: dict[Run, tuple[TaskID, float]] = {}

    def __enter__(self) -> "Screen":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, event: str, run: Run, **facts: Any) -> None:
        name = f"[bold]{escape(str(run))}[/]"
        if event == "started":
            bar = self.bars.add_task(name, total=None, state="starting")
            self.running[run] = bar, time.monotonic()
            if not self.console.is_terminal:
                self.console.print(f"{name} started", soft_wrap=True)
        elif event == "cell":
            bar, _ = self.running[run]
            number, total = facts["number"], facts["total"]
            state = f"cell {number + 1} of {total}"
            self.bars.update(bar, completed=number, total=total, state=state)
        else:
            when = "already there"
            if run in self.running:
                bar, began = self.running.pop(run)
                self.bars.remove_task(bar)
                when = f"{time.monotonic() - began:.0f} s"
            if event == "retry":
                why = f"[yellow]{escape(facts['error'])}; it is tried once more[/]"
            else:
                self.ended += 1
                state = f"{self.ended} of {self.total} runs"
                self.bars.update(self.all, completed=self.ended, state=state)
                why = _verdict(facts["result"])
            self.console.print(f"{name}  {when}  {why}", soft_wrap=True)


def _verdict(result: Result) -> str:
    return f"[red]{escape(result.error)}[/]" if result.error else escape(result.headline)
