"""Frozen means frozen; an interrupted run ends with the same bits; batches by their number."""

import copy
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from support import refused

from helpers.base.paths import ROOT
from helpers.torch_models import MultiHead, Preprocessing, small_cnn
from helpers.training import Batches, checkpoint_path, flip_and_shift, freeze, predict, train

import torch  # isort: skip  # `helpers` before torch, see helpers/__init__.py
from torch import Tensor, nn  # isort: skip
from torch.optim import SGD, AdamW  # isort: skip
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR, OneCycleLR, StepLR  # isort: skip

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (22, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(22) % 3


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit the same is only what one kind of device computed."""
    monkeypatch.setattr("helpers.training.batches.device", lambda: CPU)


def bits(content: Any) -> dict[str, bytes]:
    """Every tensor of a module or of its state, to the bit."""
    state = content.state_dict() if isinstance(content, nn.Module) else content
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


# --- freeze --------------------------------------------------------------------------------------


def two_parts(seed: int = 0) -> MultiHead:
    torch.manual_seed(seed)
    trunk = nn.Sequential(small_cnn(4), nn.Dropout(0.5))
    return MultiHead(trunk, 16, {"shape": 3})


def learn(model: MultiHead, optimizer: torch.optim.Optimizer, steps: int = 4) -> None:
    """Ordinary training, with the zeroing that leaves gradients of 0 behind."""
    images, labels = torch.from_numpy(IMAGES), torch.from_numpy(LABELS)
    for _ in range(steps):
        model.train()
        loss = nn.functional.cross_entropy(model(images)["shape"], labels)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()


def test_freeze_refuses_what_is_no_module() -> None:
    values: list[Any] = [None, "model", [nn.Linear(1, 1)], torch.ones(1), nn.Linear, np.ones(1)]
    for value in values:
        with refused(f"can be frozen, not a value of type {type(value).__name__}"):
            freeze(value)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "adamw": lambda p: AdamW(p, 0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("before", [True, False], ids=["optimizer before", "optimizer after"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_frozen_to_the_bit(kind: str, before: bool) -> None:
    model = two_parts()
    optimizer = OPTIMIZERS[kind](model.parameters())
    learn(model, optimizer)  # fills gradients, momentum and running statistics
    assert freeze(model.trunk) is model.trunk
    if not before:
        optimizer = OPTIMIZERS[kind](model.parameters())
    trunk, head = bits(model.trunk), bits(model.heads)
    assert any("running_mean" in name for name in trunk)
    learn(model, optimizer)
    assert bits(model.trunk) == trunk
    assert all(bits(model.heads)[name] != head[name] for name in head)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_requires_grad_alone_freezes_less(kind: str) -> None:
    """What freeze is for: without it running statistics move, and so do weights with a gradient."""
    model = two_parts()
    model.trunk.requires_grad_(False)
    trunk = bits(model.trunk)
    learn(model, OPTIMIZERS[kind](model.parameters()))
    moved = {
        name.split(".")[-1] for name, value in bits(model.trunk).items() if value != trunk[name]
    }
    assert moved == {"running_mean", "running_var", "num_batches_tracked"}
    model = two_parts()
    optimizer = OPTIMIZERS[kind](model.parameters())
    learn(model, optimizer)
    model.trunk.requires_grad_(False)
    trunk = bits(model.trunk)
    learn(model, optimizer)
    assert all(value != trunk[name] for name, value in bits(model.trunk).items())


def test_frozen_part_stays_in_eval_mode() -> None:
    model = two_parts()
    freeze(model.trunk)
    for part in [model, *model.trunk.modules()]:
        assert part.train() is part  # a part of the frozen one, too
        model.apply(lambda module: module.train())
    assert model.training and model.heads.training and model.heads["shape"].training
    assert not any(part.training for part in model.trunk.modules())
    images = torch.from_numpy(IMAGES)
    assert torch.equal(model.trunk(images), model.trunk(images))  # no dropout
    assert torch.equal(model.trunk(images)[:3], model.trunk(images[:3]))  # no batch statistics
    assert model.eval() is model
    assert not any(part.training for part in model.modules())
    freeze(freeze(model))  # twice does no harm
    assert not model.train().training


def test_nested_part_alone() -> None:
    model = two_parts()
    freeze(model.trunk[0].bn2)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    before = bits(model)
    learn(model, optimizer)
    same = {name for name, value in bits(model).items() if value == before[name]}
    assert same == {name for name in before if ".bn2." in name}


def through_a_file(model: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, through_a_file])
def test_copies_stay_frozen(copied: Callable[[Any], Any]) -> None:
    model = two_parts()
    freeze(model.trunk)
    before = bits(model)
    other = copied(model)
    assert other.trunk.train() is other.trunk  # the copy's own, not the first one's
    assert bits(other) == before
    learn(other, OPTIMIZERS["adamw"](other.parameters()))
    assert bits(other.trunk) == bits(model.trunk)
    assert bits(other.heads) != bits(model.heads)
    assert not any(part.training for part in other.trunk.modules())
    assert bits(model) == before


def test_state_of_a_frozen_network() -> None:
    model = two_parts()
    plain = list(bits(model))
    freeze(model.trunk)
    assert list(bits(model)) == plain  # nothing is added to what is saved
    other = two_parts(1)
    other.load_state_dict(model.state_dict())
    assert bits(other) == bits(model)
    learn(other, OPTIMIZERS["sgd"](other.parameters()))  # a plain network is free to learn
    assert all(value != bits(model)[name] for name, value in bits(other).items())
    model.load_state_dict(other.state_dict())  # and a frozen one takes new weights
    assert bits(model) == bits(other)
    learn(model, OPTIMIZERS["sgd"](model.parameters()))
    assert bits(model.trunk) == bits(other.trunk)


# --- batches -------------------------------------------------------------------------------------


def numbered(count: int, **options: Any) -> Batches:
    """Batches of images that say their number, which is the target as well."""
    images = (
        np.zeros((count, 8, 8, 3), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None, None]
    )
    return Batches(images, np.arange(count), **{"batch_size": 4, **options})


def epoch(batches: Batches, number: int) -> list[int]:
    steps = range(number * batches.steps_per_epoch, (number + 1) * batches.steps_per_epoch)
    return [int(target) for step in steps for target in batches(step)[1]]


def test_each_image_once_in_each_epoch_and_in_a_new_order() -> None:
    batches = numbered(20)
    assert batches.steps_per_epoch == 5
    orders = [epoch(batches, number) for number in range(5)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(20)]}) == 6


def test_what_is_left_over_is_dropped() -> None:
    batches = numbered(22)
    assert batches.steps_per_epoch == 5
    orders = [epoch(batches, number) for number in range(40)]
    assert all(len(set(order)) == len(order) == 20 for order in orders)
    assert set().union(*orders) == set(range(22))  # not always the same two
    assert {len(numbered(22)(step)[1]) for step in range(20)} == {4}


@pytest.mark.parametrize(("size", "steps"), [(22, 1), (23, 1), (10**12, 1), (1, 22), (11, 2)])
def test_batch_size(size: int, steps: int) -> None:
    batches = numbered(22, batch_size=size)
    assert (batches.batch_size, batches.steps_per_epoch) == (min(size, 22), steps)
    assert sorted(epoch(batches, 1)) == list(range(22))
    assert epoch(numbered(22, batch_size=np.int64(min(size, 22))), 1) == epoch(batches, 1)


def test_a_batch_depends_on_its_number_only() -> None:
    one, other = (numbered(22, augment=flip_and_shift) for _ in range(2))
    in_order = {step: one(step) for step in range(12)}
    torch.manual_seed(5)
    np.random.seed(5)
    for step in [11, 3, 3, 0, 7, 2, 11, 5, *range(12)]:
        number: Any = np.int64(step)
        for a, b in zip(in_order[step], other(number), strict=True):
            assert torch.equal(a, b)


def test_seeds_differ() -> None:
    assert len({tuple(epoch(numbered(20, seed=seed), 0)) for seed in range(5)}) == 5
    batches = [
        Batches(IMAGES, batch_size=22, seed=seed, augment=lambda x, g: torch.rand(22, generator=g))
        for seed in range(3)
    ]
    drawn = {tuple(batch(step)[0].tolist()) for batch in batches for step in range(3)}
    assert len(drawn) == 9  # a stream for each seed and step, none of them used twice


def test_targets_stay_beside_their_images() -> None:
    more = np.arange(22, dtype=np.float32)[:, None] * [1, 10]
    batches = Batches(IMAGES, LABELS, more, batch_size=5)
    for step in range(8):
        images, labels, both = batches(step)
        assert (images.dtype, labels.dtype, both.dtype) == (torch.uint8, torch.int64, torch.float64)
        assert (images.shape, labels.shape, both.shape) == ((5, 8, 8, 3), (5,), (5, 2))
        rows = both[:, 0].long().numpy()
        assert np.array_equal(images.numpy(), IMAGES[rows])
        assert np.array_equal(labels.numpy(), LABELS[rows])
        assert torch.equal(both[:, 1], 10 * both[:, 0])


def test_augmentation_changes_images_only() -> None:
    batches = numbered(22, augment=lambda images, generator: images + 100)
    images, targets = batches(3)
    assert torch.equal(images[:, 0, 0, 0].long(), targets + 100)
    assert torch.equal(targets, numbered(22)(3)[1])


@pytest.mark.filterwarnings("error")
def test_odd_arrays() -> None:
    """Views, lists and arrays nobody may write to; none of them is changed."""
    fixed = IMAGES.copy()
    fixed.setflags(write=False)
    expected = [part.numpy() for part in Batches(IMAGES, LABELS, batch_size=4)(0)]
    for images in (
        fixed,
        np.asfortranarray(IMAGES),
        IMAGES[::-1][::-1],
        np.repeat(IMAGES, 2, 0)[::2],
    ):
        listed: Any = list(LABELS)
        batches = Batches(images, listed, batch_size=4)
        for found, right in zip(batches(0), expected, strict=True):
            assert np.array_equal(found.numpy(), right)
        batches(0)[0].zero_()
        assert np.array_equal(images, IMAGES)


def test_batches_refuse() -> None:
    cases: list[Any] = [
        ({"images": IMAGES[:0], "targets": ()}, "one length above 0, not [0]"),
        ({"images": IMAGES[:0], "targets": (LABELS[:0],)}, "not [0, 0]"),
        ({"targets": (LABELS[:3],)}, "one length above 0, not [22, 3]"),
        ({"targets": (LABELS, LABELS[:3])}, "not [22, 22, 3]"),
        ({"batch_size": 0}, "batch_size must be 1 or more and seed 0 or more, not 0 and 0"),
        ({"batch_size": -2}, "not -2 and 0"),
        ({"seed": -1}, "not 4 and -1"),
    ]
    for change, match in cases:
        options = {"images": IMAGES, "targets": (LABELS,), "batch_size": 4, **change}
        with refused(match):
            Batches(options.pop("images"), *options.pop("targets"), **options)


def test_no_batch_before_the_first() -> None:
    with refused("there is no batch -1"):
        numbered(20)(-1)
    for what in (lambda: numbered(20, batch_size=20 / 4), lambda: numbered(20)(1.0)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
            what()


# --- augmentation --------------------------------------------------------------------------------


def slow_moves(image: np.ndarray, rows: int, columns: int) -> dict[bytes, tuple[bool, int, int]]:
    """Content after each flip and shift, pixel by pixel, and which one it is."""
    height, width = image.shape[:2]
    found = {}
    for flip in (False, True):
        for down in range(-rows, rows + 1):
            for right in range(-columns, columns + 1):
                out = np.empty_like(image)
                for r in range(height):
                    for c in range(width):
                        from_row = min(max(r + down, 0), height - 1)
                        from_column = min(max(c + right, 0), width - 1)
                        out[r, c] = image[
                            from_row, width - 1 - from_column if flip else from_column
                        ]
                found[out.tobytes()] = (flip, down, right)
    return found


def test_flip_and_shift_is_what_a_slow_loop_gives() -> None:
    """Each result is one of the allowed moves of its image, and all of them are used."""
    image = RNG.integers(0, 256, (9, 20, 3), dtype=np.uint8)
    moves = slow_moves(image, rows=1, columns=2)
    assert len(moves) == 2 * 3 * 5
    many = torch.from_numpy(np.repeat(image[None], 3000, 0))
    out = flip_and_shift(many, torch.Generator().manual_seed(0))
    assert (out.dtype, out.shape) == (torch.uint8, many.shape)
    drawn = np.array([moves[one.tobytes()] for one in out.numpy()], dtype=int)
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 30
    assert counts.min() > 60 and counts.max() < 140  # 100 each
    assert abs(drawn[:, 0].mean() - 0.5) < 0.04
    assert torch.equal(many, torch.from_numpy(np.repeat(image[None], 3000, 0)))


def test_augmentation_of_odd_shapes() -> None:
    for shape in [(0, 8, 8, 3), (3, 1, 1, 3), (3, 1, 9, 3), (3, 9, 1, 1)]:
        images = torch.randint(0, 256, shape, dtype=torch.uint8)
        out = [flip_and_shift(images, torch.Generator().manual_seed(1)) for _ in range(2)]
        assert out[0].shape == images.shape
        assert torch.equal(*out)


# --- train ---------------------------------------------------------------------------------------


class Line(nn.Module):
    """One number that learns."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start))


def line(steps: int, loss: Any = None, lr: Any = 0.25, **options: Any) -> tuple[Line, list[Any]]:
    model = Line()
    optimizer = SGD(model.parameters(), lr)
    if "scheduler" in options:
        options["scheduler"] = options["scheduler"](optimizer)
    history = train(
        model,
        loss(model) if loss else lambda step: model.w**2,
        steps=steps,
        optimizer=optimizer,
        **options,
    )
    return model, history


def test_history_in_closed_form() -> None:
    """The gradient of w² is 2w, so that w halves in each step of learning rate 1/4."""
    model, history = line(7, every=3, evaluate=lambda: {"steps": 0}, scheduler=lambda o: None)
    assert model.w.item() == 0.5**7
    losses = [0.25**step for step in range(7)]
    assert [row["step"] for row in history] == [3, 6, 7]
    assert [list(row) for row in history] == [["step", "loss", "steps"]] * 3
    means = [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]]
    assert [row["loss"] for row in history] == pytest.approx(means, rel=1e-6)
    assert all(type(value) is float for row in history for value in row.values())


