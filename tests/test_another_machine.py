"""The check that repeats a lesson on "another machine": it perturbs, and it can fail."""

from pathlib import Path

import another_machine
import pytest
from lessons import write_notebook
from running import LESSONS
from support import refused

MADE = """
import helpers  # first: two frameworks in one process
import keras, torch, numpy as np
from helpers import keras_models, torch_models
from helpers.keras_models import vgg16_backbone

def networks():
    keras.utils.set_random_seed(1)
    torch.manual_seed(1)
    dense = keras.layers.Dense(40)
    dense.build((None, 30))
    made = {
        "torch_linear": torch.nn.Linear(30, 40).weight,
        "torch_convolution": torch.nn.Conv2d(3, 8, 3).weight,
        "torch_embedding": torch.nn.Embedding(20, 10).weight,
        "torch_attention": torch.nn.MultiheadAttention(8, 2).in_proj_weight,
        "torch_resnet": next(torch_models.resnet18_trunk().parameters()),
        "torch_imagenet": next(torch_models.efficientnet_lite0_trunk("imagenet").parameters()),
        "keras_dense": dense.kernel,
        "keras_random": vgg16_backbone(32, weights="random").get_weights()[2],
        "keras_imagenet": vgg16_backbone(32).get_weights()[2],
        "keras_orthogonal": keras.initializers.Orthogonal(seed=1)((20, 20)),
    }
    weights = {name: np.array(keras.ops.convert_to_numpy(w)) if "keras" in name
               else w.detach().numpy() for name, w in made.items()}
    return weights | {"stream": torch.rand(3).numpy(), "keras_stream": np.random.rand(3)}

before = networks()
""".strip()
START = "from helpers.notebook import claim, record, start\nstart('98', SEED=SEED)"
COMPARE = """
after, again = networks(), networks()
change = {name: np.std(after[name][old != 0] / old[old != 0] - 1) for name, old in before.items()}
claim("Two networks made from one seed are equal.",
      all(np.array_equal(after[n], again[n]) for n in after), "all arrays")
record("compared", **change)
""".strip()
CLAIMS = """
claim("Birds fly.", True, "3 of 3 did")
claim("Pigs fly.", False, "none of 3 did")
record("seen", animals=6)
""".strip()


def write(folder: Path, *cells: str) -> Path:
    write_notebook(folder / "98_made.ipynb", "SEED: int = 0  # of every random weight", *cells)
    return folder / "98_made.ipynb"


def test_every_initial_weight_changes_a_little(tmp_path: Path) -> None:
    """Networks are made before `start`, which is before the change, and twice after it."""
    found = another_machine.repeat(write(tmp_path, MADE, START, COMPARE))
    assert found.error is None, str(found)
    (record,) = found.course["record"]
    changes = record["metrics"]
    assert changes.pop("stream") == changes.pop("keras_stream") == 0
    assert len(changes) == 10
    for name, size in changes.items():
        assert 0.8e-6 < size < 1.3e-6, f"{name} changed by {size}"
    assert found.course["claim"][0]["holds"]


def test_a_claim_that_fails_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert another_machine.main([str(write(tmp_path, START, CLAIMS))]) == 1
    printed = capsys.readouterr().out
    assert "1/2" in printed
    assert "Pigs fly." in printed and "none of 3 did" in printed
    assert "Birds" not in printed


def test_an_error_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert another_machine.main([str(write(tmp_path, START, "1 / 0"))]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_an_unknown_lesson_is_refused() -> None:
    with refused("lessons are named by numbers"):
        another_machine.main(["77"])


def test_a_short_lesson_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Zero-shot learning trains from scratch and takes less than a minute."""
    lesson = next(path for path in LESSONS if path.name.startswith("09"))
    assert another_machine.main([lesson.name[:2]]) == 0, capsys.readouterr().out
