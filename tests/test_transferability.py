"""Transferability scores against brute force, explicit loops, matrices, and their properties."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.stats import ortho_group
from sklearn.covariance import LedoitWolf
from support import all_refused

from helpers.transferability import h_score, leep, logme

Score = Callable[[np.ndarray, np.ndarray], float]


def example(
    n: int, d: int, seed: int = 0, noise: float = 1.0, classes: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n x d) of which the first few say something about the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    features = rng.normal(size=(n, d))
    features[np.arange(n), labels % d] += 2 / noise
    return features, labels


def probabilities(n: int, z: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows that sum to 1 and agree with labels to some degree."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    logits = rng.normal(size=(n, z))
    logits[np.arange(n), labels % z] += 2
    rows = np.exp(logits)
    return rows / rows.sum(axis=1, keepdims=True), labels


def log_evidence(features: np.ndarray, target: np.ndarray, alpha: float, beta: float) -> float:
    """log p(y | F, alpha, beta) as the density of one dense N x N normal distribution."""
    covariance = features @ features.T / alpha + np.eye(len(target)) / beta
    sign, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
    assert sign > 0
    return float(-0.5 * (log_determinant + target @ np.linalg.solve(covariance, target)))


def brute_force(features: np.ndarray, target: np.ndarray) -> float:
    """Maximum of the log evidence over log alpha and log beta from several starting points."""

    def negative(point: np.ndarray) -> float:
        alpha, beta = np.exp(np.clip(point, -15, 15))
        return -log_evidence(features, target, alpha, beta)

    starts = [np.array([a, b]) for a in (-2.0, 1.0, 4.0) for b in (0.0, 3.0, 12.0)]
    found = [
        minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).fun
        for start in starts
    ]
    return -min(found) / len(target)


# --- LogME ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(60, 4), (24, 24), (15, 40), (9, 200)])
def test_logme_is_the_maximum_of_the_evidence(n: int, d: int) -> None:
    features, labels = example(n, d, noise=2)
    expected = np.mean([brute_force(features, (labels == k).astype(float)) for k in range(3)])
    assert logme(features, labels) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(40, 3), (12, 30)]),
    st.integers(0, 50),
    st.floats(-6, 6),
    st.floats(-6, 6),
)
def test_no_alpha_and_beta_give_more_evidence(
    shape: tuple[int, int], seed: int, log_alpha: float, log_beta: float
) -> None:
    features, labels = example(*shape, seed=seed)
    alpha, beta = np.exp([log_alpha, log_beta])
    # two classes: y and 1 - y, so the mean score bounds the mean evidence
    labels = labels > 0
    some = [log_evidence(features, (labels == k).astype(float), alpha, beta) for k in (0, 1)]
    assert np.mean(some) / len(labels) <= logme(features, labels.astype(int)) + 1e-9


def test_logme_keeps_all_terms_when_there_are_more_features_than_rows() -> None:
    """Dropping (D - N) log alpha, as a public implementation does, adds a feature-count bonus."""
    features, labels = example(12, 5, noise=4)
    padded = np.hstack([features, np.zeros((12, 500))])
    assert logme(padded, labels) == pytest.approx(logme(features, labels), abs=1e-9)


def test_logme_does_not_change_under_rotation_and_scale() -> None:
    for n, d in ((50, 6), (10, 30)):
        features, labels = example(n, d, seed=2)
        rotation = ortho_group.rvs(d, random_state=0)
        value = logme(features, labels)
        assert logme(features @ rotation, labels) == pytest.approx(value, abs=1e-8)
        for scale in (1e-120, 1e-3, 1e5, 1e120):
            assert logme(scale * features, labels) == pytest.approx(value, abs=1e-8)


def test_logme_without_signal_is_the_evidence_of_noise_alone() -> None:
    """The fixed-point iteration diverges here: the best alpha is infinite."""
    labels = np.arange(40) % 2
    features = np.random.default_rng(0).normal(size=(40, 3))
    features -= features.mean(axis=0)
    for k in (0, 1):
        y = (labels == k).astype(float)
        features -= np.outer(y, y @ features) / (y @ y)
    noise_only = -0.5 * np.log(2 * np.pi * 0.5) - 0.5  # beta = N / sum of y² = 2
    assert logme(features, labels) == pytest.approx(noise_only, abs=1e-9)
    assert logme(np.zeros((40, 3)), labels) == pytest.approx(noise_only, abs=1e-9)


def test_logme_of_perfect_features_is_finite_and_high() -> None:
    labels = np.arange(30) % 3
    perfect = logme(np.eye(3)[labels], labels)
    assert np.isfinite(perfect)
    assert perfect > logme(*example(30, 3)) + 1


# --- LEEP ----------------------------------------------------------------------------------------


def leep_in_loops(theta: np.ndarray, labels: np.ndarray) -> float:
    n, z_count = theta.shape
    total = 0.0
    for i in range(n):
        inside = 0.0
        for z in range(z_count):
            mass = sum(theta[j, z] for j in range(n)) / n
            joint = sum(theta[j, z] for j in range(n) if labels[j] == labels[i]) / n
            if mass > 0:
                inside += joint / mass * theta[i, z]
        total += np.log(inside)
    return float(total / n)


@pytest.mark.parametrize("z", [1, 2, 7])
def test_leep_in_explicit_loops(z: int) -> None:
    theta, labels = probabilities(25, z)
    assert leep(theta, labels) == pytest.approx(leep_in_loops(theta, labels), abs=1e-12)


def test_leep_with_certain_source_is_minus_the_conditional_entropy() -> None:
    """Nguyen et al. (2020), section 3: with hard predictions LEEP is the NCE of Tran et al."""
    z, labels = np.array([0, 0, 0, 1, 1, 1]), np.array([4, 4, 9, 9, 9, 9])
    share = np.array([2 / 3, 1 / 3])
    entropy = 0.5 * -(share * np.log(share)).sum()
    assert leep(np.eye(2)[z], labels) == pytest.approx(-entropy, abs=1e-12)


def test_leep_of_an_uninformative_source_is_minus_the_entropy_of_the_labels() -> None:
    labels = np.array([0, 0, 0, 1])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert leep(np.full((4, 6), 1 / 6), labels) == pytest.approx(-entropy, abs=1e-12)


def test_leep_leaves_out_source_classes_without_mass() -> None:
    theta, labels = probabilities(20, 3)
    wider = np.hstack([theta, np.zeros((20, 2))])
    assert leep(wider, labels) == pytest.approx(leep(theta, labels), abs=1e-12)


def test_leep_of_a_perfect_source_is_zero() -> None:
    labels = np.arange(12) % 3
    assert leep(np.eye(3)[labels], labels) == pytest.approx(0, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (12, 4), elements=st.floats(1e-9, 1)),
    arrays(np.int64, 12, elements=st.integers(-2, 2)),
)
def test_leep_is_never_above_zero(raw: np.ndarray, labels: np.ndarray) -> None:
    labels[:2] = 0, 1
    value = leep(raw / raw.sum(axis=1, keepdims=True), labels)
    assert np.isfinite(value)
    assert value <= 1e-12  # nothing is clipped


def test_leep_in_float32_is_close_to_float64() -> None:
    theta, labels = probabilities(40, 5)
    assert leep(theta.astype(np.float32), labels) == pytest.approx(leep(theta, labels), abs=1e-6)


# --- H-score -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(80, 5), (20, 20), (12, 40)])
def test_h_score_with_explicit_matrices(n: int, d: int) -> None:
    features, labels = example(n, d)
    estimate = LedoitWolf().fit(features)
    conditional = np.stack([features[labels == k].mean(axis=0) for k in labels])
    between = np.cov(conditional, rowvar=False, bias=True)
    expected = (1 - estimate.shrinkage_) * np.trace(np.linalg.inv(estimate.covariance_) @ between)
    assert h_score(features, labels) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_h_score_tends_to_bao_for_many_rows() -> None:
    features, labels = example(20_000, 6)
    conditional = np.stack([features[labels == k].mean(axis=0) for k in range(3)])[labels]
    plain = np.trace(
        np.linalg.inv(np.cov(features, rowvar=False)) @ np.cov(conditional, rowvar=False)
    )
    assert h_score(features, labels) == pytest.approx(plain, rel=0.005)


def test_h_score_does_not_blow_up_with_few_rows() -> None:
    """Bao's score of pure noise is classes - 1 as soon as N <= D."""
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(20, 60)), np.arange(20) % 3
    centered = noise - noise.mean(axis=0)
    means = np.stack([centered[labels == k].mean(axis=0) for k in range(3)])[labels]
    plain = np.trace(np.linalg.pinv(centered.T @ centered) @ (means.T @ means))
    assert plain == pytest.approx(2, abs=1e-6)
    assert h_score(noise, labels) < plain / 2


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(4, 20), st.integers(1, 8)), elements=st.floats(-9, 9)),
    st.integers(0, 1000),
)
def test_h_score_lies_between_zero_and_classes_minus_one(features: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(3, size=len(features))
    labels[:2] = 0, 1
    # Nothing is clipped: S_a is at least (1 - a) cov(f), and that at least cov(E[f | y]).
    assert -1e-9 <= h_score(features, labels) <= len(np.unique(labels)) - 1 + 1e-9


def test_h_score_reaches_its_bound_for_perfect_features() -> None:
    labels = np.arange(3000) % 3
    perfect = np.eye(3)[labels][:, :2]
    assert h_score(perfect, labels) == pytest.approx(2, abs=0.01)


def test_h_score_under_transformations() -> None:
    features, labels = example(40, 6)
    value = h_score(features, labels)
    rotation = ortho_group.rvs(6, random_state=1)
    for same in (features @ rotation, features + 7, 1e-3 * features, 1e150 * features):
        assert h_score(same, labels) == pytest.approx(value, rel=1e-6)
    # shrinkage gives up Bao's invariance under scaling features one by one
    assert h_score(features * [100, 1, 1, 1, 1, 1], labels) != pytest.approx(value, rel=0.01)


def test_h_score_of_constant_features_is_zero() -> None:
    assert h_score(np.full((8, 3), 2.5), np.arange(8) % 2) == 0


# --- all three -----------------------------------------------------------------------------------

SCORES: dict[str, tuple[Score, Callable[..., tuple[np.ndarray, np.ndarray]]]] = {
    "logme": (logme, example),
    "leep": (leep, probabilities),
    "h_score": (h_score, example),
}
each_score = pytest.mark.parametrize(("score", "make"), SCORES.values(), ids=SCORES)


@each_score
@pytest.mark.parametrize(("n", "columns"), [(90, 5), (24, 60)])
def test_falls_when_labels_are_shuffled(score: Score, make: Any, n: int, columns: int) -> None:
    values, labels = make(n, columns)
    rng = np.random.default_rng(0)
    shuffled = [score(values, rng.permutation(labels)) for _ in range(20)]
    assert score(values, labels) > max(shuffled)


@each_score
def test_names_and_order_do_not_matter(score: Score, make: Any) -> None:
    values, labels = make(30, 4)
    value = score(values, labels)
    order = np.random.default_rng(0).permutation(30)
    assert score(values[order], labels[order]) == pytest.approx(value, abs=1e-9)
    assert score(values, np.array([-7, 1000, 3])[labels]) == pytest.approx(value, abs=1e-9)
    assert score(values.tolist(), labels.tolist()) == value


@each_score
def test_inputs_stay_as_they_are(score: Score, make: Any) -> None:
    values, labels = make(30, 4)
    before = values.copy(), labels.copy()
    assert isinstance(score(values, labels), float)
    assert (values == before[0]).all() and (labels == before[1]).all()


@each_score
def test_refuses(score: Score, make: Any) -> None:
    v, y = make(30, 4)
    name = "source_probabilities" if score is leep else "features"
    cases: list[tuple[Any, Any, str]] = [
        (v, y[:-1], f"{name} and labels must have the same number of rows, not 30 and 29"),
        (v[:, 0], y, f"{name} must have 2 axes, not the shape (30,)"),
        (v[:0], y[:0], f"{name} must not be empty, but has the shape (0, 4)"),
        (v[:, :0], y, f"{name} must not be empty, but has the shape (30, 0)"),
        (v, np.eye(3)[y], "labels must have 1 axis, not the shape (30, 3)"),
        (v, y + 0.5, "labels must be class numbers, all of them whole"),
        (v, y.astype(str), "labels must be an array of numbers"),
        (v.astype(str), y, f"{name} must be an array of numbers"),
        (v * (1 + 0j), y, f"{name} must be an array of numbers"),
        (np.where(v == v[0, 0], np.nan, v), y, f"{name} must be finite"),
        (np.where(v == v[0, 0], np.inf, v), y, f"{name} must be finite"),
        (v, 0 * y + 5, "two classes or more, but all are 5"),
    ]
    all_refused((lambda v=v, y=y: score(v, y), match) for v, y, match in cases)


def test_leep_refuses_what_is_no_probability() -> None:
    theta, labels = probabilities(30, 4)
    below, negative = theta.copy(), theta.copy()
    below[3] -= [0.5, -0.5, 0, 0]
    negative[-1] = [-0.4, 1.4, 0, 0]
    must = "source_probabilities must be 0 or more and each row must sum to 1, but the smallest is"
    cases = [
        (2 * theta, "rows sum to between 2 and 2"),
        (np.log(theta), must),
        (below, must),
        (negative, f"{must} -0.4 and"),
        (theta * np.linspace(1, 1.002, 30)[:, None], "between 1 and 1.002"),
    ]
    all_refused((lambda values=values: leep(values, labels), match) for values, match in cases)


@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e-310, 1e300, np.finfo(float).max])
def test_h_score_of_any_constant_is_zero(value: float) -> None:
    labels = np.arange(100) % 2
    assert h_score(np.full((100, 4), value), labels) == 0.0
    # nor does a constant column add anything to the others
    features, labels = example(100, 3)
    with_constant = np.hstack([features, np.full((100, 1), 0.1)])
    with_zero = np.hstack([features, np.zeros((100, 1))])
    assert h_score(with_constant, labels) == pytest.approx(h_score(with_zero, labels), rel=1e-12)


def test_h_score_of_huge_and_tiny_features() -> None:
    features, labels = example(40, 6)
    features /= np.abs(features).max()
    value = h_score(features, labels)
    for scale in (1e-300, 1e307, np.finfo(float).max):
        assert h_score(scale * features, labels) == pytest.approx(value, rel=1e-9)
    assert h_score(2.0**40 * features, labels) == value
