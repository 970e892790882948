"""The written parts of the course: coverage, glossary, links, words. No kernel is started.

Each test is one rule, and lists every page or line that breaks it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from markdown_it.token import Token
from nbformat import NotebookNode
from running import LESSONS
from support import rule

from helpers.base.paths import ROOT

NUMBERS = [f"{number:02}" for number in range(22)]
ROWS = [f"S0-{row}" for row in range(1, 47)] + [f"S1-{row}" for row in range(1, 43)]
HIDDEN = {".venv", ".git", "runs", "node_modules", "build", ".pytest_cache", "cache"}
PARSER = MarkdownIt("commonmark").enable("table")
LESSON = {path.name[:2]: path for path in LESSONS}


@dataclass(frozen=True)
class Page:
    """One markdown file, or the markdown cells of one notebook."""

    path: Path
    text: str

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def blocks(self) -> list[Token]:
        return PARSER.parse(self.text)

    @property
    def tokens(self) -> list[Token]:
        """All tokens, block and inline, in reading order."""
        return [token for block in self.blocks for token in (block, *(block.children or ()))]

    @cached_property
    def headings(self) -> list[str]:
        """Text of the headings, markers included: ``"## Two ideas"``."""
        return [
            f"{block.markup} {following.content}"
            for block, following in pairwise(self.blocks)
            if block.type == "heading_open"
        ]

    @cached_property
    def anchors(self) -> set[str]:
        """What a link may name behind ``#``: GitHub's form of a heading, and Jupyter's."""
        titles = [heading.lstrip("# ") for heading in self.headings]
        github = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        jupyter = {title.replace(" ", "-") for title in titles}
        return github | jupyter

    @cached_property
    def prose(self) -> str:
        """The text without code, addresses, HTML, and titles: *emphasized* words beside a year."""
        words = []
        for block in self.blocks:
            cites = re.search(r"\b(19|20)\d\d\b", block.content)
            depth = 0
            for token in block.children or ():
                depth += {"em_open": 1, "em_close": -1}.get(token.type, 0)
                if token.type == "text" and not (cites and depth):
                    words.append(token.content)
        return re.sub(r"https?://\S+", "", "\n".join(words))


@lru_cache
def cells(path: Path) -> list[NotebookNode]:
    found: list[NotebookNode] = nbformat.read(path, as_version=4).cells
    return found


@lru_cache
def read_page(path: Path) -> Page:
    if path.suffix != ".ipynb":
        return Page(path, path.read_text(encoding="utf-8"))
    text = "\n\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    return Page(path, text)


def find(pattern: str) -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob(pattern))
        if not HIDDEN & set(path.relative_to(ROOT).parts) and ".ipynb_checkpoints" not in path.parts
    ]


def table(text: str, first_cell: str) -> Iterator[list[str]]:
    """Cells of the table lines whose first cell matches the pattern."""
    for line in text.splitlines():
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if row and re.fullmatch(first_cell, row[0]):
            yield row


COVERAGE = list(table(read_page(ROOT / "docs/coverage.md").text, r"S\d-\d+"))
GLOSSARY = read_page(ROOT / "docs/glossary.md").text.split("\n## ")
TERMS = [row for row in table(GLOSSARY[1], r"[^-].*") if row[0] != "English"]
FILES = [*find("*.md"), *find("*.ipynb")]
PAGES = [read_page(path) for path in FILES]

# --- coverage ------------------------------------------------------------------------------------


def test_coverage_has_every_row_and_no_other() -> None:
    listed = list(dict.fromkeys(line[0] for line in COVERAGE))
    assert listed == ROWS


@rule(COVERAGE)
def test_coverage_lines_are_complete(line: list[str]) -> Iterator[str]:
    if len(line) != 5:
        yield "five columns: id, what the document says, notebook, section, what is taught"
    if not all(line) or line[2] not in NUMBERS:
        yield "a column is empty, or the notebook is no number"


def test_coverage_names_each_section_once_per_row() -> None:
    keys = [(line[0], line[2], line[3]) for line in COVERAGE]
    assert sorted(set(keys)) == sorted(keys)


@rule(COVERAGE)
def test_coverage_sections_exist(line: list[str]) -> Iterator[str]:
    _, _, number, section, _ = line
    if number not in LESSON:
        if section != "planned":
            yield f"there is no notebook {number} yet: the row is planned"
    elif f"## {section}" not in read_page(LESSON[number]).headings:
        yield f"notebook {number} has no section {section!r}"


@rule(COVERAGE)
def test_coverage_promises_no_picture_or_table_that_is_not_there(line: list[str]) -> Iterator[str]:
    _, _, number, section, teaches = line
    promised = re.findall(r"(?i)\b(picture|plot|figure|table)s?\b", teaches)
    if promised and section != "planned":
        shown = shows(LESSON[number], section)
        for word in promised:
            kind = "table" if word.lower() == "table" else "picture"
            if kind not in shown:
                yield f"the section {section!r} of notebook {number} has no {word}"


