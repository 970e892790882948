"""The check that repeats a lesson on "another machine": it perturbs, and it can fail."""

from pathlib import Path

import another_machine
import nbformat
import pytest
from running import LESSONS

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
        "torch_resnet": list(torch_models.resnet18_trunk().parameters())[0],
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
change = {name: np.std(after[name] / before[name] - 1) for name in before}
claim("Two networks made from one seed are equal.",
      all(np.array_equal(after[n], again[n]) for n in after), "all arrays")
claim("Pigs fly.", False, "none of 3 did")
record("compared", **change)
""".strip()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A notebook that makes networks before and after `start`; its second claim fails."""
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("SEED: int = 0  # of every random weight", metadata={"tags": ["parameters"]}),
            *map(cell, (MADE, START, COMPARE)),
        ],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    nbformat.write(notebook, tmp_path / "98_made.ipynb")
    return tmp_path / "98_made.ipynb"


def test_every_initial_weight_changes_a_little(made: Path) -> None:
    found = another_machine.repeat(made)
    assert found.error is None, str(found)
    (record,) = found.course["record"]
    changes = record["metrics"]
    assert changes.pop("stream") == changes.pop("keras_stream") == 0
    assert len(changes) == 9
    for name, size in changes.items():
        assert 0.8e-6 < size < 1.6e-6, f"{name} changed by {size}"
    assert found.course["claim"][0]["holds"]


def test_a_claim_that_fails_is_reported(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert another_machine.main([str(made)]) == 1
    printed = capsys.readouterr().out
    assert "1/2" in printed
    assert "Pigs fly." in printed and "none of 3 did" in printed


def test_an_error_is_reported(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = nbformat.read(made, as_version=4)
    notebook.cells[1:] = [nbformat.v4.new_code_cell(START), nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(notebook, made)
    assert another_machine.main([str(made)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_a_short_lesson_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Zero-shot learning trains from scratch and takes less than a minute."""
    lesson = next(path for path in LESSONS if path.name.startswith("06"))
    assert another_machine.main([lesson.name[:2]]) == 0, capsys.readouterr().out
