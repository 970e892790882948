"""Task weights and combined gradients: hand-computed values, properties, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import all_refused

from helpers.balancing import dwa_weights, gradient_cosine, gradnorm_step


def rows(*numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_dwa_by_hand() -> None:
    weights = dwa_weights(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0]))
    a, b = np.exp(0.25), np.exp(0.5)  # ratios 0.5 and 1, temperature 2
    assert weights.numpy() == pytest.approx(2 * np.array([a, b]) / (a + b))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 50), st.floats(0.01, 50)), min_size=1, max_size=6))
def test_dwa_adds_up_and_favors_the_slow(pairs: list[tuple[float, float]]) -> None:
    last, earlier = torch.tensor(pairs, dtype=torch.float64).T
    weights = dwa_weights(last, earlier)
    assert weights.sum().item() == pytest.approx(len(pairs))
    assert weights[(last / earlier).argmax()] == weights.max()


def test_gradnorm_by_hand() -> None:
    ones = torch.ones(2)
    # Sizes 3 and 1, both tasks equally far: the target is 2 for both. The slopes are +3 and -1.
    new = gradnorm_step(ones, torch.tensor([3.0, 1.0]), ones, ones, rate=0.1)
    assert new.numpy() == pytest.approx(2 * np.array([0.7, 1.1]) / 1.8)
    assert gradnorm_step(ones, 4 * ones, ones, ones).tolist() == [1, 1]


def test_gradnorm_favors_the_task_that_lags_behind() -> None:
    ones = torch.ones(3)
    new = gradnorm_step(ones, ones, torch.tensor([0.9, 0.1, 0.1]), ones)
    assert new[0] > new[1] == new[2]
    assert gradnorm_step(ones, ones, torch.tensor([0.9, 0.1, 0.1]), ones, alpha=0).tolist() == [
        1,
        1,
        1,
    ]


def test_gradnorm_converges_to_gradients_of_one_size() -> None:
    norms, weights = torch.tensor([5.0, 1.0, 0.2]), torch.ones(3)
    for _ in range(5000):
        weights = gradnorm_step(weights, norms, torch.ones(3), torch.ones(3), alpha=0, rate=1e-3)
    sizes = weights * norms
    assert (sizes.max() / sizes.min()).item() == pytest.approx(1, abs=0.05)
    assert weights.sum().item() == pytest.approx(3)


def test_gradnorm_keeps_weights_positive() -> None:
    new = gradnorm_step(torch.ones(2), torch.tensor([900.0, 1.0]), torch.ones(2), torch.ones(2))
    assert (new > 0).all()


def test_gradnorm_follows_the_gradient_of_its_objective() -> None:
    weights = torch.tensor([1.5, 0.2, 1.3], dtype=torch.float64, requires_grad=True)
    norms, losses, first = rows([0.4, 3.0, 1.0], [0.9, 0.4, 2.0], [1.0, 2.0, 3.0])
    progress = losses / first
    sizes = weights * norms
    target = (sizes.mean() * (progress / progress.mean()) ** 0.7).detach()
    (slope,) = torch.autograd.grad((sizes - target).abs().sum(), weights)
    expected = weights.detach() - 0.01 * slope
    found = gradnorm_step(weights, norms, losses, first, alpha=0.7, rate=0.01)
    assert torch.allclose(found, 3 * expected / expected.sum())


def test_gradnorm_holds_weights_thousands_of_times_apart() -> None:
    norms = torch.tensor([1.0, 6000.0])
    weights = 2 / norms / (1 / norms).sum()
    for _ in range(100):
        weights = gradnorm_step(weights, norms, torch.ones(2), torch.ones(2), rate=1e-10)
    sizes = weights * norms
    assert (sizes[1] / sizes[0]).item() == pytest.approx(1, abs=0.05)


def test_gradnorm_keeps_no_graph() -> None:
    inputs = [torch.ones(2, requires_grad=True) * (i + 1) for i in range(4)]
    assert inputs[0].requires_grad
    assert not gradnorm_step(*inputs).requires_grad


def test_gradnorm_with_losses_of_zero() -> None:
    ones, zeros = torch.ones(2), torch.zeros(2)
    assert gradnorm_step(ones, zeros, zeros, ones).tolist() == [1, 1]
    assert gradnorm_step(ones, ones, torch.tensor([0.0, 1.0]), ones).isfinite().all()


def test_gradient_cosine() -> None:
    a = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert gradient_cosine(a, 7 * a) == pytest.approx(1)
    assert gradient_cosine(a, -a) == pytest.approx(-1)
    assert gradient_cosine(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])) == pytest.approx(
        np.sqrt(0.5)
    )
    assert gradient_cosine(torch.zeros(2), torch.ones(2)) == 0


def vectors(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def test_dwa_refuses() -> None:
    one, two = torch.ones(1), torch.ones(2)
    all_refused(
        [
            (
                lambda: dwa_weights(one, two),
                "before_previous must have the same length",
            ),
            (lambda: dwa_weights(vectors(1, 0), two), "previous must be finite and above 0"),
            (lambda: dwa_weights(two, vectors(1, 0)), "before_previous must be finite and above 0"),
            (lambda: dwa_weights(vectors(1, np.inf), two), "previous must be finite"),
            (lambda: dwa_weights(two, vectors(1, np.inf)), "before_previous must be finite"),
            (lambda: dwa_weights(two, vectors(1, np.nan)), "before_previous must be finite"),
            (lambda: dwa_weights(one[0], one[0]), "previous must have 1 axis, not the shape ()"),
            (lambda: dwa_weights(one[:0], one[:0]), "previous must not be empty"),
            (lambda: dwa_weights([1.0], one), "a torch tensor of floats, not a value of type list"),  # type: ignore[arg-type]
            (lambda: dwa_weights(one.long(), one), "a torch tensor of floats, not torch.int64"),
        ]
    )


def test_gradnorm_refuses() -> None:
    ok = torch.ones(2)
    names = ["weights", "gradient_norms", "losses", "initial_losses"]

    def call(place: int, value: torch.Tensor) -> None:
        gradnorm_step(*[value if i == place else ok for i in range(4)])

    cases = [
        (lambda place=place, value=value: call(place, value), f"{names[place]} must be finite and")
        for place in range(4)
        for value in (vectors(1, -1), vectors(1, np.nan), vectors(np.inf, 1))
    ]
    cases += [
        (lambda place=place: call(place, vectors(1, 0)), f"{names[place]} must be finite and above")
        for place in (0, 3)
    ]
    cases += [
        (lambda place=place: call(place, torch.ones(3)), "must have the same length, not")
        for place in range(4)
    ]
    cases += [
        (lambda: gradnorm_step(ok, ok, ok, ok, alpha=-1), "alpha must be finite and 0 or more"),
        (lambda: gradnorm_step(ok, ok, ok, ok, alpha=np.nan), "alpha must be finite"),
        (lambda: gradnorm_step(ok, ok, ok, ok, alpha="1"), "alpha must be one number"),  # type: ignore[arg-type]
        (lambda: gradnorm_step(ok, ok, ok, ok, rate=0), "rate must be finite and above 0, not 0"),
        (lambda: gradnorm_step(ok, ok, ok, ok, rate=np.inf), "rate must be finite"),
        (lambda: gradnorm_step([1.0, 1.0], ok, ok, ok), "weights must be a torch tensor of floats"),  # type: ignore[arg-type]
    ]
    all_refused(cases)


def test_gradient_cosine_refuses() -> None:
    ok = torch.ones(2)
    all_refused(
        [
            (lambda: gradient_cosine(ok, torch.ones(3)), "same shape, not (2,) and (3,)"),
            (lambda: gradient_cosine(ok, ok[None]), "same shape, not (2,) and (1, 2)"),
            (lambda: gradient_cosine(vectors(1, np.inf), ok), "a must be finite"),
            (lambda: gradient_cosine(ok, vectors(np.nan, 1)), "b must be finite"),
            (lambda: gradient_cosine(ok[:0], ok[:0]), "a must not be empty"),
            (lambda: gradient_cosine(ok * 1j, ok), "a must be a torch tensor of floats"),
            (lambda: gradient_cosine("ab", ok), "a must be a torch tensor of floats"),  # type: ignore[arg-type]
            (lambda: gradient_cosine(ok, None), "b must be a torch tensor of floats"),  # type: ignore[arg-type]
        ]
    )


def test_dwa_weights_have_no_graph() -> None:
    losses = torch.tensor([1.0, 3.0], requires_grad=True)
    found = dwa_weights(losses, torch.tensor([2.0, 3.0], requires_grad=True))
    assert not found.requires_grad and found.dtype == torch.float64


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-45, 1e-20, 1e-10, 1.0, 1e25, 1e300])
def test_gradient_cosine_of_any_size(size: float) -> None:
    a, b = torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, 1.0]).double()
    for kind in (torch.float64, torch.float32):
        if 1e-44 < size < 1e38 or kind == torch.float64:
            found = gradient_cosine((size * a).to(kind), (3 * size * b).to(kind))
            assert found == pytest.approx(np.sqrt(0.5), abs=1e-3 if size < 1e-300 else 1e-7)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_gradient_cosine_stays_within_its_range(seed: int) -> None:
    a = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    assert 1 - 1e-12 < gradient_cosine(a, a) <= 1
    assert -1 <= gradient_cosine(a, -7 * a) < -1 + 1e-6
    assert gradient_cosine(a.requires_grad_(), torch.zeros(50)) == 0.0