def test_rows() -> None:
    cases: list[Any] = [
        (7, None, [7]),
        (7, 100, [7]),
        (7, 7, [7]),
        (6, 2, [2, 4, 6]),
        (3, 1, [1, 2, 3]),
        (0, None, []),
    ]
    for steps, every, rows in cases:
        model, history = line(np.int64(steps), every=every)  # type: ignore[arg-type]
        assert [row["step"] for row in history] == rows
        assert model.w.item() == 0.5**steps
        assert not model.training


def test_losses_are_summed() -> None:
    model, history = line(1, lambda model: lambda step: {"a": model.w**2, "b": 4 * model.w})
    assert model.w.item() == 1 - 0.25 * (2 + 4)
    assert history == [{"step": 1, "a": 1, "b": 4, "loss": 5}]
    _, history = line(1, lambda model: lambda step: {"a": model.w**2})
    assert history == [{"step": 1, "a": 1, "loss": 1}]
    _, history = line(1, lambda model: lambda step: {"a": model.w**2, "none": torch.zeros(())})
    assert history == [{"step": 1, "a": 1, "none": 0, "loss": 1}]


def test_losses_that_take_turns() -> None:
    """The mean of each is over the steps that had it."""
    _, history = line(
        4, lambda model: lambda step: {"ab"[step % 2]: model.w * 0 + step + 1}, every=4
    )
    assert history == [{"step": 4, "a": 2, "b": 3, "loss": 2.5}]


