"""What a task of several is: its kind, its head, its loss and its metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from helpers.base.arguments import (
    class_labels,
    float_tensor,
    numbers,
    one_number,
    same,
    vector,
    whole_number,
    zeros_and_ones,
)
from helpers.base.errors import CourseError

Kind = Literal["multiclass", "multilabel", "regression"]


@dataclass(frozen=True)
class Task:
    """One of the tasks of a multi-task model, in PyTorch (`losses`) or in Keras (`keras_loss`).

    Attributes:
        name: names its head and its labels.
        kind: ``"multiclass"`` (one of several classes; labels int64, N), ``"multilabel"``
            (several yes-or-no questions; labels 0 or 1, N x size) or ``"regression"`` (labels
            float, N x size, or N if the size is 1).
        size: outputs of its head: classes, questions or numbers; whole, 1 or more (classes: 2).
        weight: of its loss in the sum, 0 or more, finite.

    Raises:
        CourseError: no name, another kind, no whole number of outputs, or another weight.
    """

    name: str
    kind: Kind
    size: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise CourseError(
                f"the name of a task must be a text that is not empty, not {self.name!r}."
            )
        if self.kind not in get_args(Kind):
            raise CourseError(
                f"kind must be 'multiclass', 'multilabel' or 'regression', not {self.kind!r}."
            )
        fewest = 2 if self.kind == "multiclass" else 1
        whole_number(self.size, f"the size of {self.name!r}", low=fewest)
        one_number(self.weight, f"the weight of {self.name!r}", low=0)

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger `metric` is better: not so for regression."""
        return self.kind != "regression"

    def losses(self, outputs: Any, labels: Any) -> Any:
        """Loss of each example: cross-entropy, mean binary cross-entropy, or mean squared error.

        A label that says nothing (a class that is not from 0 to size - 1; NaN or infinity; for
        questions and probabilities also a number below 0) makes the loss of its example NaN,
        without any gradient. So `masked_mean` can leave the example out, and `training.train`
        stops if nobody does.

        Args:
            outputs: float torch tensor, N x size: logits or, for regression, numbers. A multiclass
                head may be wider, with outputs for classes that do not occur.
            labels: torch tensor. Multiclass: whole numbers, N, or probabilities of the classes,
                float, as wide as the outputs. Otherwise N x size, or N if the size is 1.

        Returns:
            Torch tensor, N, float32 (float64 if the outputs are), 0 or more, or NaN.

        Raises:
            CourseError: no tensors, no examples, or other types or shapes.
        """
        import torch
        import torch.nn.functional as F

        outputs = float_tensor(outputs, f"outputs of {self.name!r}")
        if not isinstance(labels, torch.Tensor) or labels.is_complex():
            raise CourseError(f"labels of {self.name!r} must be a torch tensor of real numbers.")
        classes = self.kind == "multiclass" and not labels.is_floating_point()
        self._check_shapes(outputs, labels, classes)
        if classes:
            labels = labels.long()
            known = (labels >= 0) & (labels < self.size)  # N
            losses = F.cross_entropy(outputs, labels.where(known, 0), reduction="none")
            return losses.masked_fill(~known, torch.nan)

        labels = labels.reshape(outputs.shape).to(outputs.dtype)  # N x size
        least = -torch.inf if self.kind == "regression" else 0.0
        known = (labels.isfinite() & (labels >= least)).all(dim=1)  # N
        labels = labels.where(known[:, None], 0)  # 0 times NaN would be NaN in the gradient
        if self.kind == "multiclass":  # probabilities of the classes
            losses = F.cross_entropy(outputs, labels, reduction="none")
        elif self.kind == "multilabel":
            losses = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none").mean(1)
        else:
            losses = F.mse_loss(outputs, labels, reduction="none").mean(1)
        return losses.masked_fill(~known, torch.nan)

    def _check_shapes(self, outputs: Any, labels: Any, classes: bool) -> None:
        """Refuses other shapes than those of `losses`; `classes`: the labels are class numbers."""
        found, given = tuple(outputs.shape), tuple(labels.shape)
        rows = found[:1]
        if self.kind == "multiclass":
            fits = len(found) == 2 and found[1] >= self.size
            fits = fits and given == (rows if classes else found)
        else:
            fits = found == (*rows, self.size)
            fits = fits and (given == found or (self.size == 1 and given == rows))
        if not fits:
            wanted = "N whole numbers" if self.kind == "multiclass" else f"N x {self.size}"
            raise CourseError(
                f"outputs of {self.name!r} must be N x {self.size} and its labels {wanted}, not of "
                f"shapes {found} and {given}."
            )

    def keras_loss(self) -> Any:
        """The same loss as a Keras object for ``compile``: a mean over the labeled examples.

        The mask goes to ``fit`` as this task's ``sample_weight``: 1 where an example is labeled
        and 0 where it is not. Dividing by the sum of the weights makes it `masked_mean`, 0 if no
        example is labeled. What stands in place of a missing label must be a number (Keras
        multiplies by the weight, and 0 times NaN is NaN) and, for a class, a class.
        """
        import keras

        options = {"reduction": "mean_with_sample_weight", "name": self.name}
        if self.kind == "multiclass":
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)
        if self.kind == "multilabel":
            return keras.losses.BinaryCrossentropy(from_logits=True, **options)
        return keras.losses.MeanSquaredError(**options)

    def metric(self, outputs: Any, labels: Any) -> float:
        """Accuracy (multilabel: over all questions), or for regression mean absolute error.

        Args:
            outputs: N x size, at least one row, finite; a NumPy array, a list or a torch tensor.
            labels: of the same kinds, as in `losses`, but for a class its number; all known.

        Returns:
            A float: 0 to 1, or for regression 0 or more.

        Raises:
            CourseError: other shapes, no rows, values that are not finite, or labels that are none.
        """
        name = f"of {self.name!r}"
        found, truth = numbers(outputs, f"outputs {name}"), numbers(labels, f"labels {name}")
        self._check_shapes(found, truth, classes=self.kind == "multiclass")
        if self.kind == "multiclass":
            truth = class_labels(truth, f"labels {name}", self.size)
            return float((found.argmax(axis=1) == truth).mean())
        truth = truth.reshape(found.shape)
        if self.kind == "multilabel":
            truth = zeros_and_ones(truth, f"labels {name}")
            return float(((found > 0) == (truth > 0)).mean())
        return float(abs(found - truth).mean())


