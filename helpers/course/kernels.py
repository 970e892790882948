"""One run: a notebook goes in as text, is executed in a kernel of its own, and comes back as text.

A worker of a cluster does this. It need not share a file system with the command.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, NamedTuple

import nbformat
import psutil

from helpers.base import environment
from helpers.course.parameters import Parameters
from helpers.course.results import SENTENCES, sentence

# Dask gives it to its workers, and it makes large arrays slow.
_NOT_FOR_KERNELS = "MALLOC_TRIM_THRESHOLD_"


@dataclass(frozen=True)
class Settings:
    """How each run is made.

    Attributes:
        threads: of each kernel, whatever runs beside it: other numbers give other last digits.
        timeout: seconds after which a run is stopped.
        report_claims: claims that fail are reported, not enforced.
        folder: where kernels work, if the worker has it; relative paths in parameters start here.
    """

    threads: int = 1
    timeout: float = 1800
    report_claims: bool = False
    folder: str = field(default_factory=os.getcwd)


class Outcome(NamedTuple):
    """An executed notebook as text, what was wrong, and whether another try may help."""

    notebook: str
    error: str | None
    again: bool


_kernels: dict[str, int] = {}  # process of the kernel by run
_stopped: set[str] = set()


def run_text(
    text: str,
    parameters: Parameters,
    settings: Settings,
    key: str = "",
    on_cell: Callable[[int, int], None] = lambda number, total: None,
) -> Outcome:
    """Run the notebook `text` in a kernel of its own.

    Args:
        text: the notebook's file.
        parameters: to inject, as papermill does.
        settings: threads, time limit, folder, claims.
        key: by which `stop` finds the run.
        on_cell: called before each cell with its number, from 0, and how many there are.
    """
    from filelock import FileLock
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # the outcome says it all
    variables = {name: value for name, value in os.environ.items() if name != _NOT_FOR_KERNELS}
    variables |= environment.FRAMEWORKS | environment.PROCESS
    variables |= environment.threads(settings.threads)
    variables["COURSE_REPORT_CLAIMS"] = str(int(settings.report_claims))
    # A kernel chooses free ports before it takes them: two that start at once may choose the same.
    user = getattr(os, "getuid", int)()  # on Windows each user has a temporary folder
    lock = Path(gettempdir(), f"course-kernel-start-{user}.lock")
    starting = FileLock(lock, thread_local=False)
    late = threading.Event()

    class Kernel(AsyncKernelManager):
        """The Python that runs this, whatever kernels the user's Jupyter knows."""

        kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3 (ipykernel)",
            language="python",
        )

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            folder = settings.folder if os.path.isdir(settings.folder) else os.getcwd()
            await super().start_kernel(env=variables, cwd=folder, **options)
            _kernels[key] = self.provisioner.pid  # type: ignore[union-attr]
            if key in _stopped:
                _kill(key)

    def too_late() -> None:
        late.set()
        _kill(key)

    error, again = None, True
    limit = threading.Timer(settings.timeout, too_late)
    limit.daemon = True
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "lesson.ipynb"), Path(folder, "executed.ipynb")
        source.write_text(text, encoding="utf-8")
        total = len(nbformat.reads(text, as_version=4).cells)
        try:
            starting.acquire()
            limit.start()
            execute_notebook(
                source,
                target,
                parameters,
                kernel_name="python3",
                kernel_manager_class=Kernel,
                progress_bar=False,
                on_notebook_start=lambda notebook: starting.release(),
                on_cell_start=lambda cell, cell_index: on_cell(cell_index, total),
                # Otherwise every kernel prints a warning about its own transport.
                extra_arguments=["--log-level=CRITICAL"],
            )
            again = False
        except PapermillExecutionError as problem:
            error = sentence(problem.ename, problem.evalue)
            again = problem.ename not in SENTENCES
        except DeadKernelError:
            error = "the kernel died: out of memory, or a crash inside a library"
        except Exception as problem:  # such as a kernel that does not start
            error = sentence(type(problem).__name__, str(problem))
        finally:
            limit.cancel()
            starting.release()
            _kernels.pop(key, None)
        if again and late.is_set():
            error = f"stopped at the time limit of {settings.timeout:g} seconds"
        if target.exists():
            text = target.read_text(encoding="utf-8")
    return Outcome(text, error, again)


def _kill(key: str) -> None:
    """End a run's kernel and what it started."""
    with suppress(KeyError, psutil.NoSuchProcess):
        kernel = psutil.Process(_kernels[key])
        for process in [*kernel.children(recursive=True), kernel]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def stop(keys: Sequence[str]) -> None:
    """End the kernels of these runs in this worker, also if they only start later."""
    for key in keys:
        _stopped.add(key)
        _kill(key)