def test_scheduler_moves_after_every_step() -> None:
    model, _ = line(
        4, lambda model: lambda step: model.w, lr=1, scheduler=lambda o: StepLR(o, 1, 0.5)
    )
    assert model.w.item() == 1 - (1 + 0.5 + 0.25 + 0.125)


def test_modes_and_gradients() -> None:
    model = two_parts()
    freeze(model.trunk)
    seen: list[Any] = []

    def loss(step: int) -> Tensor:
        seen.append(("loss", step, model.training, model.trunk.training, torch.is_grad_enabled()))
        model.train(step > 0)  # what a loss leaves behind does not matter
        return model(torch.from_numpy(IMAGES))["shape"].square().mean()

    def evaluate() -> dict[str, float]:
        seen.append(("evaluate", model.training, torch.is_grad_enabled()))
        model.train()
        return {}

    train(model, loss, steps=3, optimizer=SGD(model.parameters(), 0.1), every=2, evaluate=evaluate)
    assert seen == [
        ("loss", 0, True, False, True),
        ("loss", 1, True, False, True),
        ("evaluate", False, False),
        ("loss", 2, True, False, True),
        ("evaluate", False, False),
    ]
    assert not model.training


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_loss_that_is_not_finite(bad: float, tmp_path: Path) -> None:
    kept: list[Any] = []

    def loss(model: Line) -> Callable[[int], Tensor]:
        kept.append(model)
        return lambda step: model.w * (bad if step == 2 else 1)

    with refused("the loss of step 2 is not finite; lower the learning rate"):
        line(4, loss, every=1, checkpoint=tmp_path / "run.pt")
    assert kept[0].w.item() == 0.5  # two good steps, none with the bad one
    with refused("the loss of step 2 is not finite"):  # the checkpoint is of step 2, too
        line(4, loss, every=1, checkpoint=tmp_path / "run.pt")


