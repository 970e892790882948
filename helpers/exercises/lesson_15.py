"""Checks of the exercises of notebook 15, Joint multi-task ResNet18."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _alpha_for_share(answer: Any) -> None:
    assert callable(answer), "write a function of sizes and share."
    value = float(answer([60, 3000], 0.1))
    assert not np.isclose(value, -np.log(9) / np.log(50)), (
        "the sign is wrong: the smaller alpha, the more often the small task is drawn."
    )
    assert not np.isclose(value, np.log(50) / np.log(9)), (
        "turned over: alpha is the logarithm of the odds divided by that of the sizes."
    )
    assert not np.isclose(value, np.log(10) / np.log(50)), (
        "a share of 0.1 means odds of 9 to 1, not of 10 to 1."
    )
    assert np.isclose(value, np.log(9) / np.log(50)), (
        "with 60 and 3000 labels the small task gets a tenth of the steps at alpha = "
        f"{np.log(9) / np.log(50):.4f}, not {value:.4f}."
    )
    for sizes, share in (([20, 500], 0.5), ([100, 300], 0.25), ([7, 1000], 0.2)):
        odds = (sizes[1] / sizes[0]) ** float(answer(sizes, share))
        assert np.isclose(1 / (1 + odds), share), (
            f"with sizes {sizes} your alpha gives the first task {1 / (1 + odds):.3f} of the "
            f"steps, not {share}."
        )


def _task_of_step(answer: Any) -> None:
    assert callable(answer), "write a function of step and epochs."
    epochs = [3, 1, 4]
    right = [0, 0, 0, 1, 2, 2, 2, 2] * 2
    found = [answer(step, list(epochs)) for step in range(16)]
    assert all(np.ndim(task) == 0 for task in found), "return one number, that of the task."
    assert found != [step % 3 for step in range(16)], (
        "this alternates by batch; a task keeps its turn for a whole epoch."
    )
    assert found != [min(task + 1, 3) for task in right], "count the tasks from 0."
    assert found[:8] == right[:8], (
        f"with epochs of 3, 1 and 4 steps the first eight steps are {right[:8]}, not "
        f"{[int(task) for task in found[:8]]}."
    )
    assert found == right, "after the last task's epoch it is the first task's turn again."


def _union_map(answer: Any) -> None:
    assert callable(answer), "write a function of folders."
    result = answer([["cat", "horse"], ["cow", "dog", "horse"], ["ant"]])
    assert len(result) == 3, "return one list for each folder."
    maps = [[int(i) for i in part] for part in result]
    assert maps != [[0, 1], [0, 1, 2], [0]], (
        "these are the folders' own numbers: index 0 still means cat, cow and ant."
    )
    assert maps != [[0, 1], [2, 3, 4], [5]], "a name that is in two folders is one class."
    assert maps != [[0, 1], [2, 3, 1], [4]], "number the union in alphabetical order."
    assert maps == [[1, 4], [2, 3, 4], [0]], (
        "in alphabetical order the classes are ant, cat, cow, dog and horse, so cat and horse are "
        f"1 and 4; yours are {maps[0]}."
    )


def _momentum_step(answer: Any) -> None:
    assert callable(answer), "write a function of values, gradients, velocities, rate and momentum."
    start = {"trunk": 1.0, "head_a": 2.0, "head_b": 3.0}
    velocity = {"trunk": 0.5, "head_a": 0.0, "head_b": 4.0}

    def step(gradients: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        result = answer(dict(start), gradients, dict(velocity), 0.1, 0.9)
        assert isinstance(result, tuple) and len(result) == 2, (
            "return two dictionaries: the new values and the new velocities."
        )
        return result

    values, moved = step({"trunk": 1.0, "head_a": 2.0, "head_b": 0.0})
    assert not np.isclose(values["trunk"], 1.145), "a step goes against the gradient: minus."
    assert not np.isclose(values["trunk"], 0.9), "the velocity is missing: momentum times the old."
    assert np.isclose(values["trunk"], 0.855) and np.isclose(moved["trunk"], 1.45), (
        "the new velocity of the trunk is 0.9 * 0.5 + 1 = 1.45 and its value 1 - 0.1 * 1.45 = "
        f"0.855, not {moved['trunk']:g} and {values['trunk']:g}."
    )
    assert np.isclose(values["head_b"], 2.64), (
        "a gradient of 0 is a gradient: the old velocity still moves head_b from 3 to 2.64, not to "
        f"{values['head_b']:g}."
    )
    values, moved = step({"trunk": 1.0, "head_a": None, "head_b": None})
    assert values["head_b"] == 3.0, "where the gradient is None nothing moves."
    assert moved["head_b"] == 4.0, "where the gradient is None the velocity stays what it was."
    assert np.isclose(values["trunk"], 0.855), "parameters that have a gradient still move."


CHECKS: dict[str, Callable[[Any], None]] = {
    "15.1": _alpha_for_share,
    "15.2": _task_of_step,
    "15.3": _union_map,
    "15.4": _momentum_step,
}
