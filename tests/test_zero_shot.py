"""Zero-shot scores against closed forms and direct products; the text encoder without a network."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support import all_refused, refused

from helpers import text_encoder, zero_shot
from helpers.text_encoder import text_embeddings
from helpers.zero_shot import EPSILON, conse, dap_scores, harmonic_mean

ROOT = Path(__file__).resolve().parents[1]
shares = st.floats(0, 1)


# --- direct attribute prediction -----------------------------------------------------------------


def test_dap_is_the_product_over_present_and_absent_attributes() -> None:
    rng = np.random.default_rng(0)
    found, priors = rng.uniform(0.05, 0.95, (4, 3)), rng.uniform(0.2, 0.8, 3)
    classes = np.array(list(product((0, 1), repeat=3)))  # all eight that three attributes allow
    scores = dap_scores(found, classes, priors)
    assert scores.shape == (4, 8)
    for n, c in product(range(4), range(8)):
        expected = 1.0
        for m in range(3):
            present = classes[c, m] == 1
            expected *= found[n, m] / priors[m] if present else (1 - found[n, m]) / (1 - priors[m])
        assert np.isclose(np.exp(scores[n, c]), expected)


def test_dap_by_hand() -> None:
    # has stripes with 0.9, a trunk with 0.2; half of the seen classes have stripes, 1 in 10 a trunk
    scores = dap_scores(np.array([[0.9, 0.2]]), np.array([[1, 0], [0, 1]]), np.array([0.5, 0.1]))
    expected = [(0.9 / 0.5) * (0.8 / 0.9), (0.1 / 0.5) * (0.2 / 0.1)]
    assert np.allclose(np.exp(scores), [expected])


def test_dap_without_evidence_prefers_no_class() -> None:
    priors = np.array([0.3, 0.6, 0.9])
    classes = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1]])
    assert np.allclose(dap_scores(priors[None], classes, priors), 0)


def test_dap_sums_to_one_over_all_classes_weighted_by_their_prior() -> None:
    """The posteriors of the attribute vectors, each prior times exp(score), are a distribution."""
    rng = np.random.default_rng(1)
    found, priors = rng.uniform(0.1, 0.9, (5, 4)), rng.uniform(0.1, 0.9, 4)
    classes = np.array(list(product((0, 1), repeat=4)))
    prior = np.where(classes == 1, priors, 1 - priors).prod(axis=1)
    assert np.allclose(np.exp(dap_scores(found, classes, priors)) @ prior, 1)


def test_dap_of_many_attributes_does_not_underflow() -> None:
    rng = np.random.default_rng(2)
    classes = rng.integers(0, 2, (3, 2000))
    found = np.where(classes == 1, 0.6, 0.4)  # image n shows class n, a little
    assert (np.where(classes == 1, found, 1 - found) ** 2).prod() == 0  # what a product would give
    scores = dap_scores(found, classes, np.full(2000, 0.5))
    assert np.isfinite(scores).all()
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert np.allclose(np.diag(scores), 2000 * np.log(1.2))


def test_dap_survives_certainty_and_clips_at_epsilon() -> None:
    scores = dap_scores(np.array([[0.0, 1.0]]), np.array([[1, 1], [0, 0]]), np.array([0.0, 1.0]))
    assert np.isfinite(scores).all()
    certain = dap_scores(np.array([[0.0]]), np.array([[1], [0]]), np.array([0.5]))
    assert np.allclose(np.exp(certain), [[2 * EPSILON, 2 * (1 - EPSILON)]])
    # one certain error does not outweigh three attributes that fit almost certainly
    found = np.array([[0.0, 0.9999, 0.9999, 0.9999]])
    scores = dap_scores(found, np.array([[1, 1, 1, 1], [0, 0, 0, 0]]), np.full(4, 0.5))
    assert scores.argmax() == 0


@given(arrays(float, (3, 4), elements=shares), arrays(float, 4, elements=shares))
def test_dap_is_always_finite_and_follows_each_attribute(found: Any, priors: Any) -> None:
    classes = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]])
    scores = dap_scores(found, classes, priors)
    assert np.isfinite(scores).all()
    more = found.copy()
    more[:, 0] = 1
    moved = dap_scores(more, classes, priors) - scores
    assert (moved[:, 0] <= 1e-9).all() and (moved[:, 1:] >= -1e-9).all()


def test_dap_takes_booleans_and_leaves_its_input_alone() -> None:
    found, classes, priors = np.array([[0.0, 0.7]]), np.array([[True, False]]), np.array([0.5, 0.5])
    scores = dap_scores(found, classes, priors)
    assert np.allclose(scores, dap_scores(found, classes.astype(int), priors))
    assert found.tolist() == [[0.0, 0.7]] and priors.tolist() == [0.5, 0.5]


def test_dap_refuses() -> None:
    found, classes, priors = np.full((2, 3), 0.5), np.ones((4, 3)), np.full(3, 0.5)
    cases: list[tuple[Any, Any, Any, str]] = [
        (found, classes[:, :2], priors, "same number of attributes, not 3, 2 and 3"),
        (found, classes, priors[:2], "same number of attributes, not 3, 3 and 2"),
        (found[0], classes, priors, "attribute_probabilities must have 2 axes"),
        (found, classes[0], priors, "class_attributes must have 2 axes"),
        (found, classes, priors[None], "attribute_priors must have 1 axis"),
        (found + 1, classes, priors, "attribute_probabilities must be from 0 to 1"),
        (found, classes, priors - 0.6, "attribute_priors must be from 0 to 1"),
        (found, classes / 2, priors, "class_attributes must be 0 or 1"),
        (found * np.nan, classes, priors, "attribute_probabilities must be from 0 to 1"),
        (np.full((2, 3), "?"), classes, priors, "array of numbers"),
    ]
    all_refused((lambda f=f, c=c, p=p: dap_scores(f, c, p), match) for f, c, p, match in cases)


# --- ConSE ---------------------------------------------------------------------------------------

SEEN = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
UNSEEN = np.array([[1.0, 1.0], [0.0, 2.0]])


@pytest.fixture
def top(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Mix another number of classes than the 10 of the paper."""
    return lambda number: monkeypatch.setattr(zero_shot, "TOP", number)


