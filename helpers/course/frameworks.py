"""Starting Keras or PyTorch quietly, and what a process used."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

import psutil


def start_keras(seed: int) -> str:
    # TensorFlow greets from C++ before any log level applies; nothing else is hidden.
    with _no_stderr():
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing hints
    keras.utils.set_random_seed(seed)
    # TensorFlow reads this itself, and takes all cores without it.
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count()
    device = f"{len(gpus)} GPU" if gpus else _processor(threads)
    return f"Keras {keras.__version__} on TensorFlow {tf.__version__}, {device}"


def start_torch(seed: int) -> str:
    import torch

    torch.manual_seed(seed)
    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else _processor(torch.get_num_threads())
    return f"PyTorch {torch.__version__.split('+')[0]} on {device}"


def _processor(threads: int | str | None) -> str:
    return "CPU (1 thread)" if str(threads) == "1" else f"CPU ({threads} threads)"


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a while (C++ libraries write there directly)."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def peak_memory_mb() -> float:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return float(psutil.Process().memory_info().peak_wset) / 2**20  # type: ignore[attr-defined]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def versions() -> Mapping[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in ("numpy", "scikit-learn", "keras", "tensorflow", "torch", "torchvision"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
