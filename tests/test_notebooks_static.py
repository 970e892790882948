"""Every notebook as it is stored: complete, executed once from top to bottom, readable.

No kernel is started here; that the notebooks run is for nbval and papermill to test. Each test is
one rule, and lists every notebook that breaks it.
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
import yaml
from imports import frameworks, imported
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from papermill import inspect_notebook
from running import LESSONS
from support import rule

NOTEBOOKS = LESSONS[0].parent
SOLUTIONS = sorted((NOTEBOOKS / "solutions").glob("*.ipynb"))
ALL = [*LESSONS, *SOLUTIONS]
LATER = [path for path in LESSONS if path.name[:2] != "00"]
PROFILES = sorted((NOTEBOOKS / "profiles").glob("*/*"))
TAGS = {"parameters", "nbval-check-output", "nbval-ignore-output", "raises-exception"}
MAX_LINES = 25


@lru_cache
def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@lru_cache
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


@lru_cache
def trees(path: Path) -> list[ast.Module]:
    """The code cells, parsed."""
    transform = TransformerManager().transform_cell
    return [ast.parse(transform(cell.source)) for cell in code_cells(path)]


def calls(tree: ast.Module, name: str) -> list[ast.Call]:
    """Calls of the plain function `name`."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def all_calls(path: Path, name: str) -> list[ast.Call]:
    return [call for tree in trees(path) for call in calls(tree, name)]


@lru_cache
def headings(path: Path) -> list[str]:
    """Heading lines outside of fenced code."""
    prose = re.sub(r"(?ms)^(```|~~~).*?^\1", "", "\n\n".join(markdown(path)))
    return re.findall(r"(?m)^#{1,6} .+$", prose)


@lru_cache
def parameters(path: Path) -> dict[str, dict[str, Any]]:
    """Name, type, default and comment of each parameter, as papermill reads them."""
    return {name: dict(found) for name, found in inspect_notebook(str(path)).items()}


def parameters_cells(path: Path) -> list[int]:
    tagged = [cell.metadata.get("tags", []) for cell in code_cells(path)]
    return [place for place, tags in enumerate(tagged) if "parameters" in tags]


# --- the files -----------------------------------------------------------------------------------


def test_lessons_are_numbered_from_00_each_once() -> None:
    names = [path.stem for path in LESSONS]
    assert names, "no lesson in notebooks/"
    numbers = [name[:2] for name in names]
    assert numbers[0] == "00"
    assert numbers == sorted(set(numbers)), "two lessons have one number"
    for name in names:
        assert re.fullmatch(r"\d\d(_[a-z0-9]+)+", name), name


def test_every_lesson_has_a_solution_of_the_same_name() -> None:
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS]


@rule(["smoke", "gpu"])
def test_every_lesson_has_a_profile(profile: str) -> Iterator[str]:
    found = [path.name for path in PROFILES if path.parent.name == profile]
    wanted = [f"{path.name[:2]}.yaml" for path in LESSONS]
    if found != wanted:
        yield f"has {found}, not {wanted}"


@rule(PROFILES)
def test_profile_sets_known_parameters_to_values_of_their_type(profile: Path) -> Iterator[str]:
    lesson = next(path for path in LESSONS if path.name[:2] == profile.stem)
    known = parameters(lesson)
    values = yaml.safe_load(profile.read_text(encoding="utf-8")) or {}
    for name, value in values.items():
        if name not in known:
            yield f"{lesson.name} has no parameter {name}"
            continue
        default = ast.literal_eval(known[name]["default"])
        if type(value) is not type(default):
            yield f"{name} is {known[name]['inferred_type_name']}"
        elif value == default:
            yield f"{name}: {value!r} is what the lesson has anyway"


# --- the format ----------------------------------------------------------------------------------


@rule(ALL)
def test_format_is_valid(path: Path) -> Iterator[str]:
    try:
        nbformat.validate(json.loads(path.read_text(encoding="utf-8")))
    except nbformat.ValidationError as error:
        yield str(error)


@rule(ALL)
def test_kernel_is_python3(path: Path) -> Iterator[str]:
    if read(path).metadata.kernelspec.name != "python3":
        yield read(path).metadata.kernelspec.name


@rule(ALL)
def test_tags_are_known(path: Path) -> Iterator[str]:
    found = {tag for cell in read(path).cells for tag in cell.metadata.get("tags", [])}
    yield from (f"{tag!r} is unknown, and does nothing" for tag in sorted(found - TAGS))


@rule(ALL)
def test_no_metadata_of_tools(path: Path) -> Iterator[str]:
    notebook = read(path)
    yield from sorted({"papermill", "widgets"} & set(notebook.metadata))
    for cell in notebook.cells:
        for name in {"papermill", "execution"} & set(cell.metadata):
            yield f"{name} in {cell.source[:60]!r}"


