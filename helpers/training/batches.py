"""Batches from memory, by their number, and the augmentation of a whole batch."""

import operator
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from helpers.base.errors import CourseError


def device() -> torch.device:
    """The first CUDA device if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    ) -> None:
        lengths = [len(images), *map(len, targets)]
        if not lengths[0] or len(set(lengths)) > 1:
            raise CourseError(f"images and targets must have one length above 0, not {lengths}.")
        if batch_size < 1 or seed < 0:
            raise CourseError(
                f"batch_size must be 1 or more and seed 0 or more, not {batch_size} and {seed}."
            )
        self.arrays = [as_tensor(array) for array in (images, *targets)]
        self.batch_size = min(operator.index(batch_size), len(images))
        self.steps_per_epoch = len(images) // self.batch_size
        self.seed, self.augment, self.where = seed, augment, device()
        self._order = (-1, torch.empty(0, dtype=torch.long))

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """Batch number `step` (from 0): images and each target, on `device()`."""
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


def as_tensor(array: np.ndarray) -> Tensor:
    """An array as a tensor in the same memory, if that is contiguous and may be written to."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _generator(*numbers: int) -> torch.Generator:
    """A generator whose stream is a function of some whole numbers."""
    state = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)


def flip_and_shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images left to right and move each by up to a tenth of its side.

    A whole batch at once, on uint8; what moves in from outside repeats the border. Standard
    augmentation for small images (He et al. 2016, section 4.2).

    Args:
        images: N x H x W x 3.
        generator: of all random choices.
    """
    count, height, width = images.shape[:3]
    mirrored = torch.rand(count, generator=generator) < 0.5
    limits = torch.tensor([round(0.1 * height), round(0.1 * width)])
    moves = (torch.rand(count, 2, generator=generator) * (2 * limits + 1)).long() - limits
    rows = (torch.arange(height) + moves[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) + moves[:, 1:]).clamp(0, width - 1)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
