"""Checks of the exercises of notebook 11, Independent or joint."""

from collections.abc import Callable
from typing import Any

import numpy as np


def _count_parameters(answer: Any) -> None:
    assert callable(answer), "write a function of trunk, features and outputs."
    result = answer(1000, 20, [10, 3, 1])
    assert np.shape(result) == (2,), "return two numbers: joint, then independent."
    joint, independent = map(float, result)
    assert not (np.isclose(joint, 3294) and np.isclose(independent, 1294)), (
        "the joint network comes first."
    )
    assert not np.isclose(joint, 1280), "each output of a head has a bias too."
    assert not np.isclose(joint, 1283), "a head has one bias for each of its outputs."
    assert np.isclose(joint, 1294), (
        "with a trunk of 1000, 20 features and 10, 3 and 1 outputs the joint network has "
        f"1000 + 21 * 14 = 1294 parameters, not {joint:g}."
    )
    assert not np.isclose(independent, 3882), "each independent network has only its own head."
    assert np.isclose(independent, 3294), (
        f"three independent networks have three trunks: 3294 parameters, not {independent:g}."
    )


def _joint_loss(answer: Any) -> None:
    assert callable(answer), "write a function of losses, labeled and weights."
    nan = np.nan
    losses = np.array([[1.0, 2.0, nan], [3.0, nan, nan], [nan, 6.0, nan], [nan, 1.0, nan]])
    labeled, weights = ~np.isnan(losses), np.array([1.0, 0.5, 2.0])
    value = np.asarray(answer(losses.copy(), labeled.copy(), weights.copy()), dtype=float)
    assert value.ndim == 0, "return one number, the sum over the tasks."
    assert not np.isnan(value), (
        "the result is NaN; NaN times 0 is still NaN, and 0 labels cannot be divided by."
    )
    assert not np.isclose(value, 2.125), (
        "divide by the number of labeled images of the task, not by all N."
    )
    assert not np.isclose(value, 8.5), "take the mean over the labeled images, not the sum."
    assert not np.isclose(value, 5.0), "multiply each task's mean by its weight."
    assert not np.isclose(value, 1.7), "one mean over everything; take one mean per task."
    assert not np.isclose(value, 3.5 / 3), "return the sum over the tasks, not their mean."
    assert np.isclose(value, 3.5), (
        f"means 2, 3 and none with weights 1, 0.5 and 2 give 3.5, not {float(value):.4g}."
    )


def _geometric_mean(answer: Any) -> None:
    assert callable(answer), "write a function of probabilities."
    p = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.5, 0.5], [0.2, 0.8]]])
    result = np.asarray(answer(p.copy()))
    right = np.array([[0.75, 0.25], [0.5, 0.5]])
    assert result.shape == (2, 2), "return N x K numbers: the networks are combined."
    assert not np.allclose(result, p.mean(axis=0)), "this is the mean, not the geometric mean."
    assert np.allclose(result.sum(axis=1), 1), "each image's probabilities must add up to 1 again."
    product = p.prod(axis=0) / p.prod(axis=0).sum(axis=1, keepdims=True)
    assert not np.allclose(result, product), "take the M-th root before you divide."
    assert np.allclose(result, right), (
        f"0.9 and 0.1 with 0.5 and 0.5 give 0.75 and 0.25, not {result[0].round(3).tolist()}."
    )
    many = np.asarray(answer(np.tile(p[:1], (2000, 1, 1))))
    assert np.allclose(many, p[0]), (
        "the mean of 2000 equal networks is that network; a product vanishes, so add logarithms."
    )


def _held_out_outputs(answer: Any) -> None:
    assert callable(answer), "write a function of fit, x, y and folds."
    x, y = np.arange(7.0), np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    folds = np.array([2, 0, 0, 5, 2, 0, 5])

    def fit(x: Any, y: Any) -> Callable[[Any], Any]:
        center, known = float(np.mean(y)), {float(value) for value in x}

        def model(new: Any) -> Any:
            leaked = np.array([float(value) in known for value in new])
            return np.where(leaked, 1000.0, center + np.asarray(new))

        return model

    result = np.asarray(answer(fit, x.copy(), y.copy(), folds.copy()), dtype=float)
    assert result.shape == (7,), f"return one output per row, not an array of shape {result.shape}."
    right = x + np.array([y[folds != fold].mean() for fold in folds])
    assert not (result == 1000).any(), (
        "a row was predicted by a model that was trained on it; leave its fold out."
    )
    own = x + np.array([y[folds == fold].mean() for fold in folds])
    assert not np.allclose(result, own), "train on the other folds, not on the row's own."
    order = np.argsort(folds, kind="stable")
    assert not np.allclose(result, right[order]), "put each output back to the place of its row."
    assert np.allclose(result, right), (
        f"row 0 is in fold 2, so its model saw the rows of folds 0 and 5: {right[0]:.3f}, not "
        f"{result[0]:.3f}."
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "11.1": _count_parameters,
    "11.2": _joint_loss,
    "11.3": _geometric_mean,
    "11.4": _held_out_outputs,
}
