"""Companion package of the transfer-learning and multi-task-learning course."""

import os
import sys
from importlib.util import find_spec

# Must be set before TensorFlow or Keras is imported; the first silences start-up noise.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Before torch is imported: threads that wait busily make torch 5 times and scikit-learn's solvers
# 14 times slower on two cores that have anything else to do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# But not to spin at all makes small networks on a quiet machine up to 1.7 times slower: waking a
# thread takes longer than its work.
os.environ.setdefault("GOMP_SPINCOUNT", "4000")

# TensorFlow and Triton (which torch loads lazily) both carry LLVM. If TensorFlow comes first, the
# process aborts as soon as Triton is imported; the other order is safe and takes 0.4 s.
if "tensorflow" in sys.modules:
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # torch then does without it
elif find_spec("triton"):
    import triton  # noqa: F401