def test_train_refuses() -> None:
    cases: list[Any] = [
        ({"steps": -1}, "steps must be 0 or more and every 1 or more, not -1 and None"),
        ({"every": 0}, "not 2 and 0"),
        ({"every": -1}, "not 2 and -1"),
        ({"loss": lambda m: lambda s: 0.5}, "loss(step) must return a tensor of one number"),
        ({"loss": lambda m: lambda s: None}, "must return a tensor of one number"),
        ({"loss": lambda m: lambda s: m.w.item()}, "must return a tensor of one number"),
        ({"loss": lambda m: lambda s: m.w * torch.ones(3)}, "must return a tensor of one number"),
        ({"loss": lambda m: lambda s: (m.w,)}, "must return a tensor of one number"),
        ({"loss": lambda m: lambda s: {}}, "or a dictionary of such"),
        ({"loss": lambda m: lambda s: {"a": m.w, "b": 0.0}}, "or a dictionary of such"),
        ({"loss": lambda m: lambda s: {"step": m.w}}, "under names other than 'step'"),
        ({"loss": lambda m: lambda s: m.w.detach()}, "no parameter can learn from the loss"),
        ({"loss": lambda m: lambda s: freeze(m).w * 2}, "no parameter can learn from the loss"),
        ({"evaluate": lambda: 0.5}, "evaluate must return a dictionary of numbers"),
        ({"evaluate": lambda: None}, "evaluate must return a dictionary of numbers"),
        ({"evaluate": lambda: {"loss": 1.0}}, "under names other than ['step', 'loss']"),
        ({"evaluate": lambda: {"step": 1.0}}, "under names other than ['step', 'loss']"),
    ]
    for options, match in cases:
        with refused(match):
            line(**{"steps": 2, **options})


