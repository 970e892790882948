"""The written parts of the course: coverage, glossary, links, words. No kernel is started."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = [f"{number:02}" for number in range(15)]
ROWS = [f"S0-{row}" for row in range(1, 47)] + [f"S1-{row}" for row in range(1, 43)]
HIDDEN = {".venv", ".git", "runs", "node_modules", "build", ".pytest_cache", "cache"}
PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    """One markdown file, or the markdown cells of one notebook."""

    path: Path
    text: str

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def tokens(self) -> list[Token]:
        """All tokens, block and inline, in reading order."""
        blocks = PARSER.parse(self.text)
        return [token for block in blocks for token in (block, *(block.children or ()))]

    def headings(self) -> list[str]:
        """Text of the headings, markers included: ``"## Two ideas"``."""
        blocks = PARSER.parse(self.text)
        return [
            f"{block.markup} {following.content}"
            for block, following in pairwise(blocks)
            if block.type == "heading_open"
        ]

    def anchors(self) -> set[str]:
        """What a link may name behind ``#``: GitHub's form of a heading, and Jupyter's."""
        titles = [heading.lstrip("# ") for heading in self.headings()]
        github = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        jupyter = {title.replace(" ", "-") for title in titles}
        return github | jupyter

    def prose(self) -> str:
        """The text without code, addresses, HTML, and titles: *emphasized* words beside a year."""
        words = []
        for block in PARSER.parse(self.text):
            cites = re.search(r"\b(19|20)\d\d\b", block.content)
            depth = 0
            for token in block.children or ():
                depth += {"em_open": 1, "em_close": -1}.get(token.type, 0)
                if token.type == "text" and not (cites and depth):
                    words.append(token.content)
        return re.sub(r"https?://\S+", "", "\n".join(words))


def lessons() -> dict[str, Path]:
    """Notebooks on disk by number."""
    return {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def read_page(path: Path) -> Page:
    if path.suffix != ".ipynb":
        return Page(path, path.read_text(encoding="utf-8"))
    cells = nbformat.read(path, as_version=4).cells
    return Page(path, "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))


def find(pattern: str) -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob(pattern))
        if not HIDDEN & set(path.relative_to(ROOT).parts) and ".ipynb_checkpoints" not in path.parts
    ]


