"""Companion package of the transfer-learning and multi-task-learning course."""

import os
import sys
from importlib.util import find_spec

from helpers.base.environment import FRAMEWORKS

for _name, _value in FRAMEWORKS.items():
    os.environ.setdefault(_name, _value)
# Not a default: with another backend in the reader's environment no Keras lesson could run.
os.environ["KERAS_BACKEND"] = FRAMEWORKS["KERAS_BACKEND"]

# TensorFlow and Triton (which torch loads lazily) both carry LLVM. If TensorFlow comes first, the
# process aborts as soon as Triton is imported; the other order is safe and takes 0.4 s.
if "tensorflow" in sys.modules:
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # torch then does without it
elif find_spec("triton"):
    import triton  # noqa: F401