# --- checkpoints ---------------------------------------------------------------------------------

STEPS, EVERY = 14, 4  # an epoch has 5 steps: checkpoints lie inside epochs

Result = tuple[dict[str, bytes], list[dict[str, float]]]


def small_run(
    checkpoint: Path | None,
    before_step: Callable[[int], object] = lambda step: None,
    noise: int = 1,
) -> Result:
    """A run with all that an interruption could change: final weights and history, to the bit.

    `noise` seeds the generators only for a run from the beginning: a continued one has to find
    their state in its checkpoint.
    """
    model = two_parts()
    optimizer = SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=0.01)
    batches = Batches(IMAGES, LABELS, batch_size=4, augment=flip_and_shift)

    def loss(step: int) -> dict[str, Tensor]:
        before_step(step)
        images, labels = batches(step)
        outputs = model(images)["shape"]
        return {
            "shape": nn.functional.cross_entropy(outputs, labels),
            "size": 1e-3 * outputs.square().sum(),
        }

    torch.manual_seed(noise)
    history = train(
        model,
        loss,
        steps=STEPS,
        optimizer=optimizer,
        scheduler=LambdaLR(optimizer, lambda step: np.cos(step / 10)),  # a NumPy number, too
        evaluate=lambda: {"spread": predict(model, IMAGES, head="shape").std()},
        every=EVERY,
        checkpoint=checkpoint,
    )
    return bits(model), history


@pytest.fixture(scope="module")
def whole() -> Result:
    """The run without a checkpoint and without an interruption."""
    return small_run(None)


def test_the_run_depends_on_its_generators(whole: Result) -> None:
    assert small_run(None) == whole
    assert small_run(None, noise=2) != whole
    assert [row["step"] for row in whole[1]] == [4, 8, 12, 14]
    assert len({row["spread"] for row in whole[1]}) == 4


class Stopped(BaseException):
    """As a reader's interrupt."""


def stop_at(place: int) -> Callable[[int], None]:
    def before_step(step: int) -> None:
        if step == place:
            raise Stopped

    return before_step


def test_interrupted_anywhere(tmp_path: Path, whole: Result) -> None:
    for place in range(STEPS):
        path = tmp_path / str(place) / "run.pt"
        with pytest.raises(Stopped):
            small_run(path, stop_at(place))
        assert path.exists() == (place >= EVERY), place
        steps: list[int] = []
        noise = 1 if place < EVERY else 99
        assert small_run(path, steps.append, noise=noise) == whole, place
        assert steps == list(range(place // EVERY * EVERY, STEPS)), place


def test_interrupted_again_and_again(tmp_path: Path, whole: Result) -> None:
    path = tmp_path / "run.pt"
    for place in (5, 7, 9, 9, 13):
        with pytest.raises(Stopped):
            small_run(path, stop_at(place), noise=1 if place == 5 else 99)
    assert small_run(path, noise=99) == whole


KILLED = """
import os, pathlib, sys
sys.path.insert(0, "tests")
import helpers.training.batches, test_training
helpers.training.batches.device = lambda: test_training.CPU
def before_step(step):
    if step == 11:  # the third epoch has begun, the last checkpoint is of step 8
        os._exit(9)  # nothing is closed, nothing cleaned up
test_training.small_run(pathlib.Path(sys.argv[1]), before_step)
"""


def test_killed_process(tmp_path: Path, whole: Result) -> None:
    path = tmp_path / "run.pt"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT)
    assert killed.returncode == 9
    assert list(tmp_path.iterdir()) == [path]
    steps: list[int] = []
    assert small_run(path, steps.append, noise=99) == whole
    assert steps == list(range(8, STEPS))


def test_finished_run_is_only_loaded(tmp_path: Path, whole: Result) -> None:
    path = tmp_path / "run.pt"
    assert small_run(path) == whole
    drawn = torch.rand(3)
    content, changed = path.read_bytes(), path.stat().st_mtime_ns
    steps: list[int] = []
    assert small_run(path, steps.append, noise=99) == whole
    assert steps == []
    assert torch.equal(torch.rand(3), drawn)  # what comes after goes on in the same way
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, changed)


