"""Task weights and combined gradients: hand-computed values, properties, bad input."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchjd.aggregation import PCGrad, UPGrad
from torchjd.linalg import QuadprogProjector
from torchjd.scalarization import UW

from helpers.balancing import (
    dwa_weights,
    gradient_cosine,
    gradnorm_step,
    pcgrad,
    uncertainty_weighting,
)
from helpers.base.errors import CourseError


def rows(*numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_uncertainty_weighting_by_hand() -> None:
    losses, s = torch.tensor([2.0, 8.0]), torch.tensor([0.0, np.log(4.0)])
    # 0.5 * 2 + 0, and 0.5 * 8 / 4 + 0.5 * ln 4
    assert uncertainty_weighting(losses, s).item() == pytest.approx(1 + 1 + np.log(2))


def test_uncertainty_weighting_is_best_where_the_variance_is_the_loss() -> None:
    losses = torch.tensor([0.3, 7.0])
    s = losses.log().requires_grad_()
    uncertainty_weighting(losses, s).backward()
    assert s.grad is not None and torch.allclose(s.grad, torch.zeros(2), atol=1e-6)
    s = torch.zeros(2, requires_grad=True)
    uncertainty_weighting(losses, s).backward()
    assert s.grad is not None and s.grad[0] > 0 > s.grad[1]


def test_uncertainty_weighting_agrees_with_torchjd() -> None:
    losses, s = torch.tensor([0.3, 7.0, 1.2]), torch.tensor([-0.5, 0.4, 1.1])
    library = UW(3)
    library.log_var.data = s.clone()
    assert library(losses).item() == pytest.approx(uncertainty_weighting(losses, s).item())


def test_dwa_by_hand() -> None:
    weights = dwa_weights([1.0, 3.0], [2.0, 3.0], temperature=2.0)
    a, b = np.exp(0.25), np.exp(0.5)
    assert weights.numpy() == pytest.approx(2 * np.array([a, b]) / (a + b))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.floats(0.01, 50)), min_size=1, max_size=6),
    st.floats(0.5, 50),
)
def test_dwa_adds_up_and_favors_the_slow(pairs: list[tuple[float, float]], t: float) -> None:
    last, earlier = zip(*pairs, strict=True)
    weights = dwa_weights(last, earlier, t)
    assert weights.sum().item() == pytest.approx(len(pairs))
    ratios = np.array(last) / np.array(earlier)
    assert weights[ratios.argmax()] == weights.max()


def test_dwa_with_a_high_temperature_is_equal_weights() -> None:
    assert dwa_weights([1, 9], [9, 1], 1e9).numpy() == pytest.approx([1, 1])


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


def test_pcgrad_on_a_conflict() -> None:
    assert pcgrad(rows([1, 0], [-1, 1]), order=[0, 1]).tolist() == [0.5, 1.5]
    assert pcgrad(rows([1, 0], [-1, 1])).tolist() == [0.5, 1.5]


def test_pcgrad_leaves_agreement_untouched() -> None:
    agreeing = rows([1, 0], [1, 2], [0, 3])
    for order in permutations(range(3)):
        assert pcgrad(agreeing, order=order).tolist() == [2, 5]


def test_pcgrad_projects_against_the_original_gradients() -> None:
    gradients = rows([1.0, 0.2], [-1.0, 0.1], [-0.5, -1.0])
    before = gradients.clone()
    for order in permutations(range(3)):
        expected = np.zeros(2)
        for i in range(3):
            g = gradients[i].numpy().copy()
            for j in order:
                if j != i and (overlap := g @ before[j].numpy()) < 0:
                    g = g - overlap / (before[j].numpy() ** 2).sum() * before[j].numpy()
            expected += g
        assert pcgrad(gradients, order=order).numpy() == pytest.approx(expected)
    assert torch.equal(gradients, before)


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_pcgrad_of_two_tasks_opposes_neither(seed: int) -> None:
    gradients = torch.randn(2, 5, generator=torch.Generator().manual_seed(seed))
    gradients = gradients.double()
    assert (gradients @ pcgrad(gradients)).min() > -1e-9


@pytest.mark.parametrize("longer", [1.0, 6000.0])
@settings(deadline=None)
@given(seed=st.integers(0, 2**31))
def test_upgrad_of_two_tasks_is_half_of_pcgrad(longer: float, seed: int) -> None:
    upgrad = UPGrad(projector=QuadprogProjector(norm_eps=1e-12, reg_eps=1e-12))
    gradients = torch.randn(2, 50, generator=torch.Generator().manual_seed(seed)).double()
    gradients[0] *= longer
    half = pcgrad(gradients) / 2
    assert (upgrad(gradients) - half).norm() <= 1e-3 * half.norm()


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_pcgrad_agrees_with_torchjd(seed: int) -> None:
    gradients = torch.randn(2, 5, generator=torch.Generator().manual_seed(seed)).double()
    assert torch.allclose(PCGrad()(gradients), pcgrad(gradients))  # two tasks: no order


def test_pcgrad_draws_its_order() -> None:
    gradients = rows([1.0, 0.2], [-1.0, 0.1], [-0.5, -1.0])
    torch.manual_seed(0)
    found = {tuple(pcgrad(gradients).tolist()) for _ in range(30)}
    assert len(found) > 1
    torch.manual_seed(0)
    assert tuple(pcgrad(gradients).tolist()) in found


def test_pcgrad_with_a_zero_gradient() -> None:
    assert pcgrad(rows([0, 0], [-1, 1])).tolist() == [-1, 1]


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_whole_numbers_in_any_container_will_do(make) -> None:  # type: ignore[no-untyped-def]
    assert pcgrad(make([[1, 0], [-1, 1]]), order=[0, 1]).tolist() == [0.5, 1.5]
    assert gradient_cosine(make([3, 0]), make([0, 4])) == 0
    assert uncertainty_weighting(make([2, 4]), make([0, 0])).item() == 3
    ones = make([1, 1])
    assert gradnorm_step(ones, ones, ones, ones).tolist() == [1, 1]


def test_gradient_cosine() -> None:
    a = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    assert gradient_cosine(a, 7 * a) == pytest.approx(1)
    assert gradient_cosine(a, -a) == pytest.approx(-1)
    assert gradient_cosine(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])) == pytest.approx(
        np.sqrt(0.5)
    )
    assert gradient_cosine(torch.zeros(2), torch.ones(2)) == 0


@pytest.mark.parametrize(
    ("call", "fragment"),
    [
        (lambda: uncertainty_weighting(torch.ones(2), torch.ones(3)), "vectors of one length"),
        (lambda: uncertainty_weighting(torch.ones(()), torch.ones(())), "vectors of one length"),
        (lambda: dwa_weights([1.0], [1.0, 2.0]), "vectors of one length"),
        (lambda: dwa_weights([1.0, 0.0], [1.0, 2.0]), "above 0"),
        (lambda: dwa_weights([1.0], [1.0], 0.0), "above 0"),
        (lambda: gradnorm_step(*[torch.ones(2)] * 3, torch.ones(3)), "vectors of one length"),
        (lambda: gradnorm_step(torch.zeros(2), *[torch.ones(2)] * 3), "above 0"),
        (lambda: gradnorm_step(*[torch.ones(2)] * 3, torch.zeros(2)), "above 0"),
        (lambda: gradnorm_step([1, 1], [1, np.nan], [1, 1], [1, 1]), "finite"),
        (lambda: gradnorm_step([1, np.inf], [1, 1], [1, 1], [1, 1]), "finite"),
        (lambda: gradnorm_step([1, 1], [1, -1], [1, 1], [1, 1]), "0 or more"),
        (lambda: gradnorm_step([1, 1], [1, 1], [-1, 1], [1, 1]), "0 or more"),
        (lambda: gradnorm_step([1, 1], [1, 1], [1, 1], [1, 1], alpha=-1), "alpha"),
        (lambda: gradnorm_step([1, 1], [1, 1], [1, 1], [1, 1], alpha=np.nan), "alpha"),
        (lambda: gradnorm_step([1, 1], [1, 1], [1, 1], [1, 1], alpha="1"), "alpha must be one"),
        (lambda: gradnorm_step([1, 1], [1, 1], [1, 1], [1, 1], rate=0), "rate"),
        (lambda: gradnorm_step([1, 1], [1, 1], [1, 1], [1, 1], rate=np.inf), "rate"),
        (lambda: pcgrad(torch.ones(3)), "tasks x parameters"),
        (lambda: pcgrad(torch.ones(2, 3), order=[0]), "each of the tasks 0 to 1 once"),
        (lambda: pcgrad(torch.ones(2, 3), order=[1, 2]), "each of the tasks 0 to 1 once"),
        (lambda: gradient_cosine(torch.ones(2), torch.ones(3)), "one shape"),
        (lambda: gradient_cosine([1.0, np.inf], [1.0, 1.0]), "not finite"),  # type: ignore[arg-type]
        (lambda: gradient_cosine([1.0, 1.0], [np.nan, 1.0]), "not finite"),  # type: ignore[arg-type]
        (lambda: gradient_cosine([1j], [1.0]), "real ones"),  # type: ignore[arg-type]
        (lambda: gradient_cosine("ab", "cd"), "numbers must come as"),  # type: ignore[arg-type]
        (lambda: gradient_cosine(None, [1.0]), "numbers must come as"),  # type: ignore[arg-type]
        (lambda: pcgrad([[1.0], [2.0, 3.0]]), "rows of one length"),  # type: ignore[arg-type]
        (lambda: pcgrad([torch.ones(1), torch.ones(2)]), "rows of one length"),  # type: ignore[arg-type]
        (lambda: pcgrad(torch.tensor([[1.0, np.nan]])), "not finite"),
        (lambda: pcgrad(torch.tensor([[1.0, -np.inf]])), "not finite"),
        (lambda: pcgrad(torch.ones(2, 0)), "tasks x parameters"),
        (lambda: pcgrad(torch.ones(2, 3), order=["0", "1"]), "each of the tasks"),  # type: ignore[list-item]
        (lambda: pcgrad(torch.ones(2, 3), order=[0.0, 1.0]), "each of the tasks"),  # type: ignore[list-item]
        (lambda: pcgrad(torch.ones(2, 3), order=5), "each of the tasks"),  # type: ignore[arg-type]
        (lambda: pcgrad(torch.ones(2, 3), order=[0, 0, 1]), "each of the tasks"),
        (lambda: uncertainty_weighting(torch.tensor([1.0, -1.0]), torch.zeros(2)), "0 or more"),
        (lambda: uncertainty_weighting(torch.tensor([1.0, np.nan]), torch.zeros(2)), "finite"),
        (lambda: uncertainty_weighting(torch.tensor([1.0, np.inf]), torch.zeros(2)), "finite"),
        (lambda: uncertainty_weighting(torch.ones(2), torch.tensor([0, -np.inf])), "finite"),
        (lambda: dwa_weights([1.0, np.inf], [1.0, 1.0]), "finite"),
        (lambda: dwa_weights([1.0, 1.0], [1.0, np.inf]), "finite"),
        (lambda: dwa_weights([1.0, 1.0], [1.0, np.nan]), "finite"),
        (lambda: dwa_weights([1.0], [1.0], np.inf), "finite"),
        (lambda: dwa_weights([1e300], [1e-300]), "no ratio too large"),
        (lambda: dwa_weights([1.0], [1.0], "2"), "temperature must be one number"),  # type: ignore[arg-type]
        (lambda: dwa_weights([1.0], [1.0], None), "temperature must be one number"),  # type: ignore[arg-type]
        (lambda: gradient_cosine(torch.ones(0), torch.ones(0)), "one shape"),
    ],
)
def test_bad_input_gets_one_sentence(call, fragment: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CourseError, match=fragment) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("container", [list, tuple])
def test_gradients_flow_through_a_list_of_tensors(container) -> None:  # type: ignore[no-untyped-def]
    x, s = torch.tensor(3.0, requires_grad=True), torch.zeros(2, requires_grad=True)
    uncertainty_weighting(container([x**2, 2 * x]), s).backward()
    assert x.grad is not None and x.grad.item() == 0.5 * 6 + 0.5 * 2
    assert s.grad is not None and s.grad.tolist() == [0.5 - 0.5 * 9, 0.5 - 0.5 * 6]
    rows_ = container([torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])])
    assert pcgrad(rows_, order=[0, 1]).tolist() == [0.5, 1.5]
    assert pcgrad([[torch.tensor(1.0), 0.0], [-1, 1]]).tolist() == [0.5, 1.5]  # type: ignore[arg-type]
    assert pcgrad(container(row.numpy() for row in rows_)).tolist() == [0.5, 1.5]


def test_arrays_with_unusual_memory() -> None:
    backwards = np.array([[1.0, -1.0], [0.0, 1.0]])[:, ::-1]
    backwards.flags.writeable = False
    assert pcgrad(backwards.T).tolist() == [0.5, 1.5]  # type: ignore[arg-type]
    assert gradient_cosine(np.arange(3.0)[::-1], np.arange(3.0)[::-1]) == pytest.approx(1)  # type: ignore[arg-type]


def test_dwa_weights_have_no_graph() -> None:
    losses = torch.tensor([1.0, 3.0], requires_grad=True)
    found = dwa_weights(losses, [torch.tensor(2.0, requires_grad=True), 3.0])  # type: ignore[arg-type]
    assert not found.requires_grad and found.dtype == torch.float64
    assert torch.equal(found, dwa_weights([1.0, 3.0], [2.0, 3.0]))


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


def test_pcgrad_of_tiny_and_huge_gradients() -> None:
    found = pcgrad(torch.tensor([[1.0, 0.0], [-1e-23, 1e-23]]), order=[0, 1])
    assert found.numpy() == pytest.approx([0.5, 0.5])
    found = pcgrad(torch.tensor([[1e38, 0.0], [-1e38, 1e38]]), order=[0, 1])
    assert found.numpy() / 1e38 == pytest.approx([0.5, 1.5])
    found = pcgrad(torch.tensor([[1e-44, 0.0], [-3e38, 3e38]]), order=[0, 1])
    assert found.numpy() / 3e38 == pytest.approx([0, 1])
    found = pcgrad(rows([1e-310, 0], [-1e308, 1e308]), order=[0, 1])
    assert found.numpy() / 1e308 == pytest.approx([0, 1])


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_pcgrad_of_half_precision(half: torch.dtype) -> None:
    gradients = torch.zeros(2, 1000, dtype=half)
    gradients[0, :500] = 300
    gradients[1], gradients[1, 500:] = -300, 300  # their product is beyond float16
    found = pcgrad(gradients, order=[0, 1])
    assert found.dtype == half
    assert found[0].item() == pytest.approx(150, rel=0.01)
    assert found[-1].item() == pytest.approx(450, rel=0.01)


def test_pcgrad_takes_an_order_that_can_be_read_once() -> None:
    gradients = rows([1.0, 0.2], [-1.0, 0.1], [-0.5, -1.0])
    expected = pcgrad(gradients, order=[2, 0, 1])
    for order in (
        iter([2, 0, 1]),
        (k for k in (2, 0, 1)),
        np.array([2, 0, 1]),
        torch.tensor([2, 0, 1]),
    ):
        assert torch.equal(pcgrad(gradients, order=order), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_pcgrad_keeps_the_bits_of_the_plain_formula(kind: torch.dtype) -> None:
    """Scaling by powers of 2 changes no digit; agreeing rows are added as they are."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        gradients = torch.randn(3, 40, generator=generator, dtype=kind) * torch.tensor(
            [[1.0], [9], [0.3]]
        )
        plain = torch.zeros_like(gradients[0])
        for i in range(3):
            part = gradients[i].clone()
            for j in (2, 0, 1):
                if j != i and (overlap := part @ gradients[j]) < 0:
                    part -= overlap / (gradients[j] @ gradients[j]) * gradients[j]
            plain += part
        assert torch.allclose(pcgrad(gradients, order=[2, 0, 1]), plain, rtol=1e-6, atol=0)
        agreeing = gradients.abs()
        assert torch.equal(pcgrad(agreeing), agreeing[0] + agreeing[1] + agreeing[2])
