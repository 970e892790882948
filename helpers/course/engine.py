"""Run a plan: every lesson in a kernel of its own, on the workers of a Dask cluster.

`run_text` is what a worker does. It shares no file system with the command: a notebook goes in and
comes back as text. `run_all` hands out the runs, tries one that broke down once more, and writes
each result as soon as it is there.
"""

import logging
import os
import signal
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import nbformat
import psutil

from helpers.base import environment
from helpers.base.cache import atomic_path
from helpers.base.errors import CourseError
from helpers.course.parameters import Parameters
from helpers.course.results import SENTENCES, Result, read_result, sentence
from helpers.course.runs import Run, version

if TYPE_CHECKING:
    from distributed import Client, Future

MEMORY_GB = 4  # what the largest lesson may use
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


def _nothing(event: str, run: Run, **facts: Any) -> None:
    """Progress that nobody wants to see."""


# ---- in the worker ----

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
    from jupyter_core.paths import jupyter_runtime_dir
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # the outcome says it all
    variables = {name: value for name, value in os.environ.items() if name != _NOT_FOR_KERNELS}
    variables |= environment.FRAMEWORKS | environment.PROCESS
    variables |= environment.threads(settings.threads)
    variables["COURSE_REPORT_CLAIMS"] = str(int(settings.report_claims))
    runtime = Path(jupyter_runtime_dir())
    runtime.mkdir(parents=True, exist_ok=True)
    # A kernel chooses free ports before it takes them: two that start at once may choose the same.
    starting = FileLock(runtime / "course-kernel-start.lock", thread_local=False)
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


def _task(text: str, parameters: Parameters, settings: Settings, key: str, topic: str) -> Outcome:
    """`run_text` as a Dask task, which tells the command how far it is."""
    from distributed import get_worker

    worker = get_worker()

    def on_cell(number: int, total: int) -> None:
        worker.log_event(topic, {"key": key, "number": number, "total": total})

    return run_text(text, parameters, settings, key, on_cell)


# ---- in the command ----


def execute(run: Run, folder: Path, settings: Settings) -> Result:
    """Run one lesson from here, without a cluster, and store it in `folder`."""
    outcome = run_text(run.notebook.read_text(encoding="utf-8"), run.given, settings, run.key)
    return _store(run, outcome, folder, settings)


def run_all(
    runs: Sequence[Run],
    folder: Path,
    settings: Settings,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    again: bool = False,
    tell: Callable[..., None] = _nothing,
) -> list[Result]:
    """Run what is not finished yet, several at a time; results in the order of `runs`.

    After Ctrl-C the results that are there come back: fewer than `runs`.

    Args:
        runs: the plan.
        folder: gets ``NAME.ipynb`` and ``NAME.html`` for each run.
        settings: threads, time limit, claims.
        workers: processes on this machine; by default what its cores and its memory allow.
        scheduler: address of a Dask scheduler to use instead.
        again: also what is finished.
        tell: called with an event (started, cell, retry, ended), its run, and facts about it.

    Raises:
        CourseError: more workers and threads than cores, or the scheduler does not answer, has no
            workers, or goes away.
    """
    results: dict[Run, Result] = {}
    for run in runs:
        found = None if again else _finished(run, folder, settings)
        if found:
            results[run] = found
            tell("ended", run, result=found)
    # The longest first: then all workers are busy until almost the end.
    waiting = deque(sorted((r for r in runs if r not in results), key=lambda r: -r.seconds))
    if waiting:
        with (
            suppress(KeyboardInterrupt),
            _one_interrupt(),
            _cluster(len(waiting), settings.threads, workers, scheduler) as client,
            closing(_outcomes(client, waiting, settings, tell)) as outcomes,
        ):
            for run, outcome in outcomes:
                results[run] = _store(run, outcome, folder, settings)
                tell("ended", run, result=results[run])
    return [results[run] for run in runs if run in results]


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Only the first Ctrl-C counts: the tidying up after it goes on."""

    def once(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _outcomes(
    client: "Client", waiting: deque[Run], settings: Settings, tell: Callable[..., None]
) -> Generator[tuple[Run, Outcome]]:
    """Runs as they end. No more are handed out than can start, so a dead worker costs one run."""
    topic = f"course-{uuid.uuid4().hex}"
    news: SimpleQueue[Any] = SimpleQueue()
    client.subscribe_topic(topic, lambda event: news.put(event[1]))
    running: dict[str, tuple[Run, Future[Any]]] = {}
    tried: set[Run] = set()
    try:
        while waiting or running:
            free = _threads(client) - len(running)
            for _ in range(min(free, len(waiting))):
                run = waiting.popleft()
                key = f"{run.name}-{uuid.uuid4().hex}"
                text = run.notebook.read_text(encoding="utf-8")
                arguments = (text, run.given, settings, key, topic)
                future = client.submit(_task, *arguments, key=key, pure=False)
                future.add_done_callback(news.put)
                running[key] = run, future
                tell("started", run)
            with suppress(Empty):  # time to see whether workers came or went
                item = news.get(timeout=0.5)
                if isinstance(item, dict):
                    if item["key"] in running:
                        tell("cell", running[item["key"]][0], **item)
                    continue
                run, future = running.pop(item.key)
                outcome = _outcome(future, run)
                if outcome.again and run not in tried:
                    tried.add(run)
                    waiting.append(run)
                    tell("retry", run, error=outcome.error)
                else:
                    yield run, outcome
    finally:
        if running:
            with suppress(Exception):  # the scheduler may be gone
                client.run(stop, list(running), on_error="ignore")
                client.cancel([future for _, future in running.values()], force=True)


def _threads(client: "Client") -> int:
    """How many runs the cluster has room for now."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise CourseError(_GONE) from error


