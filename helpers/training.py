"""Training in PyTorch: batches from memory, a loop that can be interrupted, and honest freezing."""

import io
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from tqdm import tqdm

from helpers.cache import atomic_path, digest
from helpers.errors import CourseError
from helpers.paths import cache_dir

History = list[dict[str, float]]


def device() -> torch.device:
    """The first CUDA device if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class _StaysFrozen:
    """Stands in for a module's ``train``: whoever calls it, the module stays in eval mode."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        return self.module


def freeze(module: nn.Module) -> nn.Module:
    """Keep every parameter and every buffer of a module as it is, bit for bit.

    Parameters get no gradient; BatchNorm and dropout stay in eval mode even after
    ``model.train()``, which would otherwise let running statistics move. Copies
    (`copy.deepcopy`, `torch.save` of the module) stay frozen; a network that merely loads the
    frozen one's ``state_dict`` has to be frozen itself.

    Returns:
        The same module.

    Raises:
        CourseError: something that is no module.
    """
    if not isinstance(module, nn.Module):
        raise CourseError(
            f"only a torch module can be frozen, not a value of type {type(module).__name__}; "
            "give the network or a part of it."
        )
    module.requires_grad_(False)
    for part in module.modules():
        part.eval()
        part.train = _StaysFrozen(part)
        for parameter in part.parameters(recurse=False):
            parameter.grad = None  # an optimizer with momentum moves whatever has one
    return module


class Batches:
    """Random batches of data in memory; batch number `step` depends on nothing but the arguments.

    Every pass over the data is a new permutation. What is left over at the end of a pass, less
    than a batch, is dropped: BatchNorm cannot train on one image. Because a batch can be asked for
    by its number, an interrupted run goes on exactly where it stopped, and two data sets of
    different size can be drawn side by side without an end of an epoch for either.

    Args:
        images: uint8, N x H x W x 3; stays in memory as it is.
        targets: further arrays with N rows; each batch brings its rows of them.
        batch_size: at most N are used.
        seed: of the order and of `augment`.
        augment: changes a batch of images, given it and a generator (see `flip_and_shift`).
        where: device the batches are sent to; None means `device()`.

    Raises:
        CourseError: no images, a target with another number of rows, or a batch size or seed
            that is too small.
    """

    def __init__(
        self,
        images: np.ndarray,
        *targets: np.ndarray,
        batch_size: int,
        seed: int = 0,
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        where: torch.device | None = None,
    ) -> None:
        lengths = [len(images), *map(len, targets)]
        if not lengths[0] or len(set(lengths)) > 1:
            raise CourseError(f"images and targets must have one length above 0, not {lengths}.")
        if batch_size < 1 or seed < 0:
            raise CourseError(
                f"batch_size must be 1 or more and seed 0 or more, not {batch_size} and {seed}."
            )
        self.arrays = [_tensor(array) for array in (images, *targets)]
        self.batch_size = min(operator.index(batch_size), len(images))
        self.steps_per_epoch = len(images) // self.batch_size
        self.seed, self.augment, self.where = seed, augment, where or device()
        self._order = (-1, torch.empty(0, dtype=torch.long))

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Batch number `step` (from 0): images and each target, on the device."""
        if step < 0:
            raise CourseError(f"batches are numbered from 0, so there is no batch {step}.")
        epoch, place = divmod(operator.index(step), self.steps_per_epoch)
        if self._order[0] != epoch:
            shuffle = _generator(self.seed, epoch, 0)
            self._order = (epoch, torch.randperm(len(self.arrays[0]), generator=shuffle))
        rows = self._order[1][place * self.batch_size : (place + 1) * self.batch_size]
        images, *targets = (array[rows] for array in self.arrays)
        if self.augment is not None:
            images = self.augment(images, _generator(self.seed, step, 1))
        return tuple(part.to(self.where) for part in (images, *targets))


def _tensor(array: np.ndarray) -> Tensor:
    """An array as a tensor in the same memory, if that is contiguous and may be written to."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _generator(*numbers: int) -> torch.Generator:
    """A generator whose stream is a function of some whole numbers."""
    state = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)


