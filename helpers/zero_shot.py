"""Naming classes that have no training image, from their attributes or from class scores."""

import numpy as np

from helpers.base.arguments import finite_numbers
from helpers.base.errors import CourseError

EPSILON = 1e-6  # `dap_scores` keeps probabilities between EPSILON and 1 - EPSILON


def dap_scores(
    attribute_probabilities: np.ndarray,
    class_attributes: np.ndarray,
    attribute_priors: np.ndarray,
) -> np.ndarray:
    """Direct attribute prediction: how well each class's attributes fit each image.

    The logarithm of ``prod_m p(a_m = a_m^c | x) / p(a_m = a_m^c)``, the product over all M
    attributes, those the class has and those it lacks (Lampert, Nickisch & Harmeling 2009,
    equation 2). As a sum of logarithms it does not underflow, however many attributes there are.
    The class with the highest score is the answer.

    Args:
        attribute_probabilities: N x M, that each attribute is present in each image, 0 to 1.
        class_attributes: C x M, 1 (or True) where a class has the attribute, otherwise 0.
        attribute_priors: M, how frequent each attribute is, 0 to 1; of the *seen* classes, whose
            frequencies the classifiers have taken in. 0.5 everywhere is no correction.

    Probabilities and priors are kept between 1e-6 and 1 - 1e-6 (`EPSILON`), so that one attribute
    that is predicted with certainty, and wrongly, costs a lot but does not decide alone.

    Returns:
        float64, N x C, natural logarithms; finite.

    Raises:
        CourseError: shapes that do not match, or values out of range.
    """
    found = finite_numbers(attribute_probabilities, "attribute_probabilities", 2)
    classes = finite_numbers(class_attributes, "class_attributes", 2)
    priors = finite_numbers(attribute_priors, "attribute_priors", 1)
    if not found.shape[1] == classes.shape[1] == len(priors):
        raise CourseError(
            "attribute_probabilities (N x M), class_attributes (C x M) and attribute_priors (M) "
            f"must have the same number M of attributes, not {found.shape[1]}, "
            f"{classes.shape[1]} and {len(priors)}."
        )
    if not np.isin(classes, (0, 1)).all():
        raise CourseError("class_attributes must be 0 or 1; round your table first.")
    for name, values in (("attribute_probabilities", found), ("attribute_priors", priors)):
        if ((values < 0) | (values > 1)).any():
            raise CourseError(f"{name} must be probabilities from 0 to 1.")
    found, priors = (values.clip(EPSILON, 1 - EPSILON) for values in (found, priors))
    present = np.log(found) - np.log(priors)
    absent = np.log1p(-found) - np.log1p(-priors)
    return np.asarray(present @ classes.T + absent @ (1 - classes).T)


def conse(
    probabilities: np.ndarray,
    seen_embeddings: np.ndarray,
    unseen_embeddings: np.ndarray,
    top: int = 10,
) -> np.ndarray:
    """Convex combination of semantic embeddings (Norouzi et al. 2014, section 3).

    Each image gets the place ``f = sum_{t<=T} p_t s_t / sum_{t<=T} p_t`` among the words, where
    p_t is the t-th largest probability that a classifier of the seen classes gives, s_t the
    embedding of that class, and T is `top`.

    Args:
        probabilities: N x S, of the seen classes, 0 or more; only their ratios in a row matter.
        seen_embeddings: S x D, of the seen classes, taken as they are.
        unseen_embeddings: U x D, of the classes to choose from; none of length 0.
        top: T, 1 or more; at most S are used. Of equal probabilities the first class counts.

    Returns:
        float64, N x U: cosine of f with each embedding to choose from, -1 to 1; 0 where f is 0.

    Raises:
        CourseError: shapes that do not match, negative or all-zero probabilities, an embedding to
            choose from without direction, or another `top`.
    """
    chances = finite_numbers(probabilities, "probabilities", 2)
    seen = finite_numbers(seen_embeddings, "seen_embeddings", 2)
    unseen = finite_numbers(unseen_embeddings, "unseen_embeddings", 2)
    if chances.shape[1] != len(seen) or seen.shape[1] != unseen.shape[1]:
        raise CourseError(
            "probabilities (N x S), seen_embeddings (S x D) and unseen_embeddings (U x D) do not "
            f"match: their shapes are {chances.shape}, {seen.shape} and {unseen.shape}."
        )
    if (chances < 0).any() or not chances.any(axis=1).all():
        raise CourseError(
            "probabilities must be 0 or more, with at least one above 0 in each row; pass softmax "
            "outputs, not logits."
        )
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise CourseError(f"top must be a whole number from 1, not {top!r}.")
    lengths = np.linalg.norm(unseen, axis=1)
    if not lengths.all():
        raise CourseError("an unseen embedding is all zeros and has no direction.")
    chances = chances / chances.max(axis=1, keepdims=True)  # tiny ones must not underflow
    order = np.argsort(-chances, axis=1, kind="stable")[:, :top]
    kept = np.take_along_axis(chances, order, axis=1)
    weights = np.zeros_like(chances)
    np.put_along_axis(weights, order, kept / kept.sum(axis=1, keepdims=True), axis=1)
    places = weights @ seen
    norms = np.linalg.norm(places, axis=1, keepdims=True)
    directions = np.divide(places, norms, out=np.zeros_like(places), where=norms > 0)
    return np.asarray((directions @ (unseen / lengths[:, None]).T).clip(-1, 1))


def harmonic_mean(seen: float | np.ndarray, unseen: float | np.ndarray) -> float | np.ndarray:
    """``H = 2 S U / (S + U)``: high only if both accuracies are (Xian et al. 2018).

    Args:
        seen: accuracy on seen classes, 0 or more; a number or an array.
        unseen: the same for unseen classes; a number or an array of that shape.

    Returns:
        A number for two numbers, otherwise an array; 0 where either is 0.

    Raises:
        CourseError: different shapes, or values that are negative or no numbers.
    """
    given = [np.asarray(value) for value in (seen, unseen)]
    first, second = (finite_numbers(v, n) for v, n in zip(given, ("seen", "unseen"), strict=True))
    if first.shape != second.shape and first.ndim and second.ndim:
        raise CourseError(
            f"seen and unseen must have one shape, not {first.shape} and {second.shape}."
        )
    if (first < 0).any() or (second < 0).any():
        raise CourseError("seen and unseen must be accuracies, 0 or more.")
    low, high = np.minimum(first, second), np.maximum(first, second)
    share = np.divide(low, high, out=np.zeros_like(high), where=high > 0)
    result = 2 * low / (1 + share)  # the same as 2 S U / (S + U), without tiny products
    return float(result) if result.ndim == 0 else np.asarray(result)