def test_continued_with_other_rows(tmp_path: Path) -> None:
    """The mean is over the steps really taken since the last row."""
    path = tmp_path / "run.pt"
    loss = lambda stop: lambda model: lambda step: stop(step) or model.w * 0 + step  # noqa: E731
    with pytest.raises(Stopped):
        line(10, loss(stop_at(5)), every=4, checkpoint=path)
    _, history = line(10, loss(lambda step: None), every=3, checkpoint=path)
    assert [(row["step"], row["loss"]) for row in history] == [(4, 1.5), (6, 4.5), (9, 7), (10, 9)]


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda o: None,
        lambda o: LambdaLR(o, lambda step: np.float64(0.5) ** step),
        lambda o: MultiStepLR(o, [2, 3], np.float64(0.5)),
        lambda o: OneCycleLR(o, 0.5, total_steps=9, cycle_momentum=False),
    ],
    ids=["none", "lambda", "milestones", "one cycle"],
)
def test_numbers_of_numpy_can_be_read_back(scheduler: Any, tmp_path: Path) -> None:
    options = {
        "lr": np.float64(0.25),
        "evaluate": lambda: {"half": np.float64(0.5), "count": np.int64(3), "one": torch.ones(1)},
        "scheduler": scheduler,
        "every": 2,
    }
    path = tmp_path / "run.pt"
    right, history = line(np.int64(5), **options)  # type: ignore[arg-type]
    with pytest.raises(Stopped):
        stop = stop_at(3)
        line(5, lambda m: lambda step: stop(step) or m.w**2, checkpoint=path, **options)
    for _ in range(2):
        model, again = line(np.int64(5), checkpoint=path, **options)  # type: ignore[arg-type]
        assert bits(model) == bits(right)
        assert again == history
    assert [row["count"] for row in history] == [3, 3, 3]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def test_damaged_checkpoint(tmp_path: Path) -> None:
    """No wrong byte is believed (a zip file's checksums miss some); the run begins again."""
    path, aside = tmp_path / "run.pt", tmp_path / "run.pt.damaged"
    right, history = line(3, checkpoint=path)
    content = path.read_bytes()
    places = [*range(0, len(content), 97), *range(len(content) - 700, len(content))]
    wrong = [flipped(content, place) for place in places]
    wrong += [content[:size] for size in (0, 1, 15, 16, 100, len(content) // 2, len(content) - 1)]
    wrong += [b"<html>", content[len(content) // 2 :], content + b"0"]
    seen: list[int] = []

    def loss(model: Line) -> Callable[[int], Tensor]:
        def of_step(step: int) -> Tensor:
            seen.append(step)
            return model.w**2

        return of_step

    for damaged in wrong:
        path.write_bytes(damaged)
        model, again = line(3, loss, checkpoint=path)
        assert (bits(model), again) == (bits(right), history)
        assert aside.read_bytes() == damaged
    assert seen == [0, 1, 2] * len(wrong)
    assert sorted(tmp_path.iterdir()) == [path, aside]
    line(3, lambda model: pytest.fail, checkpoint=path)  # what it wrote is sound


def sealed(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue() + xxhash.xxh3_128(file.getvalue()).digest()


def test_sound_file_of_something_else(tmp_path: Path) -> None:
    """Neither run nor lost: it may be the reader's own."""

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "evil"),)

    path = tmp_path / "run.pt"
    right, history = line(3)
    contents: list[Any] = [{"kind": Evil()}, {}, [], two_parts().state_dict()]
    for content in contents:
        path.write_bytes(sealed(content))
        model, again = line(3, checkpoint=path)
        assert (bits(model), again) == (bits(right), history)
        assert path.with_name("run.pt.damaged").read_bytes() == sealed(content)
    assert not (tmp_path / "evil").exists()


def test_run_that_cannot_be_kept(tmp_path: Path) -> None:
    """A folder where the file should be, a file where the folder should be: it goes on without."""
    right, history = line(3)
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "run.pt"):
        with pytest.warns(UserWarning, match="used but not kept: .* stands where"):
            model, again = line(3, checkpoint=path)
        assert (bits(model), again) == (bits(right), history)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def other_run(path: Path, change: str) -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4 if change == "shape" else 2), nn.BatchNorm1d(2))
    if change == "shape":
        model[1] = nn.BatchNorm1d(4)
    if change == "names":
        model = nn.Sequential(*model, nn.Identity(), nn.Linear(2, 1))
    parameters = list(model.parameters())
    if change == "fewer parameters":
        parameters = parameters[:2]
    kind = {"optimizer": AdamW, "its name": type("Other", (SGD,), {})}.get(change, SGD)
    optimizer = kind(parameters, lr=0.2 if change == "learning rate" else 0.1)
    before = bits(model)
    expected = "network" if change in ("shape", "names") else "optimizer or learning rate"
    expected = {"steps": "number of steps", "scheduler": "scheduler"}.get(change, expected)
    with refused(f"the checkpoint run.pt is of a run with another {expected}; remove it"):
        train(
            model,
            lambda step: model(torch.ones(5, 3)).square().mean(),
            steps=3 if change == "steps" else 4,
            optimizer=optimizer,
            scheduler=StepLR(optimizer, 2) if change == "scheduler" else None,
            checkpoint=path,
        )
    assert bits(model) == before
    return model


