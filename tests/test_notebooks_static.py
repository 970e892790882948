"""Every notebook as it is stored: complete, executed once from top to bottom, readable.

No kernel is started here; that the notebooks run is for nbval and papermill to test.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from papermill import inspect_notebook

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))
PROFILES = sorted((NOTEBOOKS / "profiles").glob("*/*"))
TAGS = {"parameters", "nbval-check-output", "nbval-ignore-output", "raises-exception"}
MAX_LINES = 25

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
each_later_lesson = pytest.mark.parametrize(
    "path", [path for path in LESSONS if path.name[:2] != "00"], ids=lambda path: path.stem
)
each_notebook = pytest.mark.parametrize(
    "path", [*LESSONS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}"
)


@lru_cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown(path: Path) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def outputs(path: Path) -> list[NotebookNode]:
    return [output for cell in code_cells(path) for output in cell.outputs]


def course_outputs(path: Path, kind: str) -> list[dict[str, Any]]:
    """What `claim`, `check` or `record` left in the stored outputs."""
    found = [output.get("metadata", {}).get("course", {}) for output in outputs(path)]
    return [data for data in found if data.get("kind") == kind]


def texts(output: NotebookNode) -> Iterator[str]:
    """Everything in an output that a reader would see as text."""
    if output.output_type == "stream":
        yield output.text
    elif output.output_type == "error":
        yield "\n".join([output.ename, output.evalue, *output.traceback])
    else:
        for kind, data in output.data.items():
            if not kind.startswith("image/"):
                yield data if isinstance(data, str) else json.dumps(data)


def tree(cell: NotebookNode) -> ast.Module:
    return ast.parse(TransformerManager().transform_cell(cell.source))


def calls(cell: NotebookNode, name: str) -> list[ast.Call]:
    """Calls of the plain function `name` in a cell."""
    return [
        node
        for node in ast.walk(tree(cell))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def all_calls(path: Path, name: str) -> list[ast.Call]:
    return [call for cell in code_cells(path) for call in calls(cell, name)]


def headings(path: Path) -> list[str]:
    """Heading lines outside of fenced code."""
    prose = re.sub(r"(?ms)^(```|~~~).*?^\1", "", "\n\n".join(markdown(path)))
    return re.findall(r"(?m)^#{1,6} .+$", prose)


def parameters(path: Path) -> dict[str, dict[str, Any]]:
    """Name, type, default and comment of each parameter, as papermill reads them."""
    return {name: dict(found) for name, found in inspect_notebook(str(path)).items()}


def parameters_cells(path: Path) -> list[int]:
    tagged = [cell.metadata.get("tags", []) for cell in code_cells(path)]
    return [place for place, tags in enumerate(tagged) if "parameters" in tags]


# --- the files -----------------------------------------------------------------------------------


def test_lessons_are_numbered_without_gaps() -> None:
    names = [path.stem for path in LESSONS]
    assert names, "no lesson in notebooks/"
    for number, name in enumerate(names):
        assert re.fullmatch(rf"{number:02}(_[a-z0-9]+)+", name), f"expected {number:02}: {name}"


def test_every_lesson_has_a_solution_of_the_same_name() -> None:
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS]


@pytest.mark.parametrize("profile", ["smoke", "gpu"])
def test_every_lesson_has_a_profile(profile: str) -> None:
    found = sorted(path.name for path in PROFILES if path.parent.name == profile)
    assert found == [f"{path.name[:2]}.yaml" for path in LESSONS]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_profile_sets_known_parameters_to_values_of_their_type(profile: Path) -> None:
    lesson = next(path for path in LESSONS if path.name[:2] == profile.stem)
    known = parameters(lesson)
    values = yaml.safe_load(profile.read_text(encoding="utf-8")) or {}
    for name, value in values.items():
        assert name in known, f"{lesson.name} has no parameter {name}"
        default = ast.literal_eval(known[name]["default"])
        assert type(value) is type(default), f"{name} is {known[name]['inferred_type_name']}"
        assert value != default, f"{name}: {value!r} is what {lesson.name} has anyway"


# --- the format ----------------------------------------------------------------------------------


@each_notebook
def test_format_is_valid(path: Path) -> None:
    nbformat.validate(json.loads(path.read_text(encoding="utf-8")))


@each_notebook
def test_kernel_is_python3(path: Path) -> None:
    assert read(path).metadata.kernelspec.name == "python3"


@each_notebook
def test_tags_are_known(path: Path) -> None:
    found = {tag for cell in read(path).cells for tag in cell.metadata.get("tags", [])}
    assert found <= TAGS, f"unknown tags {sorted(found - TAGS)}: a mistyped tag does nothing"


@each_notebook
def test_no_metadata_of_tools(path: Path) -> None:
    notebook = read(path)
    assert not {"papermill", "widgets"} & set(notebook.metadata)
    for cell in notebook.cells:
        assert not {"papermill", "execution"} & set(cell.metadata), cell.source[:60]


@each_notebook
def test_code_cells_are_short(path: Path) -> None:
    for cell in code_cells(path):
        lines = len(cell.source.splitlines())
        assert lines <= MAX_LINES, f"{lines} lines: {cell.source[:60]!r}"


@each_notebook
def test_headings_have_one_title_and_skip_no_level(path: Path) -> None:
    levels = [len(heading.split(" ")[0]) for heading in headings(path)]
    assert levels[0] == 1 and levels.count(1) == 1
    for above, below in pairwise(levels):
        assert below <= above + 1, f"level {below} below level {above}"


FRAMEWORKS = {
    "keras": "keras", "tensorflow": "keras", "helpers.keras_models": "keras",
    "torch": "torch", "torchvision": "torch", "helpers.torch_models": "torch",
    "helpers.adaptation": "torch",
    "torchmetrics": "torch", "torchjd": "torch", "accelerate": "torch",
    "sentence_transformers": "torch",
}  # fmt: skip


@each_notebook
def test_imports_one_framework_only(path: Path) -> None:
    """TensorFlow and torch in one process can abort it (two copies of LLVM)."""
    modules = set()
    for node in (node for cell in code_cells(path) for node in ast.walk(tree(cell))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    used = {
        framework
        for module in modules
        for name, framework in FRAMEWORKS.items()
        if f"{module}.".startswith(f"{name}.")
    }
    assert len(used) <= 1, f"imports {sorted(used)}"


# --- the stored outputs --------------------------------------------------------------------------


@each_notebook
def test_stored_executed_in_one_clean_run(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    errors = [output.ename for output in outputs(path) if output.output_type == "error"]
    assert not errors


NOISE = {
    "a machine's path": r"(?<![\w.])/(home|root|tmp|work|usr|opt|Users)/|[A-Z]:\\|site-packages",
    "the log of a library": r"(?m)\b(absl|oneDNN|cuInit|cudart|cuda_platform|port\.cc|XLA)\b"
    r"|^[IWEF]\d{4} |TF_ENABLE|IPKernelApp",
    "an object's address": r"\bat 0x[0-9a-f]{6,}",
    "terminal codes": r"\x1b\[|\x08",
}


@each_notebook
@pytest.mark.parametrize("what", NOISE)
def test_outputs_without_noise(path: Path, what: str) -> None:
    for output in outputs(path):
        for text in texts(output):
            found = re.search(NOISE[what], text)
            assert not found, f"an output shows {what}: {text[max(0, found.start() - 40) :][:120]}"


@each_notebook
def test_outputs_without_warnings(path: Path) -> None:
    for output in outputs(path):
        if output.get("name") == "stderr":
            assert not re.search(r"(?i)warning|error|deprecat|traceback", output.text), output.text


@each_notebook
def test_pictures_have_alternative_text(path: Path) -> None:
    for output in outputs(path):
        for kind in (kind for kind in output.get("data", {}) if kind.startswith("image/")):
            notes = output.metadata
            alt = notes.get(kind, {}).get("alt") or notes.get("alt") or ""
            assert len(alt.split()) >= 4, f"a picture needs words for those who cannot see it {alt}"


# --- the parameters ------------------------------------------------------------------------------


@each_lesson
def test_one_parameters_cell_before_start(path: Path) -> None:
    places = parameters_cells(path)
    assert len(places) == 1, "exactly one cell is tagged parameters"
    started = [place for place, cell in enumerate(code_cells(path)) if calls(cell, "start")]
    assert started == [places[0] + 1], "start(...) is called once, in the next code cell"


@each_lesson
def test_parameters_are_documented(path: Path) -> None:
    found = parameters(path)
    assert "SEED" in found
    for name, about in found.items():
        assert re.fullmatch(r"[A-Z][A-Z_]*", name)
        assert about["inferred_type_name"] != "None", f"{name} has no type papermill can read"
        assert len(about["help"].split()) >= 2, f"{name} has no comment"


@each_lesson
def test_papermill_sees_every_parameter(path: Path) -> None:
    source = code_cells(path)[parameters_cells(path)[0]].source
    assert "| None" not in source, "papermill does not see int | None"
    targets = [
        ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node)
        for node in ast.parse(source).body
    ]
    assert targets == list(parameters(path)), "annotated assignments only, one per line"


@each_lesson
def test_start_is_given_every_parameter(path: Path) -> None:
    (call,) = all_calls(path, "start")
    assert isinstance(call.args[0], ast.Constant) and call.args[0].value == path.name[:2]
    given = {word.arg for word in call.keywords} - {"framework"}
    assert given == set(parameters(path))


# --- the lesson ----------------------------------------------------------------------------------


@each_lesson
def test_records_its_result(path: Path) -> None:
    assert len(all_calls(path, "record")) == 1
    assert calls(code_cells(path)[-1], "record"), "record(...) is the last cell"
    (stored,) = course_outputs(path, "record")
    assert stored["notebook"] == path.name[:2]
    assert stored["headline"] and stored["metrics"]


@each_later_lesson
def test_claims_at_least_twice(path: Path) -> None:
    assert len(all_calls(path, "claim")) >= 2


@each_lesson
def test_stored_claims_hold_and_are_enforced(path: Path) -> None:
    stored = course_outputs(path, "claim")
    assert len(stored) >= len(all_calls(path, "claim"))
    for claim in stored:
        assert claim["holds"] and claim["enforced"] and claim["evidence"], claim["sentence"]


def exercise_ids(path: Path) -> list[str]:
    """First argument of every `check(...)`, in order."""
    first = [call.args[0] for call in all_calls(path, "check")]
    return [str(argument.value) for argument in first if isinstance(argument, ast.Constant)]


@each_lesson
def test_has_three_exercises_or_more(path: Path) -> None:
    ids = exercise_ids(path)
    assert len(ids) >= 3
    assert ids == [f"{path.name[:2]}.{number}" for number in range(1, len(ids) + 1)]


@each_lesson
def test_stored_exercises_are_unsolved(path: Path) -> None:
    passed = {stored["id"]: stored["passed"] for stored in course_outputs(path, "exercise")}
    assert passed == dict.fromkeys(exercise_ids(path), False)


@each_lesson
def test_solutions_solve_every_exercise(path: Path) -> None:
    solution = path.parent / "solutions" / path.name
    assert sorted(set(exercise_ids(solution))) == exercise_ids(path)
    stored = course_outputs(solution, "exercise")
    assert {data["id"] for data in stored} == set(exercise_ids(path))
    assert all(data["passed"] for data in stored), [d["hint"] for d in stored if d["hint"]]


@each_lesson
def test_every_exercise_is_stated(path: Path) -> None:
    text = "\n".join(markdown(path))
    for exercise in exercise_ids(path):
        assert re.search(rf"\b{re.escape(exercise)}\b", text), f"the text never names {exercise}"


@each_later_lesson
@pytest.mark.parametrize("section", ["## Find the bug", "## Exercises", "## Summary"])
def test_section_is_there_once(path: Path, section: str) -> None:
    assert Counter(headings(path))[section] == 1


@each_lesson
@pytest.mark.parametrize("words", ["You will learn to", "Before you start", "Time", "minutes"])
def test_first_cell_says_what_to_expect(path: Path, words: str) -> None:
    assert words in markdown(path)[0]


@each_later_lesson
@pytest.mark.parametrize("words", ["Predict before you", "Further reading"])
def test_text_has_what_every_lesson_has(path: Path, words: str) -> None:
    assert words in "\n".join(markdown(path))


CHINESE = {
    "00": "迁移学习 多任务学习",
    "01": "领域 任务 源域 目标域",
    "02": "部分迁移 特征提取 冻结",
    "03": "全量迁移 微调 过拟合",
    "04": "灾难性遗忘",
    "05": "领域自适应",
    "06": "零迁移 零样本学习 小样本学习 跨模态迁移学习 多模态学习",
    "07": "负迁移 自适应迁移学习",
    "08": "独立并行学习 联合学习 共享表示",
    "09": "类别不均衡",
    "10": "数据不平衡",
    "11": "自适应多任务学习",
    "12": "跨域多任务学习",
    "13": "",
    "14": "",
}


@each_lesson
def test_key_terms_have_their_chinese_names(path: Path) -> None:
    text = "\n".join(markdown(path))
    for name in CHINESE[path.name[:2]].split():
        assert name in text
