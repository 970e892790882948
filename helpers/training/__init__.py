"""Training in PyTorch: batches from memory, a loop that can be interrupted, honest freezing."""

from helpers.training.batches import Batches, device, flip_and_shift
from helpers.training.checkpoint import History, checkpoint_path
from helpers.training.freezing import freeze
from helpers.training.loop import predict, train

__all__ = [
    "Batches",
    "History",
    "checkpoint_path",
    "device",
    "flip_and_shift",
    "freeze",
    "predict",
    "train",
]
