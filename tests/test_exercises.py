"""Every exercise: right answers in several styles pass, plausible wrong ones get a useful hint."""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from support import none_fails

from helpers.exercises import CHECKS

MEAN = np.array([103.939, 116.779, 123.68])


def preprocess_in_place(images: Any) -> Any:
    images[...] = images[..., ::-1]
    return images - MEAN


def pyramid_in_loop(maps: Any) -> list[list[float]]:
    rows = []
    for m in maps:
        parts = [m, m[:2, :2], m[:2, 2:], m[2:, :2], m[2:, 2:]]
        rows.append([float(part[..., c].mean()) for part in parts for c in range(m.shape[-1])])
    return rows


def pyramid(maps: Any, order: str = "row") -> Any:
    quarters = maps.reshape(len(maps), 2, 2, 2, 2, -1).mean(axis=(2, 4))
    if order == "column":
        quarters = quarters.transpose(0, 2, 1, 3)
    return np.hstack([maps.mean(axis=(1, 2)), quarters.reshape(len(maps), -1)])


def lead_on_silhouettes(
    points: float = 0.12, ratio: float = 2.6, verdicts: tuple[str, str] = ("less", "more")
) -> dict[str, Any]:
    in_points, as_ratio = verdicts
    return {"points": points, "in points": in_points, "ratio": ratio, "as a ratio": as_ratio}


def stop_in_loop(val_losses: Any, patience: int) -> int:
    best, waited = 0, 0
    for epoch in range(1, len(val_losses)):
        if val_losses[epoch] < val_losses[best]:
            best, waited = epoch, 0
        else:
            waited += 1
            if waited == patience:
                return best
    return best


def stop_by_argmin(val_losses: Any, patience: int) -> int:
    for end in range(1, len(val_losses) + 1):
        best = int(np.argmin(val_losses[:end]))
        if end - 1 - best >= patience:
            break
    return best


def warm_up(step: int, steps: int) -> float:
    return min(1, 10 * step / steps)


