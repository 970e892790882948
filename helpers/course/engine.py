"""Run a plan: every lesson in a kernel of its own, on the workers of a Dask cluster.

`run_all` hands out the runs, tries one that broke down once more, and writes each result as soon as
it is there. What a worker does is in `kernels`.
"""

import logging
import os
import signal
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

from helpers.base.cache import atomic_path
from helpers.base.errors import CourseError
from helpers.base.paths import ROOT
from helpers.course.kernels import Outcome, Settings, run_text, stop
from helpers.course.parameters import Parameters
from helpers.course.results import Result, read_result, sentence
from helpers.course.runs import Run, version

if TYPE_CHECKING:
    from distributed import Client, Future

MEMORY_GB = 4  # what the largest lesson may use
# The engine tries again, not Dask. What Dask watches many times a second costs a tenth of a core in
# each process, and its tasks here last minutes.
_DASK = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.gil.enabled": False,
}
_GONE = "the scheduler went away; start it again, and the same command goes on with what is left."


def _nothing(event: str, run: Run, **facts: Any) -> None:
    """Progress that nobody wants to see."""


def dask_setup(worker: object) -> None:
    """A worker on this machine ignores Ctrl-C, which reaches it too: the command tidies up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _task(text: str, parameters: Parameters, settings: Settings, key: str, topic: str) -> Outcome:
    """`run_text` as a Dask task, which tells the command how far it is."""
    from distributed import get_worker

    worker = get_worker()

    def on_cell(number: int, total: int) -> None:
        worker.log_event(topic, {"key": key, "number": number, "total": total})

    return run_text(text, parameters, settings, key, on_cell)


def execute(run: Run, folder: Path, settings: Settings) -> Result:
    """Run one lesson from here, without a cluster, and store it in `folder`."""
    return _store(run, run_text(run.text, run.given, settings, run.key), folder, settings)


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
                arguments = (run.text, run.given, settings, key, topic)
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
    return Outcome(run.text, error, True)


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
    figures = Path(os.path.relpath(ROOT / "notebooks" / "figures", folder)).as_posix()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](figures/", f"]({figures}/")
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

    for name in ("distributed", "distributed.client"):  # what matters becomes a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(_DASK):
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
                preload=[__name__],  # `dask_setup`
                dashboard_address=":0",  # any free port, not one that is in use
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
        client = Client(scheduler, timeout=5)
    except (OSError, ValueError) as error:
        raise CourseError(
            f"no Dask scheduler answers at {scheduler}; start one with `dask scheduler` and give "
            "the address that it prints, such as tcp://host:8786."
        ) from error
    with ExitStack() as stack:
        stack.callback(client.close)
        try:
            client.wait_for_workers(1, timeout=5)
        except TimeoutError as error:
            raise CourseError(
                f"the scheduler at {scheduler} has no workers; start some with `dask worker "
                f"{scheduler} --nthreads 1`."
            ) from error
        for worker, found in client.run(version, on_error="return").items():
            if found != version():
                raise CourseError(
                    f"the worker {worker} has another version of the course or of its libraries; "
                    "install the same there."
                )
        stack.pop_all()
    return client