def test_checkpoint_of_another_run(tmp_path: Path) -> None:
    """Refused before anything is loaded, and the file stays."""
    path = tmp_path / "run.pt"
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    loss = lambda step: model(torch.ones(5, 3)).square().mean()  # noqa: E731
    train(model, loss, steps=4, optimizer=SGD(model.parameters(), 0.1), checkpoint=path)
    content = path.read_bytes()
    for change in ("steps", "shape", "names", "optimizer", "its name", "learning rate",
                   "fewer parameters", "scheduler"):  # fmt: skip
        other_run(path, change)
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_bytes() == content


def test_the_same_objects_go_on_after_an_interruption(tmp_path: Path) -> None:
    """A reader stops the cell and runs it again: the scheduler has moved the learning rate."""
    model = Line()
    optimizer = SGD(model.parameters(), 0.25)
    scheduler = StepLR(optimizer, 1, 0.5)
    right, history = line(5, every=2, scheduler=lambda o: StepLR(o, 1, 0.5))
    stop: Callable[[int], None] = stop_at(3)

    def loss(step: int) -> Tensor:
        stop(step)
        return model.w**2

    def go() -> list[dict[str, float]]:
        return train(
            model,
            loss,
            steps=5,
            optimizer=optimizer,
            scheduler=scheduler,
            every=2,
            checkpoint=tmp_path / "run.pt",
        )

    with pytest.raises(Stopped):
        go()
    stop = stop_at(-1)
    assert go() == history
    assert bits(model) == bits(right)