def rest(step: int, steps: int) -> float:
    return max(0, (step - steps // 10) / (steps - steps // 10))


def warm_up_and_cosine(step: int, steps: int, peak: float) -> float:
    return peak * warm_up(step, steps) * (1 + math.cos(math.pi * rest(step, steps))) / 2


def warm_up_and_sine(step: int, steps: int, peak: float) -> float:
    return peak * warm_up(step, steps) * (1 - np.sin(np.pi * rest(step, steps) / 2) ** 2)


def warm_up_and_quarter_wave(step: int, steps: int, peak: float) -> float:
    return peak * warm_up(step, steps) * math.cos(math.pi * rest(step, steps) / 2)


def warm_up_and_line(step: int, steps: int, peak: float) -> float:
    return peak * warm_up(step, steps) * (1 - rest(step, steps))


def fold(W: Any, b: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    return W / sigma, b - (W / sigma) @ mu


def fold_with_matrices(W: Any, b: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    scale = np.diag(1 / sigma)
    return np.matmul(W, scale), b - np.einsum("ij,j->i", W, mu / sigma)


def reservoir(stream: Any, k: int, rng: Any) -> list[Any]:
    kept: list[Any] = []
    for n, item in enumerate(stream, start=1):
        if n <= k:
            kept.append(item)
        elif rng.random() < k / n:
            kept[rng.integers(k)] = item
    return kept


def reservoir_by_place(stream: Any, k: int, rng: Any) -> list[Any]:
    kept: list[Any] = []
    for n, item in enumerate(stream):
        place = rng.integers(n + 1)
        if n < k:
            kept.append(item)
        elif place < k:
            kept[place] = item
    return kept


def reservoir_too_late(stream: Any, k: int, rng: Any) -> list[Any]:
    kept: list[Any] = []
    for item in stream:
        if len(kept) < k:
            kept.append(item)
        else:
            kept[rng.integers(k)] = item
    return kept


def log_softmax(z: Any) -> Any:
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def divergences(student: Any, teacher: Any, T: float) -> Any:
    p, q = log_softmax(teacher / T), log_softmax(student / T)
    return np.exp(p) * (p - q)


def distillation_by_scipy(student: Any, teacher: Any, T: float) -> Any:
    from scipy.special import log_softmax as log_p
    from scipy.special import softmax

    p = softmax(teacher / T, axis=1)
    gap = log_p(teacher / T, axis=1) - log_p(student / T, axis=1)
    return T * T * np.einsum("ij,ij->", p, gap) / len(p)


def naive_distillation(student: Any, teacher: Any, T: float) -> Any:
    p, q = (np.exp(z / T) / np.exp(z / T).sum(axis=1, keepdims=True) for z in (teacher, student))
    return T * T * (p * np.log(p / q)).sum(axis=1).mean()


def per_class_by_counts(predictions: Any, labels: Any) -> Any:
    _, inverse = np.unique(labels, return_inverse=True)
    return (np.bincount(inverse, predictions == labels) / np.bincount(inverse)).mean()


def per_class_of_all_numbers(predictions: Any, labels: Any) -> Any:
    return np.mean([((predictions == labels) & (labels == k)).sum() / max((labels == k).sum(), 1)
                    for k in range(10)])  # fmt: skip


def calibrate_by_offset(scores: Any, seen: Any, gamma: float) -> Any:
    offset = np.zeros(scores.shape[1])
    offset[seen] = gamma
    return np.argmax(scores - offset, axis=1)


def calibrate_in_loop(scores: Any, seen: Any, gamma: float) -> list[int]:
    listed = set(np.asarray(seen).tolist())
    return [
        max(range(len(row)), key=lambda k: row[k] - gamma * (k in listed))
        for row in scores.tolist()
    ]


def calibrate_in_place(scores: Any, seen: Any, gamma: float) -> Any:
    scores[:, seen] -= gamma
    return scores.argmax(axis=1)


def nce_in_loop(source_labels: Any, labels: Any) -> float:
    pairs = list(zip(source_labels.tolist(), labels.tolist(), strict=True))
    firsts = [z for z, _ in pairs]
    return sum(np.log(pairs.count(pair) / firsts.count(pair[0])) for pair in pairs) / len(pairs)


def nce_by_table(source_labels: Any, labels: Any) -> Any:
    z = np.unique(source_labels, return_inverse=True)[1]
    y = np.unique(labels, return_inverse=True)[1]
    table = np.zeros((z.max() + 1, y.max() + 1))
    np.add.at(table, (z, y), 1)
    return np.log((table / table.sum(axis=1, keepdims=True))[z, y]).mean()


def regret_in_loop(accuracy: Any) -> Any:
    regrets = []
    for task, row in enumerate(accuracy):
        chosen = np.delete(accuracy, task, axis=0).mean(axis=0).argmax()
        regrets.append(max(row) - row[chosen])
    return np.mean(regrets)


def regret_at_once(accuracy: Any) -> Any:
    chosen = (accuracy.sum(axis=0) - accuracy).argmax(axis=1)
    return (accuracy.max(axis=1) - accuracy[np.arange(len(accuracy)), chosen]).mean()


def evidence(F: Any, y: Any, alpha: float, beta: float, what: str = "right") -> Any:
    n, d = F.shape
    A = alpha * np.eye(d) + beta * F.T @ F
    m = beta * np.linalg.solve(A, F.T @ y)
    fit = -beta / 2 * ((F @ m - y) ** 2).sum() - alpha / 2 * (m**2).sum()
    scale = d / 2 * np.log(alpha) + n / 2 * np.log(beta)
    eigenvalues = np.sort(np.linalg.eigvalsh(A))[::-1]
    if what == "few eigenvalues":
        eigenvalues = eigenvalues[: min(n, d)]
    turn = 0 if what == "no pi" else n / 2 * np.log(2 * np.pi)
    return scale - turn + fit - np.log(eigenvalues).sum() / 2


def evidence_by_singular_values(F: Any, y: Any, alpha: float, beta: float) -> Any:
    u, s, _ = np.linalg.svd(F)
    variance = np.full(len(y), 1 / beta)
    variance[: len(s)] += s**2 / alpha
    return -0.5 * (np.log(2 * np.pi * variance) + (u.T @ y) ** 2 / variance).sum()


def ganin(epoch: int, batch: int, batches_per_epoch: int, epochs: int) -> Any:
    progress = (epoch * batches_per_epoch + batch) / (epochs * batches_per_epoch)
    return 2 / (1 + np.exp(-10 * progress)) - 1


def pool_by_moments(means: Any, variances: Any, counts: Any) -> tuple[Any, Any]:
    mean = np.average(means, weights=counts)
    return mean, np.average(variances + means**2, weights=counts) - mean**2


def pool_in_loop(means: Any, variances: Any, counts: Any) -> list[float]:
    total = sum(counts)
    mean = sum(n * m for n, m in zip(counts, means, strict=True)) / total
    squares = 0.0
    for m, v, n in zip(means, variances, counts, strict=True):
        squares += n * (v + (m - mean) ** 2)
    return [mean, squares / total]


def shares_by_solve(confusion: Any, predicted: Any) -> Any:
    shares = np.clip(np.linalg.solve(confusion, predicted), 0, None)
    return shares / shares.sum()


def shares_by_least_squares(confusion: Any, predicted: Any) -> list[float]:
    shares = [max(0.0, float(q)) for q in np.linalg.lstsq(confusion, predicted, rcond=None)[0]]
    return [q / sum(shares) for q in shares]


def masked_sum_in_loop(losses: Any, labeled: Any, weights: Any) -> float:
    total = 0.0
    for t, weight in enumerate(weights):
        if labeled[:, t].any():
            total += weight * losses[labeled[:, t], t].mean()
    return total


def masked_sum_at_once(losses: Any, labeled: Any, weights: Any) -> Any:
    sums = np.where(labeled, losses, 0).sum(axis=0)
    return weights @ (sums / np.maximum(labeled.sum(axis=0), 1))


def rescaled_by_count(labeled: Any) -> Any:
    return np.where(labeled, len(labeled) / max(labeled.sum(), 1), 0.0)


def rescaled_in_loop(labeled: Any) -> list[float]:
    count = sum(bool(one) for one in labeled)
    return [len(labeled) / count if one else 0.0 for one in labeled]


def balanced_by_bincount(labels: Any, classes: int, beta: float) -> Any:
    counts = np.bincount(labels, minlength=classes)
    weights = ((1 - beta) / (1 - beta ** np.maximum(counts, 1)))[labels]
    return weights / weights.mean()


def balanced_upside_down(labels: Any, classes: int, beta: float) -> Any:
    wrong = 1 / balanced_by_bincount(labels, classes, beta)
    return wrong / wrong.mean()


def balanced_in_loop(labels: Any, classes: int, beta: float) -> list[float]:
    seen = [int((labels == label).sum()) for label in labels]
    weights = [1 / (1 - beta**n) for n in seen]
    return [w * len(weights) / sum(weights) for w in weights]


def combine_with(parts: Any, missing: float = 0) -> Any:
    """Put parts below each other, with one value in place of each missing label."""
    example = {name: y for _, labels in parts for name, y in labels.items()}
    labels: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for name, y in example.items():
        columns = [
            own[name] if name in own else np.full((len(x), *y.shape[1:]), missing)
            for x, own in parts
        ]
        labels[name] = np.concatenate(columns)
        masks[name] = np.concatenate([np.full(len(x), name in own) for x, own in parts])
    return np.concatenate([x for x, _ in parts]), labels, masks


def combine_into_zeros(parts: Any) -> Any:
    n, at = sum(len(x) for x, _ in parts), 0
    x: list[Any] = []
    labels: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    for rows, own in parts:
        for name, y in own.items():
            labels.setdefault(name, np.zeros((n, *y.shape[1:]), y.dtype))[at : at + len(y)] = y
            masks.setdefault(name, np.zeros(n, np.float32))[at : at + len(y)] = 1
        x.extend(rows)
        at += len(rows)
    return np.array(x), labels, masks


def combined(parts: Any, change: Any) -> Any:
    x, labels, masks = combine_into_zeros(parts)
    change(labels, masks)
    return x, labels, masks


def geometric_by_logarithms(p: Any) -> Any:
    mean = np.exp(np.log(p).mean(axis=0))
    return mean / mean.sum(axis=-1, keepdims=True)


def geometric_by_scipy(p: Any) -> Any:
    from scipy.special import softmax

    return softmax(np.log(p).mean(axis=0), axis=1)


def geometric_by_root(p: Any) -> Any:
    mean = p.prod(axis=0) ** (1 / len(p))
    return mean / np.maximum(mean.sum(axis=-1, keepdims=True), 1e-300)


def cross_fit(fit: Any, x: Any, y: Any, folds: Any) -> Any:
    outputs = np.empty(len(x))
    for fold in np.unique(folds):
        outputs[folds == fold] = fit(x[folds != fold], y[folds != fold])(x[folds == fold])
    return outputs


def cross_fit_row_by_row(fit: Any, x: Any, y: Any, folds: Any) -> list[float]:
    return [
        fit(x[folds != fold], y[folds != fold])(x[i : i + 1])[0] for i, fold in enumerate(folds)
    ]


def turn_by_search(step: int, epochs: Any) -> Any:
    return np.searchsorted(np.cumsum(epochs), step % sum(epochs), side="right")


def turn_in_loop(step: int, epochs: Any) -> int:
    left = step % sum(epochs)
    for task, steps in enumerate(epochs):
        if left < steps:
            return task
        left -= steps
    raise AssertionError


def union_by_sorting(folders: Any) -> list[list[int]]:
    names = sorted({name for folder in folders for name in folder})
    return [[names.index(name) for name in folder] for folder in folders]


def union_by_unique(folders: Any) -> list[Any]:
    names = np.unique(np.concatenate(folders))
    return [np.searchsorted(names, folder) for folder in folders]


def union_as_met(folders: Any) -> list[list[int]]:
    names = list(dict.fromkeys(name for folder in folders for name in folder))
    return [[names.index(name) for name in folder] for folder in folders]


def union_by_offset(folders: Any) -> list[list[int]]:
    starts = np.cumsum([0, *map(len, folders)])[:-1]
    pairs = zip(starts, folders, strict=True)
    return [[int(start) + i for i in range(len(folder))] for start, folder in pairs]


def momentum_in_loop(values: Any, gradients: Any, velocities: Any, rate: Any, mu: Any) -> Any:
    for name, gradient in gradients.items():
        if gradient is not None:
            velocities[name] = mu * velocities[name] + gradient
            values[name] = values[name] - rate * velocities[name]
    return values, velocities


def momentum_at_once(values: Any, gradients: Any, velocities: Any, rate: Any, mu: Any) -> Any:
    moves = {k: v if gradients[k] is None else mu * v + gradients[k] for k, v in velocities.items()}
    new = {k: v if gradients[k] is None else v - rate * moves[k] for k, v in values.items()}
    return new, moves


def momentum_none_as_zero(values: Any, gradients: Any, velocities: Any, rate: Any, mu: Any) -> Any:
    known = {name: gradient or 0.0 for name, gradient in gradients.items()}
    return momentum_in_loop(values, known, velocities, rate, mu)


def momentum_zero_as_none(values: Any, gradients: Any, velocities: Any, rate: Any, mu: Any) -> Any:
    known = {name: gradient or None for name, gradient in gradients.items()}
    return momentum_in_loop(values, known, velocities, rate, mu)


def momentum_fades(values: Any, gradients: Any, velocities: Any, rate: Any, mu: Any) -> Any:
    new, _ = momentum_in_loop(values, gradients, dict(velocities), rate, mu)
    return new, {k: mu * v + (gradients[k] or 0.0) for k, v in velocities.items()}


def softmax_in_loop(scores: Any) -> Any:
    powers = [np.exp(score) for score in scores]
    return np.array([power / sum(powers) for power in powers])


def dwa_in_loop(history: Any, temperature: float) -> Any:
    if len(history) < 2:
        return [1.0] * np.shape(history)[1]
    ratios = [last / earlier for last, earlier in zip(history[-1], history[-2], strict=True)]
    return len(ratios) * softmax_in_loop(np.array(ratios) / temperature)


def dwa_by_library(history: Any, temperature: float) -> Any:
    from scipy.special import softmax

    if len(history) < 2:
        return np.ones(history.shape[1])
    return history.shape[1] * softmax(history[-1] / history[-2] / temperature)


def ones_or(late: Callable[[Any, float], Any]) -> Callable[[Any, float], Any]:
    """Ones until there are two epochs."""
    return lambda h, t: np.ones(h.shape[1]) if len(h) < 2 else late(h, t)


def smallest_by_formula(g: Any, h: Any) -> Any:
    length = (g - h) @ (g - h)
    share = min(max((h - g) @ h / length, 0.0), 1.0) if length > 0 else 1.0
    return share * g + (1 - share) * h


def smallest_by_cases(g: Any, h: Any) -> Any:
    if g @ h >= g @ g:
        return g
    if g @ h >= h @ h:
        return h
    share = (h @ h - g @ h) / (g @ g + h @ h - 2 * (g @ h))
    return share * g + (1 - share) * h


def smallest_unclipped(g: Any, h: Any) -> Any:
    share = (h - g) @ h / max((g - h) @ (g - h), 1e-9)
    return share * g + (1 - share) * h


def pcgrad_by_gramian(gramian: Any, order: Any, mode: str = "right") -> Any:
    tasks = len(gramian)
    total = np.zeros(tasks)
    for i in range(tasks):
        weights = np.eye(tasks)[i]
        for j in order:
            overlap = gramian[i, j] if mode == "original" else gramian[j] @ weights
            if j != i and overlap < 0:
                weights[j] -= overlap / gramian[j, j]
        total += weights
    return total / tasks if mode == "mean" else total


def pcgrad_by_gradients(gramian: Any, order: Any) -> Any:
    """Any gradients with this Gramian will do: the rows of its square root."""
    values, vectors = np.linalg.eigh(gramian)
    rows = vectors * np.sqrt(np.maximum(values, 0))
    combined = np.zeros(rows.shape[1])
    for i, row in enumerate(rows):
        mine = row.copy()
        for j in order:
            if j != i and mine @ rows[j] < 0:
                mine -= mine @ rows[j] / (rows[j] @ rows[j]) * rows[j]
        combined += mine
    return np.linalg.solve(rows.T, combined)


def cosine_of_shared(a: Any, b: Any, shared: Any, names: Any = None) -> float:
    x, y = (np.concatenate([g[n].ravel() for n in names or shared]) for g in (a, b))
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / lengths) if lengths else 0.0


def cosine_with_heads(a: Any, b: Any, shared: Any) -> float:
    x, y = (np.sqrt(sum((g**2).sum() for g in part.values())) for part in (a, b))
    return float(sum((a[n] * b[n]).sum() for n in shared) / (x * y))


def cosine_by_sums(a: Any, b: Any, shared: Any) -> float:
    x, y, dot = (
        sum(float((g[n] * h[n]).sum()) for n in shared) for g, h in ((a, a), (b, b), (a, b))
    )
    return dot / max(np.sqrt(x * y), 1e-12)


def quadratic(theta: Any, A: Any, c: Any) -> Any:
    return np.array([(theta - m) @ B @ (theta - m) / 2 for B, m in zip(A, c, strict=True)])


def look_ahead(theta: Any, A: Any, c: Any, rate: float) -> Any:
    before = quadratic(theta, A, c)
    steps = [rate * B @ (theta - m) for B, m in zip(A, c, strict=True)]
    return np.array([1 - quadratic(theta - step, A, c) / before for step in steps])


def look_ahead_at_once(theta: Any, A: Any, c: Any, rate: float) -> Any:
    def losses(points: Any) -> Any:
        gap = points[:, None] - c
        return np.einsum("ijd,jde,ije->ij", gap, A, gap) / 2

    moved = theta - rate * np.einsum("ide,ie->id", A, theta - c)
    return 1 - losses(moved) / losses(theta[None])


def look_ahead_in_place(theta: Any, A: Any, c: Any, rate: float) -> Any:
    before = quadratic(theta, A, c)
    rows = []
    for B, m in zip(A, c, strict=True):
        theta -= rate * B @ (theta - m)
        rows.append(1 - quadratic(theta, A, c) / before)
    return np.array(rows)


def look_ahead_in_sequence(theta: Any, A: Any, c: Any, rate: float) -> Any:
    return look_ahead_in_place(theta.copy(), A, c, rate)


def look_ahead_by_products(theta: Any, A: Any, c: Any, rate: float) -> Any:
    g = np.einsum("ide,ie->id", A, theta - c)
    return rate * g @ g.T / quadratic(theta, A, c)


def partitions(tasks: list[int]) -> Iterator[list[list[int]]]:
    if not tasks:
        yield []
        return
    first, *others = tasks
    for rest in partitions(others):
        yield [[first], *rest]
        for k in range(len(rest)):
            yield [*rest[:k], [first, *rest[k]], *rest[k + 1 :]]


def partition_value(affinity: Any, groups: Any, own: bool = False, mean: bool = True) -> float:
    total = 0.0
    for group in groups:
        for task in group:
            values = [affinity[i, task] for i in group if own or i != task]
            if values:
                total += float(np.mean(values) if mean else np.sum(values))
    return total


def best_partition(affinity: Any, **options: bool) -> Any:
    every = partitions(list(range(len(affinity))))
    return max(every, key=lambda groups: partition_value(affinity, groups, **options))


def best_partition_by_labels(affinity: Any) -> Any:
    count = len(affinity)
    best: float = -np.inf
    winner: tuple[set[int], ...] = ()
    for code in itertools.product(range(count), repeat=count):
        groups = [{t for t in range(count) if code[t] == k} for k in sorted(set(code))]
        value = partition_value(affinity, groups)
        if value > best + 1e-12:
            best, winner = value, tuple(groups)
    return winner


def partner_pairs(affinity: Any) -> Any:
    """Each task with the partner that helps it most: no partition."""
    off = affinity - 1e9 * np.eye(len(affinity))
    return [{j, int(off[:, j].argmax())} for j in range(len(affinity))]


def cross_entropy(logits: Any, labels: Any) -> Any:
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def temperature_by_scipy(logits: Any, labels: Any, candidates: Any) -> Any:
    return min(candidates, key=lambda t: cross_entropy(logits / t, labels))


def temperature_in_loop(logits: Any, labels: Any, candidates: Any) -> Any:
    best, lowest = None, np.inf
    for t in candidates:
        z = logits / t
        z = z - z.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        loss = np.mean([-np.log(p[i, k] + 1e-300) for i, k in enumerate(labels)])
        if loss < lowest:
            best, lowest = t, loss
    return best


def naive_temperature(logits: Any, labels: Any, candidates: Any) -> Any:
    losses = []
    with np.errstate(all="ignore"):
        for t in candidates:
            e = np.exp(logits / t)
            losses.append(-np.log((e / e.sum(1, keepdims=True))[range(len(e)), labels]).mean())
    return candidates[int(np.argmin(losses))]


LORA = {"trained": 18_186, "differences": [-0.02, 0.01, 0.0], "verdict": "cannot tell"}


RIGHT: dict[str, list[Any]] = {
    "00.1": [
        {"a": "multi-task", "b": "transfer", "c": "transfer", "d": "multi-task"},
        {"d": "Multi-task", "c": " transfer", "b": "Transfer", "a": "multi-task "},
    ],
    "00.2": [50, 5 * 10, 50.0, np.int64(50)],
    "00.3": [
        lambda labels: 1 / len(np.unique(labels)),
        lambda labels: 1.0 / len(set(labels.tolist())),
    ],
    "00.4": [
        {"transfer, 5": 0.753, "pixels, 100": 0.735, "transfer is": "about as good"},
        {"transfer, 5": 0.82, "pixels, 100": np.float64(0.72), "transfer is": " Better"},
        {"transfer, 5": 0.66, "pixels, 100": 0.74, "transfer is": "worse"},
        {"transfer, 5": 0.79, "pixels, 100": 0.74, "transfer is": "better"},
        {"transfer, 5": 0.79, "pixels, 100": 0.74, "transfer is": "about as good"},
    ],
    "03.1": [512 * 7 + 7, 3591, (512 + 1) * 7, np.int64(3591), 3591.0],
    "03.2": [
        lambda images: images[..., ::-1] - MEAN,
        lambda images: np.flip(images.astype("float32"), -1) - MEAN.astype("float32"),
        lambda images: np.stack([images[..., 2 - k] - MEAN[k] for k in range(3)], axis=-1),
    ],
    "03.3": [pyramid, pyramid_in_loop],
    "03.4": [
        {"points": 0.12, "in points": "less", "ratio": 2.6, "as a ratio": "more"},
        {"points": np.float64(0.09), "in points": "less", "ratio": 1.9, "as a ratio": "more"},
    ],
    "04.1": [np.log(2), 0.6931, -np.log(0.5)],
    "04.2": [warm_up_and_cosine, warm_up_and_sine],
    "04.3": [fold, fold_with_matrices],
    "04.4": [0.03, 0.078, np.float64(0.0)],
    "05.1": [
        lambda top, decay, depth: [top / decay ** (depth - 1 - k) for k in range(depth)],
        lambda top, decay, depth: top * decay ** -np.arange(depth)[::-1].astype(float),
    ],
    "05.2": [stop_in_loop, stop_by_argmin],
    "05.3": [temperature_in_loop, temperature_by_scipy],
    "05.4": [
        {"trained": 18_186, "differences": [-0.02, 0.01, 0.0], "verdict": "cannot tell"},
        {"trained": 18_186, "differences": np.array([-0.05, -0.06, -0.05]), "verdict": "Worse "},
        {"trained": 13_056 + 2 * 513, "differences": (0.04, 0.05), "verdict": "cannot tell"},
        {"trained": np.int64(18_186), "differences": [0.04, 0.05, 0.04], "verdict": "better"},
    ],
    "06.1": [30, 900 / 30, np.float64(30)],
    "06.2": [lambda g: (g**2).mean(axis=0), lambda g: np.diag(g.T @ g) / len(g)],
    "06.3": [reservoir, reservoir_by_place],
    "06.4": [
        lambda s, t, T: T**2 * divergences(s, t, T).sum(axis=1).mean(),
        distillation_by_scipy,
    ],
    "08.1": [
        lambda source_only, adapted, oracle: (adapted - source_only) / (oracle - source_only),
        lambda s, a, o: 1 - (o - a) / (o - s),
    ],
    "08.2": [ganin, lambda e, b, n, k: np.tanh(5 * (e + b / n) / k)],
    "08.3": [pool_by_moments, pool_in_loop],
    "08.4": [shares_by_solve, shares_by_least_squares],
    "09.1": [
        {"a": "few-shot", "b": "zero-shot", "c": "adaptation", "d": "zero-shot"},
        {"d": "Zero-shot", "c": "adaptation ", "b": "zero-shot", "a": "FEW-SHOT"},
    ],
    "09.2": [
        lambda p, y: np.mean([(p[y == k] == k).mean() for k in np.unique(y)]),
        per_class_by_counts,
    ],
    "09.3": [
        lambda p, table: p @ table,
        lambda p, table: np.einsum("ns,sm->nm", p, table),
        lambda p, table: sum(p[:, [k]] * table[k] for k in range(len(table))),
    ],
    "09.4": [calibrate_by_offset, calibrate_in_loop],
    "10.1": [0.02, 0.71 - 0.69, np.float64(0.02)],
    "10.2": [
        {"a": "negative", "b": "unclear", "c": "positive", "d": "unclear"},
        {"a": "Negative ", "b": "UNCLEAR", "c": "Positive", "d": "unclear"},
    ],
    "10.3": [nce_in_loop, nce_by_table],
    "10.4": [regret_in_loop, regret_at_once],
    "10.5": [evidence, evidence_by_singular_values],
    "11.1": [
        lambda trunk, d, outputs: (
            trunk + (d + 1) * sum(outputs),
            len(outputs) * trunk + (d + 1) * sum(outputs),
        ),
        lambda trunk, d, outputs: np.array([trunk, 3 * trunk]) + np.sum(outputs) * (d + 1),
    ],
    "11.2": [masked_sum_in_loop, masked_sum_at_once],
    "11.3": [
        geometric_by_logarithms,
        geometric_by_scipy,
    ],
    "11.4": [cross_fit, cross_fit_row_by_row],
    "13.1": [
        lambda classes, weights: np.dot(weights, np.log(classes)),
        lambda classes, weights: sum(w * np.log(k) for k, w in zip(classes, weights, strict=True)),
    ],
    "13.2": [rescaled_by_count, lambda labeled: rescaled_in_loop(labeled)],
    "13.3": [balanced_by_bincount, balanced_in_loop],
    "13.4": [combine_with, combine_into_zeros],
    "15.1": [
        lambda sizes, share: np.log((1 - share) / share) / np.log(sizes[1] / sizes[0]),
        lambda n, share: (np.log(share) - np.log(1 - share)) / (np.log(n[0]) - np.log(n[1])),
    ],
    "15.2": [turn_by_search, turn_in_loop],
    "15.3": [union_by_sorting, union_by_unique],
    "15.4": [momentum_in_loop, momentum_at_once],
    "16.1": [
        lambda loss, form: np.log(loss if form == "regression" else 2 * loss),
        lambda loss, form: float(np.log(loss) + (form == "classification") * np.log(2)),
    ],
    "16.2": [dwa_in_loop, dwa_by_library],
    "16.3": [smallest_by_formula, smallest_by_cases],
    "16.4": [pcgrad_by_gramian, pcgrad_by_gradients],
    "18.1": [{"a": 0.1, "b": 0.5, "c": 0.25}, {"a": 100 / 1000, "b": 1 / 2, "c": 8 / 32}],
    "18.2": [cosine_of_shared, cosine_by_sums],
    "18.3": [look_ahead, look_ahead_at_once],
    "18.4": [best_partition, best_partition_by_labels],
}

WRONG: dict[str, list[tuple[Any, str]]] = {
    "00.1": [
        ({"a": "transfer", "b": "transfer", "c": "transfer", "d": "multi-task"}, "a: is it"),
        ({"a": "both", "b": "transfer", "c": "transfer", "d": "multi-task"}, "a: use 'transfer'"),
        (["multi-task", "transfer"], "keep the dictionary"),
    ],
    "00.2": [(5, "for one class"), (500, "ten classes"), ("50", "ten classes")],
    "00.3": [
        (lambda labels: np.bincount(labels).max() / len(labels), "that is the majority class"),
        (lambda labels: 1 / (labels.max() + 1), "count the classes that occur"),
        (lambda labels: 1 / len(labels), "your function gives 0.25"),
        (0.1, "write a function"),
    ],
    "00.4": [
        ({"transfer, 5": 0.75, "pixels, 100": 0.735}, "keep the three keys"),
        ({"transfer, 5": 75.3, "pixels, 100": 0.7, "transfer is": "better"}, "from 0 to 1"),
        ({"transfer, 5": 0.95, "pixels, 100": 0.7, "transfer is": "better"}, "which PER_CLASS"),
        ({"transfer, 5": 0.75, "pixels, 100": 0.47, "transfer is": "better"}, "which PER_CLASS"),
        ({"transfer, 5": 0.75, "pixels, 100": 0.74, "transfer is": "good"}, "wants 'better'"),
        ({"transfer, 5": 0.75, "pixels, 100": 0.74, "transfer is": "better"}, "differ by +0.010"),
        ({"transfer, 5": 0.82, "pixels, 100": 0.72, "transfer is": "worse"}, "does not fit"),
    ],
    "03.1": [
        (512 * 7, "biases"),
        (4 * 4 * 512 * 7 + 7, "one value per channel"),
        (512 * 10 + 10, "7 outputs"),
        ("3591", "block4_pool"),
    ],
    "03.2": [
        (lambda images: images - MEAN[::-1], "the order blue, green, red"),
        (lambda images: images / 255, "black should become negative"),
        (lambda images: images[..., ::-1] - MEAN.astype(np.uint8), "unsigned"),
        (lambda images: images[..., ::-1] / 255 - MEAN / 255, "no division by 255"),
        (lambda images: images - MEAN, "not (151.1, -116.8, -123.7)"),
        (lambda images: images[::-1] - MEAN, "should become"),
        (preprocess_in_place, "changed its input"),
        (lambda images: images.mean(0) - MEAN, "the shape should stay"),
    ],
    "03.3": [
        (lambda maps: maps.mean(axis=(1, 2)), "shape (3, 10), not (3, 2)"),
        (lambda maps: pyramid(maps, "column"), "part 3 should be"),
        (lambda maps: np.roll(pyramid(maps), 2, axis=1), "first comes the mean of all"),
    ],
    "03.4": [
        (lead_on_silhouettes(points=12.0), "ten points are 0.10"),
        (lead_on_silhouettes(points=-0.12), "not the other way round"),
        (lead_on_silhouettes(ratio=0.4), "divide random's errors by ImageNet's"),
        (lead_on_silhouettes(points=0.28), "far from what 50 images"),
        (lead_on_silhouettes(ratio=1.1), "not the accuracies"),
        (lead_on_silhouettes(verdicts=("more", "more")), "the lead in points is 0.2 to 0.3"),
        (lead_on_silhouettes(verdicts=("less", "less")), "the lead as a ratio is 1.5 to 1.8"),
        (lead_on_silhouettes(verdicts=("yes", "no")), '"more" or "less"'),
        ({"points": 0.12}, "the four entries"),
    ],
    "04.1": [(1, "base 2"), (0.5, "the accuracy of guessing"), (-np.log(2), "-ln of it")],
    "04.2": [
        (lambda step, steps, peak: peak, "starts with the rate 0"),
        (lambda step, steps, peak: peak * step / steps, "half of the warm-up is over"),
        (lambda step, steps, peak: peak * min(1, 10 * step / steps), "peak / 2, not 0.0003"),
        (warm_up_and_quarter_wave, "a half wave"),
        (warm_up_and_line, "peak * (1 + cos(pi t)) / 2"),
    ],
    "04.3": [
        (lambda W, b, mu, sigma: (W / sigma, b - W @ mu), "the bias must take up"),
        (lambda W, b, mu, sigma: (W / sigma, b), "the bias must take up"),
        (lambda W, b, mu, sigma: (W * sigma, b - W @ mu), "divide each column"),
        (lambda W, b, mu, sigma: ((W / sigma).T, b), "keep the shape (3, 5), not (5, 3)"),
        (lambda W, b, mu, sigma: W / sigma, "return two things"),
    ],
    "04.4": [(7.8, "as a share"), (0.4, "more than both"), (-0.3, "is a great loss")],
    "05.1": [
        (lambda top, decay, depth: [top / decay**k for k in range(depth)], "lowest block"),
        (lambda top, decay, depth: [top / decay ** (depth - k) for k in range(depth)], "`top`"),
        (lambda top, decay, depth: [top] * depth, "not [0.8, 0.8, 0.8, 0.8]"),
        (lambda top, decay, depth: [top, top / decay], "4 blocks have 4 rates, not 2"),
    ],
    "05.2": [
        (lambda losses, patience: int(np.argmin(losses)), "0.1 was never seen"),
        (lambda losses, patience: stop_in_loop(losses, patience) + patience, "weights are kept"),
        (lambda losses, patience: stop_in_loop(losses, 2), "with patience 3"),
        (lambda losses, patience: 1, "with patience 3"),
        (
            lambda losses, patience: stop_in_loop(
                np.array(losses) - 1e-9 * np.arange(len(losses)), patience
            ),
            "an equal loss",
        ),
    ],
    "05.3": [
        (lambda z, y, ts: min(ts, key=lambda t: cross_entropy(z * t, y)), "you multiplied"),
        (
            lambda z, y, ts: max(ts, key=lambda t: ((z / t).argmax(1) == y).mean()),
            "it cannot choose",
        ),
        (lambda z, y, ts: min(cross_entropy(z / t, y) for t in ts), "at which temperature"),
        (lambda z, y, ts: [cross_entropy(z / t, y) for t in ts], "not 5 numbers"),
        (
            lambda z, y, ts: int(np.argmin([cross_entropy(z / t, y) for t in ts])),
            "so 4 is best, not 2",
        ),
        (lambda z, y, ts: 3.0, "none of the candidates"),
        (naive_temperature, "subtract the largest"),
    ],
    "05.4": [
        (LORA | {"trained": 13_056}, "the head learns too"),
        (LORA | {"trained": 57_354}, "is not their sum"),
        (LORA | {"differences": 0.01}, "one number for each draw"),
        (LORA | {"differences": [0.0, 0.0, 0.0]}, "is it one model"),
        (LORA | {"differences": [-1.5, 2.0, 0.0]}, "by a few points"),
        (LORA | {"verdict": "equal"}, "better, worse or cannot tell"),
        (LORA | {"verdict": "worse"}, "does not say 'worse'"),
        ({"trained": 18_186}, "keep the dictionary"),
    ],
    "06.1": [(1 / 30, "other way round"), (1, "right for means"), (900, "weigh as much")],
    "06.2": [
        (lambda g: g.mean(axis=0) ** 2, "you squared the mean"),
        (lambda g: (g**2).sum(axis=0), "not the sum"),
        (lambda g: (g**2).mean(), "shape (3,), not ()"),
        (lambda g: abs(g).mean(axis=0), "it should be [1, 10, 0]"),
    ],
    "06.3": [
        (lambda stream, k, rng: list(stream)[:k], "not equally likely"),
        (reservoir_too_late, "not equally likely"),
        (lambda stream, k, rng: list(stream), "keep 3 items, not 10"),
        (lambda stream, k, rng: rng.choice(list(stream), k).tolist(), "kept as a whole"),
    ],
    "06.4": [
        (lambda s, t, T: divergences(s, t, T).sum(axis=1).mean(), "T squared is missing"),
        (lambda s, t, T: T**2 * divergences(t, s, T).sum(axis=1).mean(), "swapped"),
        (lambda s, t, T: T**2 * divergences(s, t, T).mean(), "over the classes too"),
        (lambda s, t, T: T**2 * divergences(s, t, T).sum(), "not the sum"),
        (lambda s, t, T: T**2 * divergences(s, t, 1).sum(axis=1).mean(), "expected"),
        (naive_distillation, "overflows"),
    ],
    "08.1": [
        (lambda s, a, o: a - s, "that is the gain"),
        (lambda s, a, o: a / o, "share of the oracle's accuracy"),
        (lambda s, a, o: (a - s) / s, "relative to source only"),
        (lambda s, a, o: (o - s) / (a - s), "upside down"),
        (lambda s, a, o: max(0, a - s) / (o - s), "a negative share"),
    ],
    "08.2": [
        (lambda e, b, n, k: ganin(0, b, n, 1), "starts again in every epoch"),
        (lambda e, b, n, k: ganin(e, 0, 1, k), "only moves from epoch to epoch"),
        (lambda e, b, n, k: ganin(e, b + 1, n, k), "*before* this batch"),
        (lambda e, b, n, k: ganin(e, b, n, k) + 1, "take off 1"),
        (lambda e, b, n, k: (e * n + b) / (n * k), "that is p"),
        (lambda e, b, n, k: 1.0, "expected 0.9540, got 1.0000"),
    ],
    "08.3": [
        (lambda m, v, n: (m.mean(), v.mean()), "three times as much"),
        (lambda m, v, n: (np.average(m, weights=n), v.mean()), "that of their means is missing"),
        (lambda m, v, n: (pool_in_loop(m, v, n)[0], pool_in_loop(m, v, n)[1] ** 0.5), "deviation"),
        (lambda m, v, n: np.average(m, weights=n), "return two things"),
        (
            lambda m, v, n: (np.average(m, weights=n), v.mean() + pool_in_loop(m, 0 * v, n)[1]),
            "weight by counts in both places",
        ),
    ],
    "08.4": [
        (lambda confusion, predicted: predicted, "undo the confusion"),
        (lambda confusion, predicted: shares_by_solve(confusion.T, predicted), "other way round"),
        (lambda confusion, predicted: confusion @ predicted, "it should be [0.6, 0.3, 0.1]"),
        (lambda confusion, predicted: np.linalg.solve(confusion, predicted), "cannot be negative"),
        (
            lambda confusion, predicted: np.linalg.solve(confusion, predicted).clip(0),
            "add up to 1 again",
        ),
        (
            lambda confusion, predicted: (
                abs(np.linalg.solve(confusion, predicted))
                / abs(np.linalg.solve(confusion, predicted)).sum()
            ),
            "set to 0 first",
        ),
    ],
    "09.1": [
        (dict(a="zero-shot", b="zero-shot", c="adaptation", d="zero-shot"), "a: are there labeled"),
        (dict(a="few-shot", b="few-shot", c="adaptation", d="zero-shot"), "b: how many photo"),
        (dict(a="few-shot", b="zero-shot", c="zero-shot", d="zero-shot"), "c: are the classes new"),
        (dict(a="few-shot", b="zero-shot", c="adaptation", d="none"), "d: use 'zero-shot'"),
    ],
    "09.2": [
        (lambda p, y: np.mean(p == y), "the share of all images"),
        (
            lambda p, y: np.mean([(p[p == k] == y[p == k]).mean() for k in np.unique(p)]),
            "class 9 is never",
        ),
        (per_class_of_all_numbers, "must not count"),
        (lambda p, y: np.sum([(p[y == k] == k).mean() for k in np.unique(y)]), "not 1.5"),
    ],
    "09.3": [
        (lambda p, table: table[p.argmax(axis=1)], "only at the most probable"),
        (lambda p, table: p @ table / table.sum(axis=0), "do not divide"),
        (lambda p, table: table.T @ p.T, "not (4, 2)"),
        (lambda p, table: p @ table / len(table), "not 0.233"),
    ],
    "09.4": [
        (calibrate_in_place, "changed the caller's"),
        (lambda s, seen, gamma: s.argmax(axis=1), "gamma changes nothing"),
        (lambda s, seen, gamma: calibrate_by_offset(s, seen, -gamma), "gamma changes nothing"),
        (lambda s, seen, gamma: np.delete(s, seen, axis=1).argmax(axis=1) + 2, "with gamma 0"),
        (lambda s, seen, gamma: calibrate_by_offset(s, seen, 9 * gamma), "unseen classes win"),
        (lambda s, seen, gamma: s - gamma, "one class per row"),
    ],
    "10.1": [
        (0.71, "the oracle"),
        (0.69 - 0.71, "never negative"),
        (0.16, "count from one"),
        (0.31, "minus the one"),
    ],
    "10.2": [
        ({"a": "positive", "b": "unclear", "c": "positive", "d": "unclear"}, "a: without the"),
        ({"a": "negative", "b": "positive", "c": "positive", "d": "unclear"}, "b: is anything but"),
        ({"a": "negative", "b": "unclear", "c": "unclear", "d": "unclear"}, "c: the method is"),
        ({"a": "negative", "b": "unclear", "c": "positive", "d": "negative"}, "d: does the"),
        ({"a": "harmful", "b": "unclear", "c": "positive", "d": "negative"}, "a: use 'positive'"),
        ("negative", "keep the dictionary"),
    ],
    "10.3": [
        (lambda z, y: -nce_in_loop(z, y), "*minus* the entropy"),
        (lambda z, y: nce_in_loop(y, z), "this is P(z | y)"),
        (lambda z, y: len(y) * nce_in_loop(z, y), "divide by the number"),
        (lambda z, y: nce_in_loop(z, y) / np.log(2), "base 2"),
        (lambda z, y: np.mean(z == y), "P(5 | 2) is 1"),
    ],
    "10.4": [
        (lambda a: (a.max(1) - a[:, a.mean(0).argmax()]).mean(), "leave it out"),
        (lambda a: (a.max(1) - a.max(1)).mean(), "choose for itself"),
        (lambda a: 3 * regret_in_loop(a), "not the sum"),
        (lambda a: -regret_in_loop(a), "comes first"),
        (lambda a: a.max(), "the mean regret is 0.250"),
    ],
    "10.5": [
        (lambda F, y, a, b: evidence(F, y, a, b, "few eigenvalues"), "logarithms are missing"),
        (lambda F, y, a, b: evidence(F, y, a, b, "no pi"), "2 pi is missing"),
        (lambda F, y, a, b: evidence(F, y, a, b) / len(y), "not per example"),
        (lambda F, y, a, b: evidence(F, y, b, a), "the dense formula gives"),
    ],
    "11.1": [
        (lambda trunk, d, o: (3 * trunk + 21 * sum(o), trunk + 21 * sum(o)), "comes first"),
        (lambda trunk, d, o: (trunk + d * sum(o), 3 * trunk + d * sum(o)), "has a bias too"),
        (lambda trunk, d, o: (trunk + d * sum(o) + len(o), 0), "one bias for each of its"),
        (lambda trunk, d, o: (trunk + (d + 1) * sum(o), 3 * (trunk + 21 * sum(o))), "its own head"),
        (lambda trunk, d, o: trunk + (d + 1) * sum(o), "return two numbers"),
        (lambda trunk, d, o: (trunk + (d + 1) * sum(o), trunk), "have three trunks"),
        (lambda trunk, d, o: (trunk, 3 * trunk), "21 * 14"),
    ],
    "11.2": [
        (lambda losses, labeled, w: (w * (losses * labeled).mean(axis=0)).sum(), "NaN times 0"),
        (lambda losses, labeled, w: w @ np.where(labeled, losses, 0).mean(axis=0), "not by all N"),
        (lambda losses, labeled, w: w @ np.where(labeled, losses, 0).sum(axis=0), "not the sum"),
        (lambda losses, labeled, w: masked_sum_in_loop(losses, labeled, 0 * w + 1), "its weight"),
        (lambda losses, labeled, w: masked_sum_in_loop(losses, labeled, w) / 3, "not their mean"),
        (lambda losses, labeled, w: (w * losses)[labeled].mean(), "one mean per task"),
        (lambda losses, labeled, w: w * np.where(labeled, losses, 0).sum(axis=0), "one number"),
    ],
    "11.3": [
        (lambda p: p.mean(axis=0), "not the geometric mean"),
        (lambda p: np.exp(np.log(p).mean(axis=0)), "add up to 1 again"),
        (lambda p: p.prod(axis=0) / p.prod(axis=0).sum(axis=1, keepdims=True), "M-th root"),
        (lambda p: geometric_by_logarithms(p.swapaxes(0, 1)), "give 0.75 and 0.25"),
        (geometric_by_root, "a product vanishes"),
        (np.log, "the networks are combined"),
    ],
    "11.4": [
        (lambda fit, x, y, folds: fit(x, y)(x), "trained on it"),
        (
            lambda fit, x, y, folds: cross_fit(fit, x, y, folds)[np.argsort(folds, kind="stable")],
            "the place of its row",
        ),
        (
            lambda fit, x, y, folds: x + [y[folds == fold].mean() for fold in folds],
            "not on the row's own",
        ),
        (lambda fit, x, y, folds: x + y.mean(), "row 0 is in fold 2"),
        (lambda fit, x, y, folds: cross_fit(fit, x, y, folds)[1:], "one output per row"),
    ],
    "13.1": [
        (lambda classes, w: np.log(classes).sum(), "multiply each loss by its weight"),
        (lambda classes, w: np.dot(w, np.log10(classes)), "not that to the base 10"),
        (lambda classes, w: np.dot(w, np.log(classes)) / 2, "does not average"),
        (lambda classes, w: np.dot(w, np.log(classes)) / sum(w), "the sum of the weights"),
        (lambda classes, w: np.dot(w, np.log(1 / np.array(classes))), "0 or more"),
        (lambda classes, w: np.array(w) * np.log(classes), "return one number"),
        (lambda classes, w: np.log(np.dot(w, classes)), "give 6.908 + 1.151"),
    ],
    "13.2": [
        (lambda labeled: labeled, "by 5 images, not by 2"),
        (lambda labeled: labeled / labeled.sum(), "multiply by N"),
        (
            lambda labeled: labeled * (len(labeled) / (labeled.sum() or np.nan)),
            "do not divide by 0",
        ),
        (lambda labeled: np.ones(len(labeled)), "must have weight 0"),
        (lambda labeled: labeled.sum() / len(labeled), "one weight per image"),
        (lambda labeled: labeled * 2.0, "need the weight 2.5"),
        (lambda labeled: 2.5 * labeled, "all weights are 1"),
    ],
    "13.3": [
        (
            lambda y, k, beta: balanced_by_bincount(y, k, beta) * 0.6266666666666667,
            "their mean is 1",
        ),
        (lambda y, k, beta: balanced_by_bincount(y, k, 1 - 1e-9), "inverse frequency"),
        (
            lambda y, k, beta: (1 - beta) / (1 - beta ** np.arange(1, k + 1)),
            "weights of the classes",
        ),
        (lambda y, k, beta: np.full(len(y), np.nan), "must not spoil the others"),
        (balanced_upside_down, "the smaller is its weight"),
        (
            lambda y, k, beta: balanced_by_bincount(y, k, beta) * 0.6266666666666667 / 0.7666666667,
            "not the mean over the classes",
        ),
        (lambda y, k, beta: np.ones(len(y)), "give 0.851"),
        (lambda y, k, beta: np.ones((len(y), k)), "one weight per image, 5"),
    ],
    "13.4": [
        (lambda parts: combine_with(parts, np.nan), "put 0 in place of a missing label"),
        (lambda parts: combine_with(parts, -1), "-1 is no class"),
        (lambda parts: combine_with(parts, 7), "put 0 in place of every missing"),
        (lambda parts: combine_with(parts)[:2], "return three things"),
        (lambda parts: combine_with(parts[::-1]), "in the order of the parts"),
        (lambda parts: combined(parts, lambda y, m: m.pop("parts")), "masks must be a dictionary"),
        (
            lambda parts: combined(parts, lambda y, m: y.update(species=y["species"][:5])),
            "each entry of labels needs a row",
        ),
        (
            lambda parts: combined(parts, lambda y, m: m.update({k: 1 - v for k, v in m.items()})),
            "not where it is missing",
        ),
        (
            lambda parts: combined(parts, lambda y, m: y.update(species=y["species"] * 1.0)),
            "class numbers stay whole",
        ),
    ],
    "15.1": [
        (lambda n, share: np.log(share / (1 - share)) / np.log(n[1] / n[0]), "the sign is wrong"),
        (lambda n, share: np.log(n[1] / n[0]) / np.log((1 - share) / share), "turned over"),
        (lambda n, share: -np.log(share) / np.log(n[1] / n[0]), "odds of 9 to 1"),
        (lambda n, share: 0.5, "a tenth of the steps"),
        (lambda n, share: np.log(9) / np.log(50), "your alpha gives the first task"),
    ],
    "15.2": [
        (lambda step, epochs: step % len(epochs), "alternates by batch"),
        (lambda step, epochs: turn_in_loop(step, epochs) + 1, "count the tasks from 0"),
        (lambda step, epochs: min(np.searchsorted(np.cumsum(epochs), step), 2), "first eight"),
        (lambda step, epochs: min(np.searchsorted(np.cumsum(epochs), step, "right"), 2), "again"),
        (lambda step, epochs: epochs, "return one number"),
    ],
    "15.3": [
        (lambda folders: [list(range(len(folder))) for folder in folders], "own numbers"),
        (union_by_offset, "is one class"),
        (union_as_met, "alphabetical order"),
        (lambda folders: union_by_sorting(folders)[:2], "one list for each folder"),
        (lambda folders: [[i + 1 for i in f] for f in union_by_sorting(folders)], "are 1 and 4"),
    ],
    "15.4": [
        (momentum_none_as_zero, "is None nothing moves"),
        (momentum_zero_as_none, "a gradient of 0 is a gradient"),
        (momentum_fades, "the velocity stays"),
        (lambda v, g, w, rate, mu: momentum_in_loop(v, g, w, -rate, mu), "minus"),
        (lambda v, g, w, rate, mu: momentum_in_loop(v, g, w, rate, 0.0), "velocity is missing"),
        (lambda v, g, w, rate, mu: momentum_in_loop(v, g, w, rate, mu)[0], "two dictionaries"),
    ],
    "16.1": [
        (lambda loss, form: loss if form == "regression" else 2 * loss, "the *logarithm*"),
        (lambda loss, form: np.log(loss), "has no factor 0.5"),
        (lambda loss, form: np.log(loss) / 2, "logarithm of sigma"),
        (lambda loss, form: -np.log(loss), "look at the sign"),
        (lambda loss, form: np.log(loss / 2), "goes to the other side"),
        (lambda loss, form: 0.0, "has its optimum at -1.386"),
    ],
    "16.2": [
        (lambda h, t: np.zeros(h.shape[1]), "return ones"),
        (ones_or(lambda h, t: softmax_in_loop(h[-1] / h[-2] / t)), "add up to the number"),
        (ones_or(lambda h, t: 3 * softmax_in_loop(h[-2] / h[-1] / t)), "upside down"),
        (ones_or(lambda h, t: 3 * softmax_in_loop(h[-1] / h[-2])), "by the temperature"),
        (ones_or(lambda h, t: 3 * softmax_in_loop(h[1] / h[0] / t)), "not the first two"),
        (ones_or(lambda h, t: 3 * h[-1] / h[-2] / (h[-1] / h[-2]).sum()), "use the softmax"),
        (ones_or(lambda h, t: 3 * softmax_in_loop(h[-1] / t)), "give"),
        (ones_or(lambda h, t: 1.0), "one weight per task"),
    ],
    "16.3": [
        (lambda g, h: smallest_by_formula(g, h) @ g, "the combined gradient"),
        (smallest_unclipped, "clip it"),
        (lambda g, h: g + h - smallest_by_formula(g, h), "are exchanged"),
        (lambda g, h: (g + h) / 2, "this is the mean"),
        (lambda g, h: g if g @ g < h @ h else h, "between [2.0, 0.0] and [0.0, 1.0]"),
        (
            lambda g, h: smallest_by_cases(g, h) * (0 if np.allclose(g, h) else 1),
            "do not divide by 0",
        ),
    ],
    "16.4": [
        (lambda G, order: pcgrad_by_gramian(G, order, "mean"), "no mean"),
        (lambda G, order: pcgrad_by_gramian(G, order, "original"), "after the earlier"),
        (lambda G, order: np.ones(len(G)), "nothing was projected"),
        (lambda G, order: np.eye(len(G)), "one weight per task"),
        (lambda G, order: 2 * pcgrad_by_gramian(G, order), "the weights are"),
    ],
    "18.1": [
        ({"a": 0.9, "b": 0.5, "c": 0.25}, "a: this is the weight of the source"),
        ({"a": 1 / 9, "b": 0.5, "c": 0.25}, "a: every image counts alike"),
        ({"a": 0.1, "b": 1, "c": 0.25}, "b: two means are added"),
        ({"a": 0.1, "b": 0.5, "c": 0.5}, "c: one mean over 32 images"),
        ({"a": 0.1, "b": 0.5, "c": 0.75}, "c: this is the weight of the source"),
        ([0.1, 0.5, 0.25], "keep the dictionary"),
    ],
    "18.2": [
        (lambda a, b, shared: sum((a[n] * b[n]).sum() for n in shared), "divide by both lengths"),
        (cosine_with_heads, "the lengths include the heads"),
        (
            lambda a, b, shared: np.mean([cosine_of_shared(a, b, [n]) for n in shared]),
            "the mean of the layers' cosines",
        ),
        (lambda a, b, shared: [cosine_of_shared(a, b, [n]) for n in shared], "one number"),
        (
            lambda a, b, shared: cosine_of_shared(a, b, shared) if a["fc"].any() else float("nan"),
            "has no direction",
        ),
        (lambda a, b, shared: 0.0, "48 / (5 * 13)"),
    ],
    "18.3": [
        (lambda theta, A, c, rate: look_ahead(theta, A, c, rate).T, "swapped"),
        (lambda theta, A, c, rate: 1 - look_ahead(theta, A, c, rate), "take it from 1"),
        (lambda theta, A, c, rate: look_ahead(theta, A, c, -rate), "this step climbs"),
        (look_ahead_in_place, "changed theta"),
        (look_ahead_in_sequence, "from the same theta"),
        (
            lambda theta, A, c, rate: look_ahead(theta, A, c, rate) * quadratic(theta, A, c),
            "divide by the loss",
        ),
        (look_ahead_by_products, "first-order"),
        (lambda theta, A, c, rate: look_ahead(theta, A, c, rate)[0], "a 3 x 3 matrix"),
        (lambda theta, A, c, rate: np.zeros((3, 3)), "the step of task 0"),
    ],
    "18.4": [
        (lambda affinity: [range(len(affinity))], "alone counts as 0"),
        (lambda affinity: best_partition(affinity, own=True), "does not count"),
        (lambda affinity: best_partition(affinity, mean=False), "favor large groups"),
        (partner_pairs, "exactly one group"),
        (lambda affinity: 3, "return the groups"),
    ],
}


# Those of lessons 01 and 02 have a file of their own.
HERE = [exercise for exercise in CHECKS if exercise[:2] not in ("01", "02")]


def test_every_exercise_is_tried() -> None:
    assert set(HERE) == RIGHT.keys() == WRONG.keys()
    assert min(len(answers) for answers in RIGHT.values()) >= 2
    assert min(len(answers) for answers in WRONG.values()) >= 3


def cases_of(lesson: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """All that is tried of a lesson: a name for each case, and the case."""

    def is_refused(exercise: str, answer: Any, hint: str) -> None:
        with pytest.raises(AssertionError, match=re.escape(hint)) as caught:
            CHECKS[exercise](answer)
        text = str(caught.value)
        assert "\n" not in text
        assert re.search(r"[.?]$", text), text

    for exercise in HERE:
        if not exercise.startswith(lesson):
            continue
        for place, answer in enumerate(RIGHT[exercise]):
            yield f"{exercise}, right answer {place}", partial(CHECKS[exercise], answer)
        for answer, hint in WRONG[exercise]:
            yield f"{exercise}, {hint!r}", partial(is_refused, exercise, answer, hint)
        if callable(RIGHT[exercise][0]):
            number = partial(is_refused, exercise, 0.5, "write a function of")
            yield f"{exercise}, a number", number


@pytest.mark.parametrize("lesson", sorted({exercise[:3] for exercise in HERE}))
def test_right_answers_pass_and_wrong_ones_get_their_hint(lesson: str) -> None:
    none_fails(cases_of(lesson))
