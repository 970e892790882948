"""What a task of several is: its kind, its head, its loss and its metric."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np

from helpers.base.arguments import class_numbers, one_number, real_array
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
        if not isinstance(self.size, Integral) or isinstance(self.size, bool):
            raise CourseError(
                f"the size of {self.name!r} must be a whole number, not {self.size!r}."
            )
        if self.size < (2 if self.kind == "multiclass" else 1):
            raise CourseError(f"the task {self.name!r} cannot have {self.size} outputs.")
        if not 0 <= one_number(self.weight, f"the weight of {self.name!r}") < math.inf:
            raise CourseError(
                f"the weight of {self.name!r} must be 0 or more and finite, not {self.weight}."
            )

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
            CourseError: no tensors, or other types or shapes.
        """
        import torch
        import torch.nn.functional as F

        for name, part in (("outputs", outputs), ("labels", labels)):
            if not isinstance(part, torch.Tensor) or part.is_complex():
                what = part.dtype if isinstance(part, torch.Tensor) else type(part).__name__
                raise CourseError(
                    f"{name} of the task {self.name!r} must be a torch tensor of real numbers, not "
                    f"{what}."
                )
        odds = self.kind == "multiclass" and labels.is_floating_point()
        self._check_shapes(outputs, labels, odds)
        if not outputs.is_floating_point():
            raise CourseError(f"outputs of {self.name!r} must be float, not {outputs.dtype}.")
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        if self.kind == "multiclass" and not odds:
            labels = labels.long()
            known = (labels >= 0) & (labels < self.size)
            losses = F.cross_entropy(outputs, labels.where(known, 0), reduction="none")
            return losses.masked_fill(~known, torch.nan)
        labels = labels.reshape(outputs.shape).to(outputs.dtype)
        known = labels.isfinite()
        if self.kind != "regression":
            known &= labels >= 0
        labels = labels.where(known, 0)  # 0 times NaN would be NaN in the gradient
        if odds:
            losses = F.cross_entropy(outputs, labels, reduction="none")
        elif self.kind == "multilabel":
            losses = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
        else:
            losses = F.mse_loss(outputs, labels, reduction="none")
        return (losses if odds else losses.mean(dim=1)).masked_fill(~known.all(dim=1), torch.nan)

    def _check_shapes(self, outputs: Any, labels: Any, odds: bool = False) -> None:
        found, given = tuple(outputs.shape), tuple(labels.shape)
        classes = self.kind == "multiclass"
        wide = len(found) == 2 and (found[1] == self.size or (classes and found[1] > self.size))
        allowed = [found] if odds or not classes else []
        if not odds and (classes or self.size == 1):
            allowed.append(found[:1])  # one label for each row
        if not wide or given not in allowed:
            wanted = "N whole numbers" if classes else f"N x {self.size}"
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
        found, truth = real_array(outputs, "outputs"), real_array(labels, "labels")
        self._check_shapes(found, truth)
        if not len(found):
            raise CourseError(
                f"{self.name!r} has no examples to be measured on; give at least one."
            )
        if not (np.isfinite(found).all() and np.isfinite(truth).all()):
            raise CourseError(
                f"outputs and labels of {self.name!r} must be finite; leave out the examples "
                "without a label."
            )
        if self.kind == "multiclass":
            truth = class_numbers(truth, "labels")
            if truth.min() < 0 or truth.max() >= self.size:
                raise CourseError(
                    f"labels of {self.name!r} must be from 0 to {self.size - 1}; leave out the "
                    "examples without a label."
                )
            return float((found.argmax(axis=1) == truth).mean())
        truth = truth.reshape(found.shape)
        if self.kind == "multilabel":
            if not np.isin(truth, (0, 1)).all():
                raise CourseError(
                    f"labels of {self.name!r} must be 0 or 1; leave out the examples without a "
                    "label."
                )
            return float(((found > 0) == (truth > 0)).mean())
        # what is unsigned must not wrap around
        found, truth = (p.astype(np.promote_types(p.dtype, np.float32)) for p in (found, truth))
        return float(abs(found - truth).mean())


def masked_mean(losses: Any, mask: Any) -> Any:
    """Mean of the losses whose mask is set; 0 if none is.

    A loss that is masked out adds nothing and gets no gradient, even if it is NaN. `Task.losses`
    passes that zero on; a loss of your own that was computed from NaN may turn it into NaN again.

    Args:
        losses: one per example, N; a torch tensor or a NumPy array.
        mask: bool or 0 and 1, N, of the same library. On a GPU bool is faster: it needs no check.

    Returns:
        A scalar of the same library, through which gradients flow into `losses`; of losses in half
        precision it is float32.

    Raises:
        CourseError: not two arrays of one library, different shapes, or another mask.
    """
    # Not imported here: whoever has a tensor has torch, and TensorFlow shares no process with it.
    torch = sys.modules.get("torch")
    kinds = (np.ndarray,) if torch is None else (np.ndarray, torch.Tensor)
    if not any(isinstance(losses, kind) and isinstance(mask, kind) for kind in kinds):
        raise CourseError(
            "losses and mask must be two NumPy arrays or two torch tensors, not of types "
            f"{type(losses).__name__} and {type(mask).__name__}."
        )
    if losses.shape != mask.shape:
        raise CourseError(
            f"losses and mask must have one shape, not {tuple(losses.shape)} and "
            f"{tuple(mask.shape)}."
        )
    boolean = bool if isinstance(mask, np.ndarray) else torch.bool  # type: ignore[union-attr]
    if mask.dtype != boolean and not ((mask == 0) | (mask == 1)).all():
        raise CourseError("mask must be bool or consist of 0 and 1; weights are none.")
    if isinstance(losses, np.ndarray):
        kept = mask.astype(bool)
        wide = losses.astype(np.float32) if losses.dtype == np.float16 else losses
        return np.where(kept, wide, 0).sum() / max(kept.sum(), 1)
    kept = mask.bool()
    short = losses.is_floating_point() and losses.element_size() < 4
    wide = losses.float() if short else losses
    # not losses * mask, which keeps NaN
    return wide.masked_fill(~kept, 0).sum() / kept.sum().clamp(min=1)


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
    counts = real_array(sizes, "sizes").astype(float)
    if counts.ndim != 1 or not counts.size or not ((counts >= 1) & (counts < np.inf)).all():
        raise CourseError(f"sizes must be one number per task, each 1 or more, not {sizes}.")
    if not 0 <= one_number(alpha, "alpha") <= 1:
        raise CourseError(f"alpha must be from 0 to 1, not {alpha}.")
    scaled = (counts / counts.max()) ** alpha
    return np.asarray(scaled / scaled.sum())