MARKDOWN = {"picture": "image", "table": "table_open"}


def shows(path: Path, section: str) -> set[str]:
    """Whether a section of a notebook has a ``"picture"``, and a ``"table"``."""
    found: set[str] = set()
    inside = False
    for cell in cells(path):
        if cell.cell_type == "markdown":
            page = Page(path, cell.source)
            if titles := [title for title in page.headings if title.split(" ")[0] in ("#", "##")]:
                inside = titles[-1] == f"## {section}"
            tokens = {token.type for token in page.tokens}
            kinds = {kind for kind, sign in MARKDOWN.items() if sign in tokens}
        else:
            data = [output.get("data", {}) for output in cell.outputs]
            kinds = {"picture" for part in data for mime in part if mime.startswith("image/")}
            kinds |= {"table" for part in data if "<table" in part.get("text/html", "")}
        if inside:
            found |= kinds
    return found


def test_every_row_is_taught_in_a_notebook_that_exists() -> None:
    taught = {line[0] for line in COVERAGE if line[2] in LESSON}
    assert [row for row in ROWS if row not in taught] == []


# --- glossary ------------------------------------------------------------------------------------


def test_glossary_terms_are_unique_and_sorted() -> None:
    names = [row[0].lower() for row in TERMS]
    assert names == sorted(set(names))


def test_glossary_chinese_names_are_unique() -> None:
    names = [row[1] for row in TERMS]
    assert sorted(set(names)) == sorted(names)


@rule(TERMS)
def test_glossary_lines_are_complete(row: list[str]) -> Iterator[str]:
    _, chinese, meaning, notebook = row
    if not re.search(r"[\u4e00-\u9fff]", chinese):
        yield "no Chinese name"
    if not (meaning.endswith(".") and meaning[0].isupper()):
        yield "the meaning is one sentence"
    if notebook not in [*NUMBERS, "-"]:
        yield f"notebook {notebook}"


@rule([row for row in TERMS if row[3] in LESSON])
def test_glossary_terms_are_named_in_their_notebooks(row: list[str]) -> Iterator[str]:
    if row[1] not in read_page(LESSON[row[3]]).text:
        yield f"notebook {row[3]} never gives the Chinese name"


SUBJECTS = (
    "trainable", "requires_grad", "model.train()", "training=True", "moving_mean", "running_mean",
    "0.99", "0.1", "1e-3", "1e-5", "NHWC", "NCHW", "preprocess_input", "weights.transforms()",
    "Compile again", "Parameter groups", "callbacks", ".weights.h5", "state_dict", "from_logits",
    "reduction", "SparseCategoricalCrossentropy", "CrossEntropyLoss",
)  # fmt: skip


def test_glossary_compares_keras_and_pytorch() -> None:
    assert [subject for subject in SUBJECTS if subject not in GLOSSARY[2]] == []


# --- links ---------------------------------------------------------------------------------------


@rule(PAGES)
def test_links_lead_somewhere(page: Page) -> Iterator[str]:
    for token in page.tokens:
        if token.type not in ("link_open", "image"):
            continue
        target = str(token.attrs.get("href", token.attrs.get("src", "")))
        if re.match(r"https?://|mailto:", target):
            continue
        if token.type == "image" and target.startswith(("data:", "attachment:")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        if not path.exists():
            yield f"{target} does not exist"
        elif not path.is_relative_to(ROOT):
            yield f"{target} is outside the course"
        elif anchor and anchor not in read_page(path).anchors:
            yield f"no heading for {target}"


@rule(PAGES)
def test_pictures_in_text_have_alternative_text(page: Page) -> Iterator[str]:
    for token in page.tokens:
        if token.type == "image" and not token.content.strip():
            yield f"a picture without words: {token.attrs.get('src')}"
    if "<img" in page.text:
        yield "write ![words](file) instead of <img>"


@rule(PAGES)
def test_one_title_and_no_skipped_level(page: Page) -> Iterator[str]:
    levels = [len(heading.split(" ")[0]) for heading in page.headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield "one title, at the top"
    for (above, below), heading in zip(pairwise(levels), page.headings[1:], strict=True):
        if below > above + 1:
            yield f"a heading of level {below} below one of level {above}: {heading}"


# --- words ---------------------------------------------------------------------------------------

FORBIDDEN = {
    "a path of some machine": r"(?<![\w.])/(home|root|tmp|work|Users)/|[A-Z]:\\Users",
    "a package index": r"pypi\.org|pythonhosted|--(extra-)?index-url|conda\.anaconda|artifactory",
}


@rule(FILES)
def test_no_forbidden_words(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for what, pattern in FORBIDDEN.items():
        yield from (f"{what}: {found.group()}" for found in re.finditer(pattern, text))


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


@rule(PAGES)
def test_terms_are_spelled_in_one_way(page: Page) -> Iterator[str]:
    for right, pattern in SPELLING.items():
        yield from (f"{found.group()!r}: {right}" for found in re.finditer(pattern, page.prose))
