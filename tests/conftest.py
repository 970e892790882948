"""Environment of the tests, in this process and in every kernel they start."""

import os

from helpers.course.runs import KERNEL_ENVIRONMENT

# Importing `helpers` came first: TensorFlow and torch can then share this process.
for name, value in KERNEL_ENVIRONMENT.items():
    os.environ.setdefault(name, value)
