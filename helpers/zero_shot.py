"""Naming classes that have no training image, from their attributes or from class scores."""

import numpy as np

from helpers.base.arguments import matrix, one_number, same, vector, zeros_and_ones
from helpers.base.errors import CourseError

EPSILON = 1e-6  # `dap_scores` keeps probabilities between EPSILON and 1 - EPSILON
TOP = 10  # classes that `conse` mixes


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
    found = matrix(attribute_probabilities, "attribute_probabilities", low=0, high=1)  # N x M
    classes = zeros_and_ones(class_attributes, "class_attributes", 2)  # C x M
    priors = vector(attribute_priors, "attribute_priors", low=0, high=1)  # M
    same(
        "number of attributes",
        attribute_probabilities=found.shape[1],
        class_attributes=classes.shape[1],
        attribute_priors=len(priors),
    )
    found, priors = found.clip(EPSILON, 1 - EPSILON), priors.clip(EPSILON, 1 - EPSILON)
    present = np.log(found) - np.log(priors)  # N x M, if the class has the attribute
    absent = np.log1p(-found) - np.log1p(-priors)  # and if it lacks it
    return np.asarray(present @ classes.T + absent @ (1 - classes).T)


def conse(
    probabilities: np.ndarray, seen_embeddings: np.ndarray, unseen_embeddings: np.ndarray
) -> np.ndarray:
    """Convex combination of semantic embeddings (Norouzi et al. 2014, section 3).

    Each image gets the place ``f = sum_{t<=T} p_t s_t / sum_{t<=T} p_t`` among the words, where
    p_t is the t-th largest probability that a classifier of the seen classes gives, s_t the
    embedding of that class, and T is 10 (`TOP`), or all classes if there are fewer.

    Args:
        probabilities: N x S, of the seen classes, 0 or more; only their ratios in a row matter.
        seen_embeddings: S x D, of the seen classes, taken as they are.
        unseen_embeddings: U x D, of the classes to choose from; none of length 0.

    Returns:
        float64, N x U: cosine of f with each embedding to choose from, -1 to 1; 0 where f is 0.

    Raises:
        CourseError: shapes that do not match, negative or all-zero probabilities, or an embedding
            to choose from without direction.
    """
    p = matrix(probabilities, "probabilities", low=0)  # N x S
    seen = matrix(seen_embeddings, "seen_embeddings")  # S x D
    unseen = matrix(unseen_embeddings, "unseen_embeddings")  # U x D
    same("number of classes", probabilities=p.shape[1], seen_embeddings=len(seen))
    same("number of columns", seen_embeddings=seen.shape[1], unseen_embeddings=unseen.shape[1])
    if not (p.any(axis=1).all() and unseen.any(axis=1).all()):
        raise CourseError(
            "probabilities and unseen_embeddings must have at least one number that is not 0 in "
            "each row; pass softmax outputs, not logits."
        )
    p = p / p.max(axis=1, keepdims=True)  # tiny ones must not underflow
    lesser = np.argsort(-p, axis=1, kind="stable")[:, TOP:]  # N x (S - T)
    np.put_along_axis(p, lesser, 0, axis=1)
    f = p @ seen / p.sum(axis=1, keepdims=True)  # N x D
    return _directions(f) @ _directions(unseen).T


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Each row with the length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def harmonic_mean(seen: float, unseen: float) -> float:
    """``H = 2 S U / (S + U)``: high only if both accuracies are (Xian et al. 2018).

    Args:
        seen: accuracy on seen classes, 0 or more.
        unseen: the same for unseen classes.

    Returns:
        A float; 0 if either is 0.

    Raises:
        CourseError: values that are negative or no numbers.
    """
    low, high = sorted((one_number(seen, "seen", low=0), one_number(unseen, "unseen", low=0)))
    return 2 * low * (high / (low + high)) if high > 0 else 0.0
