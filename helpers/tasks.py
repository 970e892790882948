"""What a task of several is: its kind, its head, its loss and its metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from helpers.errors import CourseError

Kind = Literal["multiclass", "multilabel", "regression"]


@dataclass(frozen=True)
class Task:
    """One of the tasks of a multi-task model, in PyTorch (`losses`) or in Keras (`keras_loss`).

    Attributes:
        name: names its head and its labels.
        kind: ``"multiclass"`` (one of several classes; labels int64, N), ``"multilabel"``
            (several yes-or-no questions; labels 0 or 1, N x size) or ``"regression"`` (labels
            float, N x size, or N if the size is 1).
        size: outputs of its head: classes, questions or numbers.
        weight: of its loss in the sum, 0 or more.

    Raises:
        CourseError: another kind, no outputs, or a negative weight.
    """

    name: str
    kind: Kind
    size: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise CourseError(
                f"kind must be 'multiclass', 'multilabel' or 'regression', not {self.kind!r}."
            )
        if self.size < (2 if self.kind == "multiclass" else 1):
            raise CourseError(f"the task {self.name!r} cannot have {self.size} outputs.")
        if not self.weight >= 0:
            raise CourseError(f"the weight of {self.name!r} must be 0 or more, not {self.weight}.")

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger `metric` is better: not so for regression."""
        return self.kind != "regression"

    def losses(self, outputs: Any, labels: Any) -> Any:
        """Loss of each example, N: cross-entropy, mean binary cross-entropy, or squared error.

        Takes and gives torch tensors.
        """
        import torch.nn.functional as F

        if self.kind == "multiclass":
            return F.cross_entropy(outputs, labels, reduction="none")
        labels = labels.reshape(outputs.shape).to(outputs.dtype)
        if self.kind == "multilabel":
            losses = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
        else:
            losses = F.mse_loss(outputs, labels, reduction="none")
        return losses.mean(dim=1)

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

    def metric(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """Accuracy (multilabel: over all questions), or for regression mean absolute error."""
        if self.kind == "multiclass":
            return float((outputs.argmax(axis=1) == labels).mean())
        labels = labels.reshape(outputs.shape)
        if self.kind == "multilabel":
            return float(((outputs > 0) == (labels > 0)).mean())
        return float(abs(outputs - labels).mean())


def masked_mean(losses: Any, mask: Any) -> Any:
    """Mean of the losses whose mask is set; 0 if none is, and never NaN.

    What is not labeled adds neither loss nor gradient, whatever stands in its place.

    Args:
        losses: one per example, N; a torch tensor or a NumPy array.
        mask: bool or 0 and 1, N, of the same library.

    Raises:
        CourseError: different shapes.
    """
    if losses.shape != mask.shape:
        raise CourseError(
            f"losses and mask must have one shape, not {tuple(losses.shape)} and "
            f"{tuple(mask.shape)}."
        )
    if isinstance(losses, np.ndarray):
        kept = mask.astype(bool)
        return np.where(kept, losses, 0).sum() / max(kept.sum(), 1)
    import torch

    kept = mask.bool()
    # not losses * mask, which keeps NaN
    return torch.where(kept, losses, torch.zeros_like(losses)).sum() / kept.sum().clamp(min=1)


def task_sampling_probabilities(sizes: Sequence[int], alpha: float) -> np.ndarray:
    """How often to draw a batch of each task: in proportion to ``size ** alpha``.

    1 is proportional sampling, 0 uniform; in between lies temperature sampling with temperature
    1 / alpha (Raffel et al. 2020, section 3.5.2).

    Args:
        sizes: training examples of each task, 1 or more.
        alpha: 0 to 1.

    Returns:
        float64, one probability per task, sum 1.

    Raises:
        CourseError: no task, a task without examples, or another alpha.
    """
    counts = np.asarray(sizes, dtype=float)
    if counts.ndim != 1 or not counts.size or not (counts >= 1).all():
        raise CourseError(f"sizes must be one number per task, each 1 or more, not {sizes}.")
    if not 0 <= alpha <= 1:
        raise CourseError(f"alpha must be from 0 to 1, not {alpha}.")
    scaled = (counts / counts.max()) ** alpha
    return np.asarray(scaled / scaled.sum())