_GONE = "the scheduler went away; start it again, and the same command goes on with what is left."


def _outcome(future: "Future[Any]", run: Run) -> Outcome:
    from distributed import KilledWorker

    if future.status == "cancelled":
        raise CourseError(_GONE)
    try:
        return Outcome(*future.result())
    except KilledWorker:
        error = "its worker was killed: out of memory, or by hand"
    except Exception as problem:
        error = sentence(type(problem).__name__, str(problem))
    return Outcome(run.notebook.read_text(encoding="utf-8"), error, True)


def _finished(run: Run, folder: Path, settings: Settings) -> Result | None:
    """The stored result of `run`, unless it has to be made (again)."""
    path = folder / f"{run.name}.ipynb"
    if not path.exists():
        return None
    result = read_result(path)
    held = all(claim["holds"] for claim in result.claims)
    unjudged = result.engine.get("report_claims", False) and not settings.report_claims
    return _judged(result, settings) if result.finished and (held or not unjudged) else None


def _judged(result: Result, settings: Settings) -> Result:
    """With `report_claims`, a run does not fail because of its claims."""
    if result.finished and settings.report_claims:
        result.error = None
    return result


def _store(run: Run, outcome: Outcome, folder: Path, settings: Settings) -> Result:
    """Write the executed notebook, and its page; both appear atomically."""
    from helpers.course.pages import notebook_page

    notebook = nbformat.reads(outcome.notebook, as_version=4)
    target = folder / f"{run.name}.ipynb"
    papermill = notebook.metadata.setdefault("papermill", {"parameters": run.given})
    papermill |= {"input_path": str(run.notebook), "output_path": str(target)}
    notebook.metadata.course = {
        "key": run.key,
        "threads": settings.threads,
        "version": version(),
        "report_claims": settings.report_claims,
    }
    if outcome.error:
        notebook.metadata.course["error"] = outcome.error
    with atomic_path(target.with_suffix(".html")) as path:
        path.write_text(notebook_page(notebook, run.name), encoding="utf-8")
    with atomic_path(target) as path:
        nbformat.write(notebook, path)
    return _judged(read_result(target), settings)


@contextmanager
def _cluster(
    runs: int, threads: int, workers: int | None, scheduler: str | None
) -> Iterator["Client"]:
    """A client of the Dask cluster at `scheduler`, or of one on this machine."""
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # The engine tries again, not Dask.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        if scheduler:
            with _connect(scheduler) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=_workers(runs, threads, workers),
                threads_per_worker=1,
                processes=True,
                memory_limit=None,  # kernels are processes of their own
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def _workers(runs: int, threads: int, workers: int | None) -> int:
    """How many runs at once: as asked for, or what cores and free memory allow."""
    from dask.system import CPU_COUNT

    if (workers or 1) * threads > CPU_COUNT:
        raise CourseError(
            f"{workers or 1} workers with {threads} threads each need more than the {CPU_COUNT} "
            "cores of this machine; ask for fewer workers or threads."
        )
    fits = psutil.virtual_memory().available // (MEMORY_GB * 2**30)
    return max(1, min(runs, workers or min(CPU_COUNT // threads, fits)))


def _connect(scheduler: str) -> "Client":
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10)
        client.wait_for_workers(1, timeout=10)
    except TimeoutError as error:
        raise CourseError(
            f"the scheduler at {scheduler} has no workers; start some with `dask worker "
            f"{scheduler} --nthreads 1`."
        ) from error
    except (OSError, ValueError) as error:
        raise CourseError(
            f"no Dask scheduler answers at {scheduler}; start one with `dask scheduler` and give "
            "the address that it prints, such as tcp://host:8786."
        ) from error
    for worker, found in client.run(version, on_error="return").items():
        if found != version():
            client.close()
            raise CourseError(
                f"the worker {worker} has not the same version of the course and of its libraries; "
                "install the same there."
            )
    return client
