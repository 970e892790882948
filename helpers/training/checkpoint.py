"""Checkpoints: named by what was run, sealed against damage, refused by any other run."""

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor

from helpers.base.cache import digest, keep
from helpers.base.errors import CourseError
from helpers.base.paths import cache_dir

History = list[dict[str, float]]


def checkpoint_path(kind: str, *key: object) -> Path:
    """Where the course keeps a run: a name made of everything in `key`, which says what was run.

    Arrays and tensors count by content, numbers and words by their text. Put in whatever changes
    the result: data, seed, steps, learning rate.

    Raises:
        CourseError: something whose text does not say what is in it, such as a function.
    """
    text = _text((torch.__version__, *key))
    return cache_dir() / "runs" / f"{kind}-{xxhash.xxh3_128(text.encode()).hexdigest()}.pt"


def _text(part: object) -> str:
    if isinstance(part, Tensor):
        part = part.numpy(force=True)
    if isinstance(part, np.ndarray):
        return digest(part)
    if isinstance(part, Mapping):
        return f"{{{_text(tuple(part.items()))}}}"
    if isinstance(part, tuple | list):
        return f"({', '.join(map(_text, part))})"
    if part is None or isinstance(part, str | int | float | np.generic):
        return repr(part)
    raise CourseError(
        "a checkpoint is named by arrays, numbers and words, not by a value of type "
        f"{type(part).__name__}."
    )


def kind_of(state: dict[str, Any], steps: int) -> dict[str, Any]:
    """What a checkpoint and a run must agree about before anything is loaded."""
    groups = [
        # a scheduler changes "lr", and keeps what it was
        {**group, "params": len(group["params"]), "lr": group.get("initial_lr", group["lr"])}
        for group in state["optimizer"].param_groups
    ]
    weights = state["model"].state_dict()
    return {
        "number of steps": steps,
        "network": {name: list(tensor.shape) for name, tensor in weights.items()},
        "scheduler": type(state["scheduler"]).__name__,
        "optimizer or learning rate": [type(state["optimizer"]).__name__, groups],
    }


def save(path: Path, state: dict[str, Any], kind: dict[str, Any], history: History) -> None:
    content = {key: part.state_dict() for key, part in state.items() if part is not None}
    content |= {"kind": kind, "history": history, "cpu_rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        content["cuda_rng"] = torch.cuda.get_rng_state_all()
    buffer = io.BytesIO()
    torch.save(_plain(content), buffer)
    keep(path, lambda file: file.writelines([buffer.getbuffer(), _seal(buffer.getbuffer())]))


def _seal(content: bytes | memoryview) -> bytes:
    """Fingerprint, 16 bytes; torch does not look at a zip file's checksums, and they miss some."""
    return xxhash.xxh3_128(content).digest()


def _plain(part: Any) -> Any:
    """NumPy's numbers (a learning rate, say) as Python's: only those can be read back safely."""
    if type(part) is dict:
        return {key: _plain(value) for key, value in part.items()}
    if type(part) in (list, tuple):
        return type(part)(map(_plain, part))
    return part.item() if isinstance(part, np.generic) else part


def load(path: Path, state: dict[str, Any], kind: dict[str, Any]) -> History:
    """Put the run in `path` into `state` and return its history, or [] to start from the beginning.

    What cannot be read as a checkpoint is set aside as ``NAME.damaged``, since it may be a file of
    the reader's own. A sound one of another run stays, and is refused: to overwrite it would lose
    that run, and to go on from it would mix the two.

    Raises:
        CourseError: a checkpoint of a run of another kind.
    """
    try:
        stored = path.read_bytes()
    except OSError:  # absent, or not for us to read
        return []
    try:
        if _seal(stored[:-16]) != stored[-16:]:
            raise ValueError("damaged")
        content = torch.load(io.BytesIO(stored[:-16]), map_location="cpu", weights_only=True)
        found, history = dict(content["kind"]), list(content["history"])
    except Exception:  # a file of something else can make torch raise almost anything
        with suppress(OSError):
            os.replace(path, path.with_name(f"{path.name}.damaged"))
        return []
    for what, value in kind.items():
        if found.get(what) != value:
            raise CourseError(
                f"the checkpoint {path.name} is of a run with another {what}; remove it to start "
                "again, or give this run a name of its own."
            )
    for key, part in state.items():
        if part is not None:
            part.load_state_dict(content[key])
    torch.set_rng_state(content["cpu_rng"])
    if "cuda_rng" in content and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(content["cuda_rng"])
    return history