def flip_and_shift(images: Tensor, generator: torch.Generator, share: float = 0.1) -> Tensor:
    """Mirror half of the images left to right and move each by up to `share` of its side.

    A whole batch at once, on uint8; what moves in from outside repeats the border. Standard
    augmentation for small images (He et al. 2016, section 4.2).

    Args:
        images: N x H x W x 3.
        generator: of all random choices.
        share: 0 to 1.

    Raises:
        CourseError: another `share`.
    """
    if not 0 <= share <= 1:
        raise CourseError(f"share must lie between 0 and 1, not {share}.")
    count, height, width = images.shape[:3]
    mirrored = torch.rand(count, generator=generator) < 0.5
    limits = torch.tensor([round(share * height), round(share * width)])
    moves = (torch.rand(count, 2, generator=generator) * (2 * limits + 1)).long() - limits
    rows = (torch.arange(height) + moves[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) + moves[:, 1:]).clamp(0, width - 1)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def train(
    model: nn.Module,
    loss: Callable[[int], Tensor | Mapping[str, Tensor]],
    *,
    steps: int,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    every: int | None = None,
    checkpoint: Path | None = None,
    name: str = "training",
) -> History:
    """Take `steps` steps of gradient descent, and return how it went.

    The model is in train mode during each step (a frozen part stays in eval mode) and in eval mode
    while `evaluate` runs and at the end. On a GPU the loss is computed in mixed precision:
    bfloat16 where the device has it, otherwise float16 with a scaled loss.

    With a `checkpoint`, everything a run depends on is saved every `every` steps: weights,
    optimizer, scheduler, generators, history. If the file is there, training goes on from it and
    ends with the same bits as a run that was never interrupted, provided that `loss(step)` is a
    function of the step (see `Batches`). A finished run is only loaded.

    Args:
        model: its parameters are what `optimizer` was made for.
        loss: given the number of the step, the loss to be minimized, or a dictionary of losses
            whose sum is.
        steps: how many.
        optimizer: its state is part of the checkpoint.
        scheduler: moved on after every step.
        evaluate: metrics for the history, computed without gradients.
        every: steps between two rows of the history; None means one row, at the end.
        checkpoint: file that keeps the run; `checkpoint_path` makes a name.
        name: what the progress bar says; it shows only in runs longer than some seconds.

    Returns:
        One dictionary per row: ``step``, the mean of each loss since the last row (``loss`` is
        their sum), and what `evaluate` gave.

    Raises:
        CourseError: a loss that is no number, not finite, or of no use to any parameter; a
            checkpoint that is damaged or of another network or run.
    """
    if steps < 0 or (every is not None and every < 1):
        raise CourseError(f"steps must be 0 or more and every 1 or more, not {steps} and {every}.")
    every = every or steps
    # Older devices only emulate bfloat16, slowly.
    brain = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    half = torch.bfloat16 if brain else None
    where = next(model.parameters()).device
    scaler = torch.amp.GradScaler(where.type, enabled=where.type == "cuda" and half is None)
    state = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "scaler": scaler}
    kind = _kind(state, steps)
    history: History = []
    if checkpoint is not None and checkpoint.exists():
        history = _load(checkpoint, state, kind)
    done = int(history[-1]["step"]) if history else 0
    seen: dict[str, list[float]] = {}
    for step in tqdm(range(done, steps), name, initial=done, total=steps, leave=False, delay=30):
        model.train()
        with torch.autocast(where.type, dtype=half, enabled=where.type == "cuda"):
            found = loss(step)
        losses = dict(found) if isinstance(found, Mapping) else {"loss": found}
        total = _total(losses)
        if not torch.isfinite(total):
            raise CourseError(f"the loss of step {step} is not finite; lower the learning rate.")
        optimizer.zero_grad()
        scaler.scale(total).backward()
        scaler.step(optimizer)
        scaler.update()
        if scheduler is not None:
            scheduler.step()
        for key, value in {**losses, "loss": total}.items():
            seen.setdefault(key, []).append(float(value.detach()))
        if (step + 1) % every == 0 or step + 1 == steps:
            model.eval()
            row = {"step": float(step + 1), **{k: sum(v) / len(v) for k, v in seen.items()}}
            with torch.no_grad():
                history.append(_with_metrics(row, evaluate() if evaluate is not None else {}))
            seen = {}
            if checkpoint is not None:
                _save(checkpoint, state, kind, history)
    model.eval()
    return history


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