def table(text: str, first_cell: str) -> Iterator[list[str]]:
    """Cells of the table lines whose first cell matches the pattern."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(first_cell, cells[0]):
            yield cells


def coverage() -> list[list[str]]:
    return list(table((ROOT / "docs/coverage.md").read_text(encoding="utf-8"), r"S\d-\d+"))


def glossary() -> str:
    return (ROOT / "docs/glossary.md").read_text(encoding="utf-8")


def terms() -> list[list[str]]:
    section = glossary().split("\n## ")[1]
    return [cells for cells in table(section, r"[^-].*") if cells[0] != "English"]


PAGES = [read_page(path) for path in (*find("*.md"), *find("*.ipynb"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=str)

# --- coverage ------------------------------------------------------------------------------------


def test_coverage_has_every_row_and_no_other() -> None:
    listed = list(dict.fromkeys(cells[0] for cells in coverage()))
    assert listed == ROWS


@pytest.mark.parametrize("cells", coverage(), ids=lambda cells: f"{cells[0]}-{cells[2]}")
def test_coverage_line_is_complete(cells: list[str]) -> None:
    assert len(cells) == 5, "five columns: id, what the document says, notebook, section, lesson"
    assert all(cells)
    assert cells[2] in NUMBERS


def test_coverage_names_each_section_once_per_row() -> None:
    keys = [(cells[0], cells[2], cells[3]) for cells in coverage()]
    assert sorted(set(keys)) == sorted(keys)


@pytest.mark.parametrize("cells", coverage(), ids=lambda cells: f"{cells[0]}-{cells[2]}")
def test_coverage_section_exists(cells: list[str]) -> None:
    row, _, number, section, _ = cells
    if number in lessons():
        assert section != "planned", f"notebook {number} is written: name the section for {row}"
        assert f"## {section}" in read_page(lessons()[number]).headings()
    else:
        assert section == "planned", f"there is no notebook {number} yet, so {row} is planned"


def test_every_row_is_taught_in_a_notebook_that_exists() -> None:
    taught = {cells[0] for cells in coverage() if cells[2] in lessons()}
    assert [row for row in ROWS if row not in taught] == []


# --- glossary ------------------------------------------------------------------------------------


def test_glossary_terms_are_unique_and_sorted() -> None:
    names = [cells[0].lower() for cells in terms()]
    assert names == sorted(set(names))


def test_glossary_chinese_names_are_unique() -> None:
    names = [cells[1] for cells in terms()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("cells", terms(), ids=lambda cells: cells[0])
def test_glossary_line_is_complete(cells: list[str]) -> None:
    english, chinese, meaning, notebook = cells
    assert re.search(r"[\u4e00-\u9fff]", chinese), f"{english}: no Chinese name"
    assert meaning.endswith(".") and meaning[0].isupper(), f"{english}: one sentence, please"
    assert notebook in [*NUMBERS, "-"]


@pytest.mark.parametrize(
    "cells", [cells for cells in terms() if cells[3] in lessons()], ids=lambda cells: cells[0]
)
def test_glossary_term_is_named_in_its_notebook(cells: list[str]) -> None:
    english, chinese, _, notebook = cells
    text = read_page(lessons()[notebook]).text
    assert chinese in text, f"notebook {notebook} should give {english} its Chinese name once"


SUBJECTS = (
    "trainable", "requires_grad", "model.train()", "training=True", "moving_mean", "running_mean",
    "0.99", "0.1", "1e-3", "1e-5", "NHWC", "NCHW", "preprocess_input", "weights.transforms()",
    "Compile again", "Parameter groups", "callbacks", ".weights.h5", "state_dict", "from_logits",
    "reduction", "SparseCategoricalCrossentropy", "CrossEntropyLoss",
)  # fmt: skip


@pytest.mark.parametrize("subject", SUBJECTS)
def test_glossary_compares_keras_and_pytorch(subject: str) -> None:
    assert subject in glossary().split("\n## ")[2]


# --- links ---------------------------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page: Page) -> None:
    for token in page.tokens():
        if token.type not in ("link_open", "image"):
            continue
        target = str(token.attrs.get("href", token.attrs.get("src", "")))
        if re.match(r"https?://|mailto:", target):
            continue
        if token.type == "image" and target.startswith(("data:", "attachment:")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        assert path.exists(), f"{page} links to {target}, which does not exist"
        assert path.is_relative_to(ROOT), f"{page} links to {target}, outside the course"
        if anchor:
            assert anchor in read_page(path).anchors(), f"{page}: no heading for {target}"


@every_page
def test_pictures_in_text_have_alternative_text(page: Page) -> None:
    for token in page.tokens():
        assert token.type != "image" or token.content.strip(), f"{page}: a picture without words"
    assert "<img" not in page.text, f"{page}: write ![words](file) instead of <img>"


@every_page
def test_one_title_and_no_skipped_level(page: Page) -> None:
    levels = [len(heading.split(" ")[0]) for heading in page.headings()]
    assert levels and levels[0] == 1 and levels.count(1) == 1, f"{page}: one title, at the top"
    for above, below in pairwise(levels):
        assert below <= above + 1, f"{page}: a heading of level {below} below one of level {above}"


# --- words ---------------------------------------------------------------------------------------

FORBIDDEN = {
    "a path of some machine": r"(?<![\w.])/(home|root|tmp|work|Users)/|[A-Z]:\\Users",
    "a package index": r"pypi\.org|pythonhosted|--(extra-)?index-url|conda\.anaconda|artifactory",
}


@pytest.mark.parametrize("path", [*find("*.md"), *find("*.ipynb")], ids=lambda path: path.name)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_forbidden_words(path: Path, what: str) -> None:
    found = re.search(FORBIDDEN[what], path.read_text(encoding="utf-8"))
    assert not found, f"{path.name} names {what}: {found.group() if found else ''}"


SPELLING = {
    "fine-tuning": r"(?i)\bfine ?tun",
    "pre-training, pre-trained": r"(?i)\bpre ?train",
    "ImageNet": r"\b(?!ImageNet\b)(?i:image-?net)\b",
    "VGG16": r"\b(?!VGG16\b)(?i:vgg[- ]?16)\b",
    "ResNet18": r"\b(?!ResNet18\b)(?i:res-?net[- ]?18)\b",
    "PyTorch": r"\b(?!PyTorch\b)(?i:py-?torch)\b",
    "TensorFlow": r"\b(?!TensorFlow\b)(?i:tensor-?flow)\b",
    "Keras": r"\b(?!Keras\b)(?i:keras)\b",
    "JupyterLab": r"\b(?!JupyterLab\b)(?i:jupyter ?lab)\b",
    "BatchNorm or batch normalization": r"\b(?!BatchNorm\b)(?i:batch-?norm)\b",
    "papermill": r"\b(?!papermill\b)(?i:paper-?mill)\b",
    "nbval": r"\b(?!nbval\b)(?i:nb-?val)\b",
    "multi-task": r"(?i)\bmulti ?task",
    "zero-shot, few-shot": r"(?i)\b(zero|few) ?shot",
    "American spelling": r"(?i)\b(neighbour|labelled|normalis|generalis|regularis|optimis|initialis"
    r"|behaviour|licence[sd]?\b|centre\b|colour|grey\b)",
}


@every_page
@pytest.mark.parametrize("right", SPELLING)
def test_terms_are_spelled_in_one_way(page: Page, right: str) -> None:
    found = re.search(SPELLING[right], page.prose())
    assert not found, f"{page} writes {found.group() if found else ''!r}; the course: {right}"