@rule(ALL)
def test_code_cells_are_short(path: Path) -> Iterator[str]:
    for cell in code_cells(path):
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES:
            yield f"{lines} lines: {cell.source[:60]!r}"


@rule(ALL)
def test_headings_have_one_title_and_skip_no_level(path: Path) -> Iterator[str]:
    levels = [len(heading.split(" ")[0]) for heading in headings(path)]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield "one title, at the top"
    for (above, below), heading in zip(pairwise(levels), headings(path)[1:], strict=True):
        if below > above + 1:
            yield f"level {below} below level {above}: {heading}"


@rule(ALL)
def test_imports_one_framework_only(path: Path) -> Iterator[str]:
    """TensorFlow and torch in one process can abort it (two copies of LLVM)."""
    modules = {name for tree in trees(path) for name in imported(tree)}
    used = {module: found for module in modules if (found := frameworks(module))}
    if len(set().union(*used.values())) > 1:
        yield f"imports both frameworks: {used}"


# --- the stored outputs --------------------------------------------------------------------------


@rule(ALL)
def test_stored_executed_in_one_clean_run(path: Path) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(path)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"cells were executed as {counts}"
    for output in outputs(path):
        if output.output_type == "error":
            yield f"{output.ename} is stored"


NOISE = {
    "a machine's path": r"(?<![\w.])/(home|root|tmp|work|usr|opt|Users)/|[A-Z]:\\|site-packages",
    "the log of a library": r"(?m)\b(absl|oneDNN|cuInit|cudart|cuda_platform|port\.cc|XLA)\b"
    r"|^[IWEF]\d{4} |TF_ENABLE|IPKernelApp",
    "an object's address": r"\bat 0x[0-9a-f]{6,}",
    "terminal codes": r"\x1b\[|\x08",
}


@rule(ALL)
def test_outputs_without_noise(path: Path) -> Iterator[str]:
    for text in (text for output in outputs(path) for text in texts(output)):
        for what, pattern in NOISE.items():
            if found := re.search(pattern, text):
                yield f"an output shows {what}: {text[max(0, found.start() - 40) :][:120]!r}"


@rule(ALL)
def test_outputs_without_warnings(path: Path) -> Iterator[str]:
    for output in outputs(path):
        if output.get("name") == "stderr" and re.search(
            r"(?i)warning|error|deprecat|traceback", output.text
        ):
            yield output.text


@rule(ALL)
def test_pictures_have_alternative_text(path: Path) -> Iterator[str]:
    for output in outputs(path):
        for kind in (kind for kind in output.get("data", {}) if kind.startswith("image/")):
            notes = output.metadata
            alt = notes.get(kind, {}).get("alt") or notes.get("alt") or ""
            if len(alt.split()) < 4:
                yield f"a picture needs words for those who cannot see it, not {alt!r}"


# --- the parameters ------------------------------------------------------------------------------


@rule(LESSONS)
def test_one_parameters_cell_before_start(path: Path) -> Iterator[str]:
    places = parameters_cells(path)
    started = [place for place, tree in enumerate(trees(path)) if calls(tree, "start")]
    if len(places) != 1:
        yield f"{len(places)} cells are tagged parameters, not one"
    elif started != [places[0] + 1]:
        yield "start(...) is called once, in the code cell after the parameters"


@rule(LESSONS)
def test_parameters_are_documented(path: Path) -> Iterator[str]:
    found = parameters(path)
    if "SEED" not in found:
        yield "has no SEED"
    for name, about in found.items():
        if not re.fullmatch(r"[A-Z][A-Z_]*", name):
            yield f"{name} is not in capitals"
        if about["inferred_type_name"] == "None":
            yield f"{name} has no type that papermill can read"
        if len(about["help"].split()) < 2:
            yield f"{name} has no comment"


@rule(LESSONS)
def test_papermill_sees_every_parameter(path: Path) -> Iterator[str]:
    source = code_cells(path)[parameters_cells(path)[0]].source
    if "| None" in source:
        yield "papermill does not see int | None"
    targets = [
        ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node)
        for node in ast.parse(source).body
    ]
    if targets != list(parameters(path)):
        yield f"annotated assignments only, one per line, not {targets}"


@rule(LESSONS)
def test_start_is_given_every_parameter(path: Path) -> Iterator[str]:
    (call,) = all_calls(path, "start")
    if not (isinstance(call.args[0], ast.Constant) and call.args[0].value == path.name[:2]):
        yield f"start({ast.unparse(call.args[0])}, ...)"
    given = {word.arg for word in call.keywords} - {"framework"}
    if given != set(parameters(path)):
        yield f"start is given {given}, not every parameter"


# --- the lesson ----------------------------------------------------------------------------------


