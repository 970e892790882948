"""Tiny lessons that the tests of the command `course` make and run."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = "SEED: int = 0  # random seed\nEPOCHS: int = 3  # passes over the data\n"
RECORD = """
from IPython.display import display
claim = dict(kind="claim", sentence="a < b", holds=EPOCHS > 1, enforced=False, evidence="1, 2")
record = dict(
    kind="record", notebook="00", parameters=dict(SEED=SEED, EPOCHS=EPOCHS),
    metrics=dict(accuracy=EPOCHS / 10 + SEED / 100), headline=f"accuracy {EPOCHS / 10:.2f}",
    seconds=1.0, peak_memory_mb=100, versions={},
)
answer = dict(
    kind="conclusion", sentence="a grows", verdict="above", bound=0.0, mean=0.2, low=0.1, high=0.3
)
for data in (claim, answer, record):
    display({"text/plain": "..."}, raw=True, metadata={"course": data})
"""
# What `helpers.notebook.record` does when an enforced claim failed, without its imports.
CLAIM_ERROR = """
import os
class ClaimError(ValueError): pass
if EPOCHS <= 1 and os.environ["COURSE_REPORT_CLAIMS"] != "1":
    raise ClaimError("this claim does not hold: a < b.")
"""


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    code = [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    code += [new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), *code])
    notebook.metadata.kernelspec = kernel
    nbformat.write(notebook, path)


def attempts(folder: Path) -> str:
    """A cell that leaves a file in `folder` for each time it runs, and counts them in ATTEMPT."""
    return f"""
import os, time, uuid
from pathlib import Path
folder = Path({str(folder)!r})
(folder / f"{{SEED}}-{{uuid.uuid4()}}").write_text(str(os.getpid()))
ATTEMPT = len(list(folder.glob(f"{{SEED}}-*")))
"""