def test_conse_by_hand(top: Callable[[int], None]) -> None:
    place = np.array([0.6 - 0.1, 0.3])
    expected = [[place.sum() / np.sqrt(2), place[1]]] / np.hypot(*place)
    assert np.allclose(conse(np.array([[0.6, 0.3, 0.1]]), SEEN, UNSEEN), expected)
    top(2)
    scores = conse(np.array([[0.6, 0.3, 0.1]]), SEEN, UNSEEN)
    place = np.array([0.6, 0.3]) / 0.9  # the third class is not among the top two
    length = np.hypot(*place)
    assert np.allclose(scores, [[place.sum() / np.sqrt(2) / length, place[1] / length]])


def random_case(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(7), 20), rng.normal(size=(7, 5)), rng.normal(size=(4, 5))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray(a @ b.T / norms)


def test_conse_with_one_class_is_the_neighbor_of_the_likeliest_class(
    top: Callable[[int], None],
) -> None:
    top(1)
    chances, seen, unseen = random_case()
    expected = cosines(seen, unseen)[chances.argmax(axis=1)]
    assert np.allclose(conse(chances, seen, unseen), expected)


def test_conse_with_all_classes_is_the_expected_embedding(top: Callable[[int], None]) -> None:
    chances, seen, unseen = random_case(1)
    expected = cosines(chances @ seen, unseen)
    assert np.allclose(conse(chances, seen, unseen), expected)  # 10 is capped at 7
    top(7)
    assert np.allclose(conse(chances, seen, unseen), expected)
    top(3)
    assert not np.allclose(conse(chances, seen, unseen), expected)


def test_conse_mixes_ten_classes() -> None:
    rng = np.random.default_rng(5)
    chances, seen, unseen = rng.dirichlet(np.ones(14), 6), rng.normal(size=(14, 5)), np.eye(5)
    kept = np.where(chances >= np.sort(chances, axis=1)[:, [-10]], chances, 0)
    assert np.allclose(conse(chances, seen, unseen), cosines(kept @ seen, unseen))


def test_conse_drops_what_is_not_among_the_top(top: Callable[[int], None]) -> None:
    top(3)
    chances, seen, unseen = random_case(2)
    kept = np.where(chances >= np.sort(chances, axis=1)[:, [-3]], chances, 0)
    assert np.allclose(conse(chances, seen, unseen), conse(kept, seen, unseen))


def test_conse_does_not_depend_on_scale(top: Callable[[int], None]) -> None:
    top(4)
    chances, seen, unseen = random_case(3)
    scores = conse(chances, seen, unseen)
    assert (abs(scores) <= 1 + 1e-12).all()
    lengths = np.array([[0.1], [2.0], [30.0], [1e4]])
    assert np.allclose(conse(chances, 5 * seen, lengths * unseen), scores)
    assert np.allclose(conse(1e-200 * chances, seen, unseen), scores)


def test_conse_of_a_certain_image_is_its_class() -> None:
    _, seen, unseen = random_case(4)
    scores = conse(np.eye(7), seen, np.concatenate([unseen, seen]))
    assert (scores[:, 4:].argmax(axis=1) == np.arange(7)).all()
    assert np.allclose(np.diag(scores[:, 4:]), 1)


def test_conse_takes_the_first_of_equal_classes(top: Callable[[int], None]) -> None:
    top(1)
    scores = conse(np.array([[0.25, 0.25, 0.25]]), SEEN, UNSEEN)
    assert np.allclose(scores, cosines(SEEN[:1], UNSEEN))


