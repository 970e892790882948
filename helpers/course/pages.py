"""HTML pages of a run. They load nothing from the network, not even to show formulas."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jinja2 import DictLoader, Environment, FileSystemLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

if TYPE_CHECKING:
    from helpers.course.runs import Result

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
        renderer = _Renderer(escape=False, attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)


def notebook_page(path: Path) -> str:
    """The notebook at `path` as a page of its own."""
    loader = DictLoader({"offline.html.j2": _TEMPLATE})
    exporter = _OfflineExporter(extra_loaders=[loader], template_file="offline.html.j2")
    notebook = nbformat.read(path, as_version=4)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    return html


def results_page(results: Sequence["Result"], folder: Path, title: str) -> str:
    """A table of `results`, then each one's parameters, metrics and claims; links from `folder`."""
    links = {}
    for result in results:
        page = result.path.with_suffix(".html")
        target = page if page.exists() else result.path
        links[result.path] = Path(os.path.relpath(target, folder)).as_posix()
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("results.html.j2")
    return template.render(results=results, links=links, title=title)