def masked_mean(losses: Any, mask: Any) -> Any:
    """Mean of the losses whose mask is set; 0 if none is.

    A loss that is masked out adds nothing and gets no gradient, even if it is NaN. `Task.losses`
    passes that zero on; a loss of your own that was computed from NaN may turn it into NaN again.

    Args:
        losses: one per example, N; a torch tensor or a NumPy array.
        mask: bool or 0 and 1, N, of the same library. On a GPU bool is faster: it needs no check.

    Returns:
        A scalar of the same library, through which gradients flow into `losses`: float64 in NumPy,
        in torch float32 or the losses' own type if that is more precise.

    Raises:
        CourseError: not two arrays of one library, different shapes, or another mask.
    """
    arrays = [isinstance(part, np.ndarray) for part in (losses, mask)]
    if arrays[0] != arrays[1] or not (hasattr(losses, "dtype") and hasattr(mask, "dtype")):
        raise CourseError("losses and mask must be two NumPy arrays or two torch tensors.")
    same("shape", losses=tuple(losses.shape), mask=tuple(mask.shape))
    kept = mask > 0  # bool, N
    if mask.dtype != kept.dtype and not ((mask == 0) | (mask == 1)).all():
        raise CourseError("mask must be bool or consist of 0 and 1; weights are none.")
    # Not losses * mask, which keeps NaN.
    if arrays[0]:
        return np.where(kept, losses, 0).sum(dtype=float) / max(kept.sum(), 1)
    return float_tensor(losses, "losses").masked_fill(~kept, 0).sum() / kept.sum().clamp(min=1)


def task_sampling_probabilities(sizes: Sequence[int], alpha: float) -> np.ndarray:
    """How often to draw a batch of each task: in proportion to ``size ** alpha``.

    1 is proportional sampling, 0 uniform; in between lies temperature sampling with temperature
    1 / alpha (Raffel et al. 2020, section 3.5.2).

    Args:
        sizes: training examples of each task, 1 or more, finite.
        alpha: 0 to 1.

    Returns:
        float64, one probability per task, sum 1.

    Raises:
        CourseError: no task, a task without examples, or another alpha.
    """
    n = vector(sizes, "sizes", low=1)
    alpha = one_number(alpha, "alpha", low=0, high=1)
    shares = (n / n.max()) ** alpha  # n.max() so that nothing overflows
    return np.asarray(shares / shares.sum())
