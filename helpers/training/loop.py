"""A training loop that can be interrupted, and predictions."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from helpers.base.errors import CourseError
from helpers.training.batches import as_tensor
from helpers.training.checkpoint import History, kind_of, load, save


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
) -> History:
    """Take `steps` steps of gradient descent, and return how it went.

    The model is in train mode during each step (a frozen part stays in eval mode) and in eval mode
    while `evaluate` runs and at the end. On a GPU the loss is computed in mixed precision:
    bfloat16 where the device has it, otherwise float16 with a scaled loss.

    With a `checkpoint`, everything a run depends on is saved every `every` steps: weights,
    optimizer, scheduler, generators, history. If the file is there, training goes on from it and
    ends with the same bits as a run that was never interrupted, provided that `loss(step)` is a
    function of the step (see `Batches`). A finished run is only loaded. A damaged file is set
    aside and the run begun again; where nothing can be written, it goes on without, with a warning.

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

    Returns:
        One dictionary per row: ``step``, the mean of each loss since the last row (``loss`` is
        their sum), and what `evaluate` gave.

    Raises:
        CourseError: a loss that is no number, not finite, or of no use to any parameter; a
            checkpoint of another network or run.
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
    kind = kind_of(state, steps)
    history = load(checkpoint, state, kind) if checkpoint is not None else []
    done = int(history[-1]["step"]) if history else 0
    seen: dict[str, list[float]] = {}
    bar = tqdm(range(done, steps), "training", initial=done, total=steps, leave=False, delay=30)
    for step in bar:
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
                save(checkpoint, state, kind, history)
    model.eval()
    return history


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
    total: Tensor = sum(part.reshape(()) for part in losses.values())  # type: ignore[assignment]
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


def predict(model: nn.Module, images: np.ndarray, *, head: str | None = None) -> np.ndarray:
    """Outputs for images in memory, in eval mode and without gradients; all modes are restored.

    Args:
        model: images to a tensor, or to a dictionary of which `head` is taken.
        images: uint8, N x H x W x 3.
        head: name of the output of a `torch_models.MultiHead`.

    Returns:
        float32, N x outputs.

    Raises:
        CourseError: no images, or a `head` that the network does not have.
    """
    if not len(images):
        raise CourseError("there must be 1 image or more, not 0.")
    where = next(model.parameters()).device
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    parts = []
    try:
        with torch.no_grad():
            for start in range(0, len(images), 256):
                found = model(as_tensor(images[start : start + 256]).to(where))
                heads = found if isinstance(found, Mapping) else {None: found}
                if head not in heads:
                    raise CourseError(f"head must be one of {list(heads)}, not {head!r}.")
                parts.append(heads[head].float().cpu().numpy())
    finally:
        for part, mode in modes:
            part.training = mode
    return np.concatenate(parts)
