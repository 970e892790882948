"""Environment of the tests, in this process and in every kernel they start."""

import os

from order import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401

from helpers.base import environment

# Importing `helpers` came first: TensorFlow and torch can then share this process.
for name, value in (environment.PROCESS | environment.threads(1)).items():
    os.environ.setdefault(name, value)