def test_written_as_a_whole(tmp_path: Path, whole: Result) -> None:
    """A full disk in the middle of the second checkpoint leaves the first as it was, and the run
    goes on without."""
    path = tmp_path / "run.pt"
    resource: Any = pytest.importorskip("resource")  # not on Windows
    first = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def before_step(step: int) -> None:
        if step == EVERY:
            first.append(path.read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(first[0]) // 2, limits[1]))

    try:
        with pytest.warns(UserWarning, match=f"no room left in {tmp_path}"):
            assert small_run(path, before_step) == whole
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [path]
    assert [path.read_bytes()] == first
    steps: list[int] = []
    assert small_run(path, steps.append, noise=99) == whole
    assert steps[0] == EVERY


# --- names of checkpoints ------------------------------------------------------------------------


def test_checkpoint_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    many = np.arange(5000)
    one_off = many.copy()
    one_off[2500] += 1  # where the text of a long array has only dots
    keys: list[tuple[Any, ...]] = [
        (),
        (1,),
        (1.0,),
        ("1",),
        (1, 2),
        ((1, 2),),
        (2, 1),
        ((1, 2), None),
        (True,),
        (many,),
        (one_off,),
        ([many],),
        ([one_off],),
        ({"a": many},),
        ({"a": one_off},),
        ({"b": many},),
        (torch.from_numpy(many).float(),),
        (torch.from_numpy(one_off).float(),),
        (np.float64(0.1),),
    ]
    paths = [checkpoint_path("source", *key) for key in keys]
    assert len(set(paths)) == len(keys)
    assert paths == [checkpoint_path("source", *copy.deepcopy(key)) for key in keys]
    assert checkpoint_path("source", torch.from_numpy(many)) == checkpoint_path("source", many)
    assert checkpoint_path("target") != paths[0]
    assert all(path.parent == tmp_path / "runs" and path.suffix == ".pt" for path in paths)
    assert all(path.name.startswith("source-") for path in paths)
    line(2, checkpoint=paths[0])
    assert paths[0].exists()


def test_checkpoint_path_refuses() -> None:
    """Texts such as <function at 0x7f...> would name another file each time."""
    for odd in (len, object(), {1, 2}, Line(), [1, [len]], {"a": len}):
        with refused("a checkpoint is named by arrays, numbers and words, not by a value of type"):
            checkpoint_path("source", 1, odd)


# --- predict -------------------------------------------------------------------------------------


def test_predict_is_a_forward_pass() -> None:
    model = two_parts()
    learn(model, SGD(model.parameters(), 0.1))  # running statistics are not the batch's
    state = bits(model)
    found = predict(model, IMAGES, head="shape")
    assert model.training
    assert bits(model) == state
    features = predict(model.trunk, IMAGES)
    model.eval()
    with torch.no_grad():
        images = torch.from_numpy(IMAGES)
        expected, trunk = model(images)["shape"].numpy(), model.trunk(images).numpy()
    assert (found.dtype.name, found.shape) == ("float32", (22, 3))
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.allclose(features, trunk, rtol=1e-5, atol=1e-6)
    model.train()
    with torch.no_grad():
        assert not np.allclose(found, model(images)["shape"].numpy(), atol=1e-3)


def test_predict_takes_batches() -> None:
    """More images than one batch of 256, and not a multiple of it; the order stays."""
    model, sizes = two_parts().eval(), []
    many = RNG.integers(0, 256, (600, 8, 8, 3), dtype=np.uint8)
    model.trunk.register_forward_hook(lambda module, given, out: sizes.append(len(out)))
    found = predict(model, many, head="shape")
    assert max(sizes) <= 256 and sum(sizes) == 600
    with torch.no_grad():
        expected = model(torch.from_numpy(many))["shape"].numpy()
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_predict_restores_the_mode_of_every_part() -> None:
    model = two_parts()
    model.train()
    model.trunk[0].bn1.eval()
    freeze(model.trunk[0].bn2)
    modes = [part.training for part in model.modules()]
    assert len(set(modes)) == 2
    predict(model, IMAGES, head="shape")
    assert [part.training for part in model.modules()] == modes
    with refused("images must be N x H x W x 3"):
        predict(model, IMAGES[0], head="shape")
    assert [part.training for part in model.modules()] == modes
    model.eval()
    predict(model, IMAGES, head="shape")
    assert not any(part.training for part in model.modules())


def test_predict_chooses_a_head() -> None:
    model = MultiHead(small_cnn(4), 16, {"a": 2, "b": 5}).eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(IMAGES))
    for head, count in (("a", 2), ("b", 5)):
        found = predict(model, IMAGES, head=head)
        assert found.shape == (22, count)
        assert np.allclose(found, expected[head].numpy(), atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_predict_takes_odd_arrays() -> None:
    model = two_parts().eval()
    expected = predict(model, IMAGES, head="shape")
    fixed = IMAGES.copy()
    fixed.setflags(write=False)
    variants = [
        fixed,
        np.asfortranarray(IMAGES),
        IMAGES.astype(float),
        IMAGES.astype(int),
        list(IMAGES),
    ]
    for images in variants:
        assert np.allclose(predict(model, images, head="shape"), expected, atol=1e-6)  # type: ignore[arg-type]


def test_predict_refuses() -> None:
    cases: list[Any] = [
        (IMAGES[:0], {}, "there must be 1 image or more"),
        ([], {}, "not 0"),
        (IMAGES, {}, "head must be one of ['shape'], not None"),
        (IMAGES, {"head": "color"}, "head must be one of ['shape'], not 'color'"),
        (IMAGES.transpose(0, 3, 1, 2), {"head": "shape"}, "not (22, 3, 8, 8)"),
        (IMAGES[..., 0], {"head": "shape"}, "not (22, 8, 8)"),
    ]
    for images, options, match in cases:
        model = two_parts()
        with refused(match):
            predict(model, images, **options)
        assert model.training


def test_predict_refuses_a_head_where_there_is_none() -> None:
    model = nn.Sequential(Preprocessing(), nn.Flatten(), nn.Linear(192, 2))
    with refused("head must be one of [None], not 'shape'"):
        predict(model, IMAGES, head="shape")
