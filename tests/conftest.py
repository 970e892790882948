"""Environment of the tests, in this process and in every kernel they start."""

import os

from order import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401

from helpers.course.runs import KERNEL_ENVIRONMENT

# Importing `helpers` came first: TensorFlow and torch can then share this process.
for name, value in KERNEL_ENVIRONMENT.items():
    os.environ.setdefault(name, value)
