"""The anatomy of a lesson (CONTRIBUTING.md), counted in the stored notebooks."""

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

from running import LESSONS
from support import rule
from test_notebooks_static import all_calls, code_cells, course_outputs, headings, markdown, read

# Not rebuilt yet; a lesson leaves the list when it is.
OLD = {"06", "08", "09", "10", "11", "13", "15", "16", "18"}
REBUILT = [path for path in LESSONS if path.name[:2] not in OLD]
FIGURES = LESSONS[0].parent / "figures"
MAX_CELLS, MAX_WORDS, MAX_CODE, MAX_MEDIAN, MAX_CELL = 50, 2500, 300, 10, 20


def drawings(path: Path) -> list[tuple[str, str]]:
    """Alternative text and file of each drawing in the text."""
    return re.findall(r"!\[([^\]]*)\]\(figures/([\w.]+)\)", "\n".join(markdown(path)))


@rule(REBUILT)
def test_lesson_has_a_size_that_fits_a_slot(path: Path) -> Iterator[str]:
    lines = [
        len([line for line in cell.source.splitlines() if line.strip()])
        for cell in code_cells(path)
    ]
    words = sum(len(text.split()) for text in markdown(path))
    for what, found, most in (
        ("cells", len(read(path).cells), MAX_CELLS),
        ("words", words, MAX_WORDS),
        ("lines of code", sum(lines), MAX_CODE),
        ("lines in the median code cell", median(lines), MAX_MEDIAN),
        ("lines in the longest code cell", max(lines), MAX_CELL),
    ):
        if found > most:
            yield f"{found} {what}, more than {most}"


@rule(REBUILT)
def test_lesson_has_a_drawing_with_words(path: Path) -> Iterator[str]:
    found = drawings(path)
    if not found:
        yield "no drawing"
    for alt, name in found:
        if len(alt.split()) < 8:
            yield f"{name} needs words for those who cannot see it, not {alt!r}"
        if not (FIGURES / name).exists():
            yield f"{name} is not in notebooks/figures"


@rule(sorted(FIGURES.glob("*")))
def test_drawings_are_svg_used_and_self_contained(figure: Path) -> Iterator[str]:
    root = ElementTree.parse(figure).getroot()
    if not root.tag.endswith("svg") or "viewBox" not in root.attrib:
        yield "is no SVG with a viewBox"
    if root.find("{http://www.w3.org/2000/svg}title") is None:
        yield "has no title"
    if re.search(r"(href|src)=", figure.read_text(encoding="utf-8")):
        yield "refers to something outside"
    if not any(figure.name in dict(map(reversed, drawings(path))) for path in LESSONS):
        yield "is used by no lesson"


@rule(REBUILT)
def test_every_prediction_is_answered(path: Path) -> Iterator[str]:
    """Between one prediction and the next there is a conclusion."""
    open_question = ""
    for cell in read(path).cells:
        found = re.search(r"\*\*Predict before you run\.?\*\*(.*)", cell.source)
        if cell.cell_type == "markdown" and found:
            if open_question:
                yield f"not answered: {open_question}"
            open_question = found.group(1)[:80]
        if cell.cell_type == "code" and re.search(r"(?m)^conclude\(", cell.source):
            open_question = ""
    if open_question:
        yield f"not answered: {open_question}"


@rule(REBUILT)
def test_doubts_stand_in_one_box(path: Path) -> Iterator[str]:
    if headings(path).count("## What this lesson does not show") != 1:
        yield "no box of limits"


@rule(REBUILT)
def test_last_exercise_is_an_open_experiment(path: Path) -> Iterator[str]:
    if not re.search(r"\*\*Exercise \d\d\.\d\*\* \(open experiment\)", "\n".join(markdown(path))):
        yield "no open experiment"


@rule(REBUILT)
def test_two_to_five_claims(path: Path) -> Iterator[str]:
    if not 2 <= len(all_calls(path, "claim")) <= 5:
        yield f"{len(all_calls(path, 'claim'))} claims"
    if len(course_outputs(path, "conclusion")) < 2:
        yield "fewer than two answers"