def _total(losses: dict[str, Tensor]) -> Tensor:
    if (
        not losses
        or "step" in losses
        or not all(isinstance(part, Tensor) and part.numel() == 1 for part in losses.values())
    ):
        raise CourseError(
            "loss(step) must return a tensor of one number, or a dictionary of such under names "
            "other than 'step'."
        )
    total: Tensor = sum(part.reshape(()) for part in losses.values())
    if not total.requires_grad:
        raise CourseError(
            "no parameter can learn from the loss: it was detached, or all is frozen."
        )
    return total


def _with_metrics(row: dict[str, float], metrics: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(metrics, Mapping) or row.keys() & metrics.keys():
        raise CourseError(
            f"evaluate must return a dictionary of numbers, under names other than {list(row)}."
        )
    return {**row, **{key: float(value) for key, value in metrics.items()}}


def _kind(state: dict[str, Any], steps: int) -> dict[str, Any]:
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


def _save(path: Path, state: dict[str, Any], kind: dict[str, Any], history: History) -> None:
    content = {key: part.state_dict() for key, part in state.items() if part is not None}
    content |= {"kind": kind, "history": history, "cpu_rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        content["cuda_rng"] = torch.cuda.get_rng_state_all()
    buffer = io.BytesIO()
    torch.save(_plain(content), buffer)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(buffer.getbuffer())
        file.write(_seal(buffer.getbuffer()))


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


def _load(path: Path, state: dict[str, Any], kind: dict[str, Any]) -> History:
    trouble = "cannot be read"
    try:
        stored = path.read_bytes()
        if _seal(stored[:-16]) != stored[-16:]:
            raise ValueError("damaged")
        content = torch.load(io.BytesIO(stored[:-16]), map_location="cpu", weights_only=True)
        for what, value in kind.items():
            if content["kind"][what] != value:
                trouble = f"is of a run with another {what}"
                raise ValueError(trouble)
        for key, part in state.items():
            if part is not None:
                part.load_state_dict(content[key])
        torch.set_rng_state(content["cpu_rng"])
        if "cuda_rng" in content and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(content["cuda_rng"])
    except Exception as error:  # a file of something else can make torch raise almost anything
        advice = "remove it to start again"
        raise CourseError(f"the checkpoint {path.name} {trouble}; {advice}.") from error
    history: History = content["history"]
    return history


def predict(
    model: nn.Module, images: np.ndarray, *, head: str | None = None, batch_size: int = 256
) -> np.ndarray:
    """Outputs for images in memory, in eval mode and without gradients; all modes are restored.

    Args:
        model: images to a tensor, or to a dictionary of which `head` is taken.
        images: uint8, N x H x W x 3.
        head: name of the output of a `torch_models.MultiHead`.
        batch_size: images at once.

    Returns:
        float32, N x outputs.

    Raises:
        CourseError: no images, a batch size below 1, or a `head` that the network does not have.
    """
    if not len(images) or batch_size < 1:
        raise CourseError(
            f"there must be 1 image or more and batch_size must be 1 or more, not {len(images)} "
            f"and {batch_size}."
        )
    where = next(model.parameters()).device
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    parts = []
    try:
        with torch.no_grad():
            for start in range(0, len(images), batch_size):
                found = model(_tensor(images[start : start + batch_size]).to(where))
                heads = found if isinstance(found, Mapping) else {None: found}
                if head not in heads:
                    raise CourseError(f"head must be one of {list(heads)}, not {head!r}.")
                parts.append(heads[head].float().cpu().numpy())
    finally:
        for part, mode in modes:
            part.training = mode
    return np.concatenate(parts)