def test_conse_of_embeddings_that_cancel_is_zero() -> None:
    assert conse(np.array([[0.5, 0.0, 0.5]]), SEEN, UNSEEN).tolist() == [[0, 0]]


def test_conse_refuses() -> None:
    chances = np.ones((1, 3))
    zero = "at least one number that is not 0 in each row; pass softmax outputs, not logits"
    cases: list[tuple[Any, Any, Any, str]] = [
        (np.ones((2, 4)), SEEN, UNSEEN, "same number of classes, not 4 and 3"),
        (chances, SEEN, np.ones((2, 3)), "same number of columns, not 2 and 3"),
        (np.ones(3), SEEN, UNSEEN, "probabilities must have 2 axes"),
        (np.array([[0.5, -0.1, 0.6]]), SEEN, UNSEEN, "probabilities must be finite and 0 or more"),
        (0 * chances, SEEN, UNSEEN, zero),
        (chances, SEEN, np.zeros((1, 2)), zero),
        (np.inf * chances, SEEN, UNSEEN, "probabilities must be finite"),
        (chances, SEEN * np.nan, UNSEEN, "seen_embeddings must be finite"),
    ]
    all_refused((lambda p=p, s=s, u=u: conse(p, s, u), match) for p, s, u, match in cases)


# --- harmonic mean -------------------------------------------------------------------------------


def test_harmonic_mean_by_hand() -> None:
    assert harmonic_mean(0.6, 0.3) == pytest.approx(0.4)
    assert isinstance(harmonic_mean(0.6, 0.3), float)
    assert harmonic_mean(0.0, 0.9) == harmonic_mean(0.9, 0.0) == harmonic_mean(0.0, 0.0) == 0
    assert harmonic_mean(0.9, 0.1) == pytest.approx(0.18)


@given(shares, shares)
@settings(max_examples=300)
def test_harmonic_mean_stays_near_the_smaller(seen: float, unseen: float) -> None:
    mean = harmonic_mean(seen, unseen)
    low = min(seen, unseen)
    assert mean == harmonic_mean(unseen, seen)
    assert low * (1 - 1e-12) <= mean <= 2 * low
    assert mean <= (seen + unseen) / 2 * (1 + 1e-12)
    if seen * unseen > 1e-300:
        assert mean == pytest.approx(2 * seen * unseen / (seen + unseen))


def test_harmonic_mean_refuses() -> None:
    cases: list[tuple[Any, Any, str]] = [
        (-0.1, 0.5, "seen must be finite and 0 or more, not -0.1"),
        (0.5, float("nan"), "unseen must be finite and 0 or more, not nan"),
        (np.ones(2), 0.5, "seen must be one number"),
        ("high", 0.5, "seen must be one number"),
    ]
    all_refused((lambda s=s, u=u: harmonic_mean(s, u), match) for s, u, match in cases)


# --- the text encoder ----------------------------------------------------------------------------

# In a process of its own: the encoder brings PyTorch, other tests bring TensorFlow.
QUIET = """
import socket
def refuse(*a, **k): raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
import sys
from helpers.text_encoder import text_embeddings
assert "torch" not in sys.modules and "sentence_transformers" not in sys.modules
import numpy as np
e = text_embeddings(["cat", "dog", "piano"])
assert "torch" in sys.modules and "tensorflow" not in sys.modules
assert e.shape == (3, 384) and e.dtype == np.float32
assert np.allclose(np.linalg.norm(e, axis=1), 1, atol=1e-6)
assert e[0] @ e[1] > max(e[0] @ e[2], e[1] @ e[2]) + 0.1
assert np.allclose(text_embeddings(["dog"])[0], e[1], atol=1e-5)
"""
CACHED = """
import sys
from helpers.text_encoder import text_embeddings
assert text_embeddings(["cat", "dog", "piano"]).shape == (3, 384)
assert "torch" not in sys.modules, "the cache was not used"
"""


def test_text_encoder_is_quiet_offline_and_cached(tmp_path: Path) -> None:
    environment = {**os.environ, "COURSE_CACHE": str(tmp_path)}
    for code in (QUIET, CACHED):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == done.stderr == ""


@pytest.mark.parametrize("texts", ["cat", [], ["cat", " "], ["cat", 3]])
def test_text_encoder_refuses(texts: Any) -> None:
    with refused("text"):
        text_embeddings(texts)


def test_damaged_text_encoder_is_not_used(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setitem(text_encoder.TEXT_SHA256, "model.safetensors", "0" * 64)
    with refused("model.safetensors of the text encoder is missing or damaged"):
        text_embeddings(["cat"])


def test_missing_text_encoder_is_explained(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(text_encoder, "TEXT_PACKAGE", "gt-no-such-model")
    with refused("not installed"):
        text_embeddings(["cat"])
