"""Adaptation losses against closed forms, NumPy and scikit-learn; gradients against differences."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from support import all_refused

from helpers.adaptation import (
    coral_loss,
    gradient_reversal,
    grl_coefficient,
    mmd_rbf,
    proxy_a_distance,
)


def clouds(
    seed: int = 0, rows: tuple[int, int] = (7, 11), d: int = 4
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(rows[0], d, dtype=torch.float64, generator=generator)
    target = 1 + 2 * torch.randn(rows[1], d, dtype=torch.float64, generator=generator)
    return source, target


sizes = st.tuples(st.integers(2, 9), st.integers(2, 9))
each_loss = pytest.mark.parametrize(
    "loss",
    [
        coral_loss,
        lambda s, t: mmd_rbf(s, t, 1.5),
        lambda s, t: mmd_rbf(s, t, 1.5, unbiased=True),
    ],
    ids=["coral", "mmd", "mmd unbiased"],
)


# --- Deep CORAL ----------------------------------------------------------------------------------


def test_coral_closed_form() -> None:
    source = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # covariance [[2, 0], [0, 0]]
    target = torch.tensor([[0.0, 3.0], [0.0, -3.0]])  # covariance [[0, 0], [0, 18]]
    assert coral_loss(source, target).item() == pytest.approx((2**2 + 18**2) / (4 * 2**2))


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(1, 6), st.integers(0, 99))
def test_coral_agrees_with_numpy(rows: tuple[int, int], d: int, seed: int) -> None:
    source, target = clouds(seed, rows, d)
    covariances = [np.cov(part.numpy(), rowvar=False, ddof=1) for part in (source, target)]
    expected = np.sum((covariances[0] - covariances[1]) ** 2) / (4 * d**2)
    assert coral_loss(source, target).item() == pytest.approx(expected, rel=1e-9)


def test_coral_ignores_means_and_sees_scale() -> None:
    source, target = clouds()
    moved = coral_loss(source + 100, target - 7)
    assert moved.item() == pytest.approx(coral_loss(source, target).item(), rel=1e-6)
    # covariances grow with the square, their squared difference with the fourth power
    scaled = coral_loss(3 * source, 3 * target)
    assert scaled.item() == pytest.approx(81 * coral_loss(source, target).item())


# --- MMD -----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(1, 6), st.integers(0, 99), st.sampled_from([0.3, 1.0, 4.0]))
def test_mmd_agrees_with_sklearn(
    rows: tuple[int, int], d: int, seed: int, bandwidth: float
) -> None:
    source, target = clouds(seed, rows, d)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        return np.asarray(rbf_kernel(a.numpy(), b.numpy(), gamma=1 / (2 * bandwidth**2)))

    within, between = [kernel(part, part) for part in (source, target)], kernel(source, target)
    biased = sum(k.mean() for k in within) - 2 * between.mean()
    assert mmd_rbf(source, target, bandwidth).item() == pytest.approx(biased, abs=1e-12)
    off = [k[~np.eye(len(k), dtype=bool)].mean() for k in within]
    unbiased = sum(off) - 2 * between.mean()
    found = mmd_rbf(source, target, bandwidth, unbiased=True).item()
    assert found == pytest.approx(unbiased, abs=1e-12)


def test_mmd_closed_form() -> None:
    source = torch.zeros(2, 1)
    target = torch.full((3, 1), 2.0)
    similarity = math.exp(-4 / (2 * 1.5**2))
    assert mmd_rbf(source, target, 1.5).item() == pytest.approx(2 - 2 * similarity, rel=1e-6)


def test_only_the_biased_mmd_stays_above_zero() -> None:
    found = []
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        source, target = torch.randn(2, 8, 3, dtype=torch.float64, generator=generator)
        biased, unbiased = (mmd_rbf(source, target, 1.0, unbiased=u).item() for u in (False, True))
        assert biased > 0
        found.append(unbiased)
    assert min(found) < 0 < max(found)
    # Right on average: the truth is 0, and the biased one would have a mean of about 0.2.
    assert abs(np.mean(found)) < 2.5 * np.std(found) / math.sqrt(len(found))


def test_unbiased_mmd_of_one_set_with_itself() -> None:
    """Leaving out the diagonal twice but not in the third mean gives a known negative number."""
    source, _ = clouds()
    kernel = torch.tensor(rbf_kernel(source.numpy(), gamma=0.5))
    n = len(source)
    expected = 2 * (kernel.sum() - n) / (n * (n - 1)) - 2 * kernel.mean()
    assert mmd_rbf(source, source, 1.0, unbiased=True).item() == pytest.approx(expected.item())


def test_mmd_far_from_the_origin() -> None:
    source, target = (part.float() for part in clouds())
    near = mmd_rbf(source, target, 1.0).item()
    assert mmd_rbf(source + 1000, target + 1000, 1.0).item() == pytest.approx(near, abs=1e-4)
    assert mmd_rbf(source, source + 1000, 1.0).item() == pytest.approx(
        2 * torch.tensor(rbf_kernel(source.numpy(), gamma=0.5)).mean().item(), rel=1e-5
    )


# --- what all of them obey -----------------------------------------------------------------------


@each_loss
def test_symmetric_and_blind_to_order(loss: Any) -> None:
    source, target = clouds()
    value = loss(source, target).item()
    assert loss(target, source).item() == pytest.approx(value, rel=1e-12)
    assert loss(source.flip(0), target.flip(0)).item() == pytest.approx(value, rel=1e-12)
    assert value > 0.01


@pytest.mark.parametrize("loss", [coral_loss, lambda s, t: mmd_rbf(s, t, 0.7)])
def test_zero_for_a_set_and_itself(loss: Any) -> None:
    for part in clouds():
        assert loss(part, part).item() == pytest.approx(0, abs=1e-15)
        assert loss(part.float(), part.float()).item() == pytest.approx(0, abs=1e-6)


@each_loss
def test_gradients_are_right_and_reach_both(loss: Any) -> None:
    source, target = (part.requires_grad_() for part in clouds())
    assert torch.autograd.gradcheck(loss, (source, target))
    loss(source, target).backward()
    assert source.grad is not None and target.grad is not None
    assert source.grad.abs().max() > 1e-4
    assert target.grad.abs().max() > 1e-4


@pytest.mark.parametrize("loss", [coral_loss, lambda s, t: mmd_rbf(s, t, 2.0)])
def test_descent_brings_two_clouds_together(loss: Any) -> None:
    source, target = clouds(rows=(40, 40))
    moving = source.clone().requires_grad_()
    optimizer = torch.optim.Adam([moving], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        value = loss(moving, target)
        value.backward()
        optimizer.step()
    assert value.item() < 0.2 * loss(source, target).item()


@each_loss
def test_half_precision_is_computed_in_float32(loss: Any) -> None:
    source, target = (part.float() for part in clouds(rows=(64, 64), d=32))
    half = loss(source.bfloat16(), target.bfloat16())
    rounded = loss(source.bfloat16().float(), target.bfloat16().float())
    assert half.dtype == torch.float32
    assert half.item() == rounded.item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(source, target)
    assert inside.dtype == torch.float32
    assert inside.item() == pytest.approx(loss(source, target).item(), rel=1e-6)


@each_loss
def test_losses_refuse(loss: Any) -> None:
    ok, floats = torch.zeros(5, 2), "must be a torch tensor of floats, not"
    cases: list[tuple[Any, Any, str]] = [
        (torch.zeros(5), torch.zeros(5, 1), "source must have 2 axes, not the shape (5,)"),
        (ok, torch.zeros(5, 2, 1), "target must have 2 axes, not the shape (5, 2, 1)"),
        (torch.zeros(1, 2), ok, "source and target must have at least 2 rows each"),
        (ok, torch.zeros(1, 2), "source and target must have at least 2 rows each"),
        (ok, torch.zeros(0, 2), "target must not be empty, but has the shape (0, 2)"),
        (torch.zeros(5, 0), torch.zeros(5, 0), "source must not be empty"),
        (torch.zeros(5, 2, dtype=torch.int64), ok, f"source {floats} torch.int64"),
        (ok, torch.zeros(5, 3), "must have the same number of features, not 2 and 3"),
        (np.zeros((5, 2)), ok, f"source {floats} float64"),
        (ok, [[0.0, 1.0]], f"target {floats} a value of type list"),
        (None, None, f"source {floats} a value of type NoneType"),
    ]
    all_refused((lambda s=s, t=t: loss(s, t), match) for s, t, match in cases)


def test_mmd_refuses_a_bandwidth() -> None:
    all_refused(
        (lambda b=b: mmd_rbf(*clouds(), b), f"bandwidth must be from 1e-18 to 1e+18, not {b}")
        for b in (0, -1, 1e-19, 1e19, math.nan, math.inf)
    )


def test_scalars_must_be_one_number() -> None:
    calls: dict[str, Any] = {
        "bandwidth": lambda value: mmd_rbf(*clouds(), value),
        "coefficient": lambda value: gradient_reversal(torch.ones(1), value),
        "progress": grl_coefficient,
        "error": proxy_a_distance,
    }
    values = ["1", b"1", None, [1.0], (1.0,), np.ones(1), torch.ones(1), 1j]
    all_refused(
        (lambda call=call, value=value: call(value), f"{name} must be one number, not a value of")
        for name, call in calls.items()
        for value in values
    )


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_a_scalar_of_any_library_will_do(value: Any) -> None:
    assert type(proxy_a_distance(value)) is float and proxy_a_distance(value) == 0
    assert grl_coefficient(value) == grl_coefficient(0.5)
    assert mmd_rbf(*clouds(), value).item() == mmd_rbf(*clouds(), 0.5).item()


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_of_two_clusters_far_apart(unbiased: bool) -> None:
    """Within each cluster the distances keep their digits, although the clusters are 1e4 apart."""
    source, target = (part.float() for part in clouds(rows=(40, 40)))
    source[20:] += 1e4
    target[20:] += 1e4
    found = mmd_rbf(source, target, 1.0, unbiased).item()
    exact = mmd_rbf(source.double(), target.double(), 1.0, unbiased).item()
    assert found == pytest.approx(exact, rel=1e-5)
    kernels = [
        rbf_kernel(a.double().numpy(), b.double().numpy(), gamma=0.5)
        for a, b in ((source, source), (target, target), (source, target))
    ]
    if not unbiased:
        expected = kernels[0].mean() + kernels[1].mean() - 2 * kernels[2].mean()
        assert exact == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("unbiased", [False, True])
def test_mmd_has_a_gradient_at_coincident_points(unbiased: bool) -> None:
    source, target = clouds(rows=(4, 5))
    source[1], target[0], target[1] = source[0], source[0], source[0]
    source.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: mmd_rbf(s, t, 1.5, unbiased), (source, target))
    mmd_rbf(source, source.detach(), 1.0).backward()
    assert source.grad is not None and source.grad.isfinite().all()


@pytest.mark.parametrize("bandwidth", [1e-18, 1.0, 1e18])
@pytest.mark.parametrize("size", [1e-19, 1.0, 1e19, 1e30])
def test_mmd_stays_finite(bandwidth: float, size: float) -> None:
    source, target = (size * part.float() for part in clouds())
    source.requires_grad_()
    found = mmd_rbf(source, target, bandwidth)
    found.backward()
    assert found.isfinite() and source.grad is not None and source.grad.isfinite().all()


# --- gradient reversal ---------------------------------------------------------------------------


@pytest.mark.parametrize("coefficient", [0, 0.25, 1, 3])
def test_reversal_forward_and_backward(coefficient: float) -> None:
    x, weights = clouds(rows=(5, 5))
    x.requires_grad_()
    passed = gradient_reversal(x, coefficient)
    assert torch.equal(passed, x)
    (passed * weights).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, -coefficient * weights)


def test_reversal_leaves_what_lies_above_alone() -> None:
    """The domain classifier gets its own gradient, unscaled and unreversed."""
    source, target = clouds(rows=(6, 6))
    above = torch.nn.Linear(4, 1).double()
    below = torch.nn.Linear(4, 4).double()
    found = []
    for coefficient in (None, 0.3):
        above.zero_grad()
        below.zero_grad()
        features = below(torch.cat([source, target]))
        if coefficient is not None:
            features = gradient_reversal(features, coefficient)
        torch.nn.functional.softplus(above(features)).mean().backward()
        found.append([p.grad.clone() for p in (*above.parameters(), *below.parameters())])  # type: ignore[union-attr]
    plain, reversed_ = found
    for a, b in zip(plain[:2], reversed_[:2], strict=True):
        assert torch.equal(a, b)
    for a, b in zip(plain[2:], reversed_[2:], strict=True):
        assert torch.allclose(-0.3 * a, b)
        assert a.abs().max() > 1e-3


def test_reversal_without_gradients() -> None:
    x = torch.ones(3)
    assert torch.equal(gradient_reversal(x, 1.0), x)
    assert not gradient_reversal(x, 1.0).requires_grad


def test_reversal_before_a_layer_that_works_in_place() -> None:
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    torch.nn.ReLU(inplace=True)(gradient_reversal(x, 0.5)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, -0.5]
    plain = torch.tensor([-1.0, 2.0])
    gradient_reversal(plain, 1.0).mul_(0)
    assert plain.tolist() == [-1, 2]


def test_reversal_refuses() -> None:
    ok, bounds = torch.ones(2), "coefficient must be finite and 0 or more, not"
    cases: list[tuple[Any, Any, str]] = [
        (ok.long(), 1.0, "x must be a torch tensor of floats, not torch.int64"),
        (np.ones(2), 1.0, "x must be a torch tensor of floats, not float64"),
        (None, 1.0, "x must be a torch tensor of floats"),
        *((ok, c, f"{bounds} {c}") for c in (-0.1, math.nan, math.inf)),
    ]
    all_refused((lambda x=x, c=c: gradient_reversal(x, c), match) for x, c, match in cases)


def test_adversary_makes_domains_alike() -> None:
    """Trained through the reversal, a shift is learned away; without it, it is not."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(64, 2, generator=generator)
    target = torch.randn(64, 2, generator=generator) + torch.tensor([3.0, 0.0])
    gaps = {}
    for coefficient in (1.0, 0.0):
        torch.manual_seed(0)
        shift = torch.zeros(2, requires_grad=True)
        judge = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD([{"params": [shift]}, {"params": judge.parameters()}], lr=0.1)
        domain = torch.cat([torch.zeros(64), torch.ones(64)])
        for _ in range(400):
            features = gradient_reversal(torch.cat([source, target - shift]), coefficient)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                judge(features)[:, 0], domain
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        gaps[coefficient] = (target - shift).mean(0)[0].item() - source.mean(0)[0].item()
    assert gaps[0.0] == pytest.approx(3, abs=0.5)
    assert abs(gaps[1.0]) < 1


# --- numbers -------------------------------------------------------------------------------------


@given(st.floats(0, 1))
def test_schedule_is_ganins(progress: float) -> None:
    expected = 2 / (1 + math.exp(-10 * progress)) - 1
    assert grl_coefficient(progress) == pytest.approx(expected, abs=1e-12)


def test_schedule_rises_from_zero() -> None:
    values = [grl_coefficient(p / 20) for p in range(21)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[10] == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    assert 0.999 < values[-1] < 1


@pytest.mark.parametrize(("error", "distance"), [(0, 2), (0.25, 1), (0.5, 0), (1, -2)])
def test_proxy_a_distance(error: float, distance: float) -> None:
    assert proxy_a_distance(error) == pytest.approx(distance, abs=1e-12)


def test_shares_are_from_0_to_1() -> None:
    calls: dict[str, Any] = {"progress": grl_coefficient, "error": proxy_a_distance}
    all_refused(
        (lambda call=call, v=v: call(v), f"{name} must be from 0 to 1, not {v}")
        for name, call in calls.items()
        for v in (-0.01, 1.1, 50, math.nan, math.inf)
    )
