"""HTML pages of a run. They load nothing from the network, not even to show formulas."""

import os
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, Environment, FileSystemLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from helpers.base.cache import atomic_path
from helpers.base.paths import ROOT
from helpers.course.results import Grid, Result

# nbconvert's own page loads RequireJS, MathJax, Mermaid and the widgets from other hosts, and
# leaves out the alternative text of figures.
_TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block data_png %}
{% set alt = output | get_metadata('alt', 'image/png') or '' %}
{{ super() | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) }}
{% endblock %}
"""
_SYNONYMS = {  # LaTeX that latex2mathml does not know, in terms that it does
    r"\arg": r"\operatorname{arg}",
    r"{aligned}": r"{align*}",
}


def formula(latex: str, display: str) -> str:
    """`latex` as MathML, which browsers show without help; as code if it cannot be converted.

    Args:
        display: ``"inline"`` or ``"block"``.
    """
    known = latex
    for name, synonym in _SYNONYMS.items():
        known = known.replace(name, synonym)
    try:
        html = convert(known, display=display)
    except Exception:  # the converter raises many kinds, and a formula must not cost the page
        html = "<mi>\\"
    return f"<code>{escape(latex)}</code>" if "<mi>\\" in html else html


class _Renderer(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return formula(body, "inline")

    def block_math(self, body: str) -> str:
        return formula(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


class _OfflineExporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(
            escape=False, attachments=attachments, embed_images=True, path=str(ROOT / "notebooks")
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def notebook_page(notebook: nbformat.NotebookNode, name: str) -> str:
    """The notebook as a page of its own."""
    loader = DictLoader({"offline.html.j2": _TEMPLATE})
    exporter = _OfflineExporter(extra_loaders=[loader], template_file="offline.html.j2")
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name}})
    return html


def write_results_page(
    results: Sequence[Result], page: Path, title: str, grids: Sequence[Grid] = ()
) -> None:
    """Write one HTML file: `results` as a table, each of `grids` with its plot, and all details."""
    links = {}
    for result in results:
        own = result.path.with_suffix(".html")
        target = own if own.exists() else result.path
        links[result.path] = Path(os.path.relpath(target, page.parent)).as_posix()
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("results.html.j2")
    drawn = [(grid, grid_plot(grid)) for grid in grids]
    html = template.render(results=results, links=links, title=title, grids=drawn)
    with atomic_path(page) as path:
        path.write_text(html, encoding="utf-8")


def grid_plot(grid: Grid) -> tuple[str, str] | None:
    """The headline's metrics against the parameter with most values: PNG (base64) and its words.

    Error bars are the 95% intervals over seeds; each setting of the other parameters is a line.
    None if no parameter differs.
    """
    from matplotlib.figure import Figure

    values: dict[str, list[Any]] = {}
    for row in grid.rows:
        for name, value in row.parameters.items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    if not values:
        return None
    swept = max(values, key=lambda name: len(values[name]))
    numbers = all(isinstance(value, int | float) for value in values[swept])
    lines: dict[str, list[tuple[Any, tuple[float, float | None, float | None]]]] = {}
    for row in grid.rows:
        others = [f"{name}={value}" for name, value in row.parameters.items() if name != swept]
        for metric in set(grid.headline) & set(row.metrics):
            label = ", ".join([metric, *others])
            lines.setdefault(label, []).append((row.parameters[swept], row.metrics[metric]))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for (label, points), marker in zip(
        sorted(lines.items()), "osD^vPX*" * len(lines), strict=False
    ):
        x = [value if numbers else str(value) for value, _ in points]
        mean = [metric[0] for _, metric in points]
        # Mean and high: the interval is symmetric.
        half = [0.0 if high is None else high - mean for _, (mean, _, high) in points]
        axes.errorbar(x, mean, yerr=half, marker=marker, capsize=4, label=label)
    if numbers:
        axes.set_xticks(sorted(values[swept]), map(str, sorted(values[swept])))
    axes.set_xlabel(swept)
    axes.set_ylabel("mean, 95% interval over seeds")
    axes.legend()
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    words = (
        f"{', '.join(grid.headline)} of {grid.notebook} against {swept}; the table above has all"
    )
    return b64encode(picture.getvalue()).decode(), words