@rule(LESSONS)
def test_records_its_result(path: Path) -> Iterator[str]:
    if len(all_calls(path, "record")) != 1 or not calls(trees(path)[-1], "record"):
        yield "record(...) is called once, in the last cell"
    stored = course_outputs(path, "record")
    if len(stored) != 1 or stored[0]["notebook"] != path.name[:2]:
        yield f"stored records: {[data['notebook'] for data in stored]}"
    elif not (stored[0]["headline"] and stored[0]["metrics"]):
        yield "the stored record has no headline or no metrics"


@rule(LATER)
def test_claims_at_least_twice(path: Path) -> Iterator[str]:
    if len(all_calls(path, "claim")) < 2:
        yield "fewer than two claims"


@rule(LESSONS)
def test_stored_claims_hold_and_are_enforced(path: Path) -> Iterator[str]:
    stored = course_outputs(path, "claim")
    if len(stored) < len(all_calls(path, "claim")):
        yield f"{len(stored)} claims are stored, but {len(all_calls(path, 'claim'))} made"
    for claim in stored:
        if not (claim["holds"] and claim["enforced"] and claim["evidence"]):
            yield f"does not hold, is not enforced, or has no evidence: {claim['sentence']}"


def exercise_ids(path: Path) -> list[str]:
    """First argument of every `check(...)`, in order."""
    first = [call.args[0] for call in all_calls(path, "check")]
    return [str(argument.value) for argument in first if isinstance(argument, ast.Constant)]


@rule(LESSONS)
def test_has_three_exercises_or_more(path: Path) -> Iterator[str]:
    ids = exercise_ids(path)
    if len(ids) < 3 or ids != [f"{path.name[:2]}.{number}" for number in range(1, len(ids) + 1)]:
        yield f"exercises {ids}"


@rule(LESSONS)
def test_stored_exercises_are_unsolved(path: Path) -> Iterator[str]:
    passed = {stored["id"]: stored["passed"] for stored in course_outputs(path, "exercise")}
    if passed != dict.fromkeys(exercise_ids(path), False):
        yield f"stored: {passed}"


@rule(LESSONS)
def test_solutions_solve_every_exercise(path: Path) -> Iterator[str]:
    solution = path.parent / "solutions" / path.name
    stored = course_outputs(solution, "exercise")
    for ids in (sorted(set(exercise_ids(solution))), sorted({data["id"] for data in stored})):
        if ids != exercise_ids(path):
            yield f"the lesson has {exercise_ids(path)}, its solution {ids}"
    yield from (f"{data['id']} is not solved: {data['hint']}" for data in stored if data["hint"])
    yield from (f"{data['id']} is not solved" for data in stored if not data["passed"])


@rule(LESSONS)
def test_every_exercise_is_stated(path: Path) -> Iterator[str]:
    text = "\n".join(markdown(path))
    for exercise in exercise_ids(path):
        if not re.search(rf"\b{re.escape(exercise)}\b", text):
            yield f"the text never names {exercise}"


@rule(LATER)
def test_sections_are_there_once(path: Path) -> Iterator[str]:
    counts = Counter(headings(path))
    for section in ("## Find the bug", "## Exercises", "## Summary"):
        if counts[section] != 1:
            yield f"{section!r} is there {counts[section]} times"


@rule(LESSONS)
def test_first_cell_says_what_to_expect(path: Path) -> Iterator[str]:
    for words in ("You will learn to", "Before you start", "Time", "minutes"):
        if words not in markdown(path)[0]:
            yield f"the first cell does not say {words!r}"


@rule(LATER)
def test_text_has_what_every_lesson_has(path: Path) -> Iterator[str]:
    for words in ("Predict before you", "Further reading"):
        if words not in "\n".join(markdown(path)):
            yield f"the text does not say {words!r}"


CHINESE = {
    "00": "神经网络 训练 标签 迁移学习 多任务学习 预训练 反向传播",
    "01": "数据泄漏 基线 置信区间 配对差值 抽样",
    "02": "领域 任务 源域 目标域",
    "03": "部分迁移 特征提取 冻结",
    "04": "全量迁移 微调 目标函数",
    "05": "过拟合 正则化 数据增强 随机失活 早停 权重衰减 参数高效微调",
    "06": "灾难性遗忘",
    "08": "领域自适应",
    "09": "零迁移 零样本学习 小样本学习 跨模态迁移学习 多模态学习",
    "10": "负迁移 自适应迁移学习",
    "11": "独立并行学习 联合学习 共享表示",
    "13": "类别不均衡",
    "15": "数据不平衡",
    "16": "自适应多任务学习",
    "18": "跨域多任务学习",
}


@rule(LESSONS)
def test_key_terms_have_their_chinese_names(path: Path) -> Iterator[str]:
    text = "\n".join(markdown(path))
    yield from (name for name in CHINESE[path.name[:2]].split() if name not in text)
