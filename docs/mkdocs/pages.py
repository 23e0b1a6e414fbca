"""The pages of the site that nobody writes: README and guides, notebooks, the API; and formulas that need no script.

MkDocs calls the functions that begin with on_. Nothing of tlkit is imported but its command line: the API is read from
the source (griffe), so that building the site does not load TensorFlow.
"""

from __future__ import annotations

import ast
import base64
import functools
import html
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import math_core
import nbformat
import typer.cli
import typer.main
from markdown.extensions.toc import slugify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tlkit.cli import app

ROOT = Path(__file__).resolve().parents[2]

# Files of the repository that become pages, beside the notebooks; links between them become links between pages.
PAGES = {
    "README.md": "index.md",
    "notebooks/glossary.md": "glossary.md",
    "exercises/README.md": "exercises/instructors.md",
    "exercises/STUDENTS.md": "exercises/STUDENTS.md",
    "tlkit/assets/PROVENANCE.md": "about/PROVENANCE.md",
    "tlkit/assets/PRETRAINING.md": "about/PRETRAINING.md",
    "benchmarks/RESULTS.md": "about/benchmarks.md",
    "CONTRIBUTING.md": "about/CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md": "about/CODE_OF_CONDUCT.md",
    "SECURITY.md": "about/SECURITY.md",
    "CHANGELOG.md": "about/CHANGELOG.md",
}

# Code is skipped: `layers[0](x)` is no link.
CODE = r"(?P<code>^(?P<fence>```+|~~~+).*?^(?P=fence)|`[^`\n]+`)"
LINK = re.compile(
    CODE + r"|(?P<image>!?)\[(?P<text>(?:[^\[\]`]|`[^`]*`)*)\]\((?P<to>[^()\s]+)(?P<title> \"[^\"]*\")?\)", re.M | re.S
)
PICTURE_ELSEWHERE = re.compile(CODE + r"|!\[(?P<text>[^\[\]]*)\]\(\w+:[^()\s]+\)", re.M | re.S)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)
MERMAID = re.compile(r"^```mermaid\n(.*?)^```", re.M | re.S)

API = """\
---
title: API
---

::: tlkit
    options:
      members: [__version__]
      summary: false

## Modules

Names in the last column are also those of `tlkit` itself: `tlkit.fit` is `tlkit.training.fit`.

| module | what it is for | `tlkit.` |
|---|---|---|
"""


def notebooks() -> list[Path]:
    """The notebooks of the course, in its order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def drawn() -> list[Path]:
    """The pictures that notebooks show from a file beside them."""
    return sorted((ROOT / "notebooks" / "pictures").glob("*.svg"))


# Files of a package that are modules of their own: the package does not hand on their names.
PARTS = [
    "grading.notebook",
    "grading.course",
    "grading.submissions",
    "grading.overview",
    "grading.examiner",
    "grading.sandbox",
]


def modules() -> list[str]:
    """The public modules of tlkit, a package before its parts."""
    package = ROOT / "tlkit"
    found = [path.stem for path in package.glob("*.py")] + [path.parent.name for path in package.glob("*/__init__.py")]
    return sorted([*(name for name in found if not name.startswith("_")), *PARTS])


def file_of(module: str) -> Path:
    """The file of a module, or the first of a package."""
    path = ROOT / "tlkit" / f"{module.replace('.', '/')}.py"
    return path if path.is_file() else path.with_suffix("") / "__init__.py"


@functools.cache
def page_of() -> dict[str, str]:
    """The page that shows a file of the repository; of a module's file, its part of the API; of a picture, itself."""
    found = PAGES | {f"notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in notebooks()}
    found |= {name: name for name in (path.relative_to(ROOT).as_posix() for path in drawn())}
    for name in modules():
        first = file_of(name)
        files = first.parent.glob("*.py") if first.stem == "__init__" else [first]
        found |= {path.relative_to(ROOT).as_posix(): f"api/{name}.md" for path in files}
    return found | {f"docs/{path.name}": path.name for path in (ROOT / "docs").iterdir() if path.is_file()}


# Pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""

    def add(uri: str, content: str | bytes) -> None:
        files.append(File.generated(config, uri, content=content))

    for source, uri in PAGES.items():
        add(uri, written((ROOT / source).read_text(encoding="utf-8"), source, uri))
    for path in notebooks():
        page, pictures = notebook_page(path)
        add(f"notebooks/{path.stem}.md", relink(page, f"notebooks/{path.name}", f"notebooks/{path.stem}.md"))
        for name, picture in pictures.items():
            add(f"notebooks/{name}", picture)
    for path in drawn():
        add(path.relative_to(ROOT).as_posix(), path.read_bytes())
    add("api/index.md", overview())
    for name in modules():
        entries = f"---\ntitle: tlkit.{name}\n---\n\n::: tlkit.{name}\n"
        add(f"api/{name}.md", command_line() if name == "cli" else entries)
    config.nav = list(expand(config.nav or [], set(named(config.nav)), files))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Of a page that is written by hand, links are those of its place in the repository."""
    if page.file.generated_by:
        return markdown
    return written(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas become MathML, which browsers draw without a script."""
    converter = math_core.LatexToMathML()

    def mathml(match: re.Match[str]) -> str:
        latex = html.unescape(match[3]).strip()
        return converter.convert_with_local_state(latex, displaystyle=match[2] == "[")

    return FORMULA.sub(mathml, content)


def named(nav: Any) -> Iterator[str]:
    """Every path in a part of the navigation."""
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else []:
        yield from named(part)


def expand(nav: list[Any], taken: set[str], files: Files) -> Iterator[Any]:
    """The navigation with a pattern such as ``notebooks/*.md`` replaced by the pages that stand nowhere else in it."""

    def matching(pattern: str) -> list[str]:
        pages = [file.src_uri for file in files.documentation_pages()]
        return sorted(
            uri
            for uri in pages
            if fnmatchcase(uri, pattern) and uri.count("/") == pattern.count("/") and uri not in taken
        )

    for item in nav:
        if isinstance(item, str):
            yield from matching(item) if "*" in item else [item]
            continue
        for title, value in item.items():
            if isinstance(value, list):
                yield {title: list(expand(value, taken, files))}
            else:
                yield {title: matching(value) if "*" in value else value}


def written(markdown: str, source: str, uri: str) -> str:
    """A text of the repository as the text of a page; Markdown within <details> has to be asked for."""
    return relink(markdown.replace("\n<details>", "\n<details markdown>"), source, uri)


def relink(markdown: str, source: str, uri: str) -> str:
    """Links between files of the repository as links between pages.

    What the site does not show, such as a Makefile, keeps its name and loses its link; so does a picture that a browser
    would fetch from elsewhere, such as a badge. A link to nothing stays, and fails the build.
    """

    def replaced(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        target, _, anchor = match["to"].partition("#")
        if re.match(r"\w+:", target) or not target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in page_of():
            there = posixpath.relpath(page_of()[path], posixpath.dirname(uri) or ".")
            anchor = anchors(ROOT / path).get(anchor, anchor) if path.endswith(".ipynb") else anchor
            return f"{match['image']}[{match['text']}]({there}{'#' if anchor else ''}{anchor}{match['title'] or ''})"
        return match["text"] if (ROOT / path).exists() else match[0]

    # Pictures first: a badge is a picture within a link.
    markdown = PICTURE_ELSEWHERE.sub(lambda match: match["code"] or match["text"], markdown)
    return LINK.sub(replaced, markdown)


# Notebooks


@functools.cache
def anchors(path: Path) -> dict[str, str]:
    """The site's anchor of each heading of a notebook, by JupyterLab's of the cell that begins with it."""
    cells = nbformat.read(path, as_version=4).cells
    headings = {cell.id: re.match(r"#+ (.+)", cell.source) for cell in cells if cell.cell_type == "markdown"}
    return {f"cell-id={name}": slugify(match[1].replace("`", ""), "-") for name, match in headings.items() if match}


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, with its outputs as they are stored, and the pictures that it shows by their names."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    heading = path.stem
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells, start=1):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.+)", cell.source, re.M)
            heading = headings[-1] if headings else heading
            text = MERMAID.sub(lambda match: arrows(match[1]), cell.source)
            parts.append(text.replace("<details>", "<details markdown>"))  # hints and solutions
            continue
        if cell.cell_type != "code" or "tlkit-setup" in cell.metadata.get("tags", []):
            continue
        folded = cell.metadata.get("jupyter", {})
        code = f"```python\n{cell.source}\n```"
        parts.append(details("The code", code) if folded.get("source_hidden") else code)
        shown_before = len(parts)
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{number}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                text = data.get("text/plain", "").partition("\n")[0]
                shown = f"Figure: {heading}" if text.startswith("<Figure") else text  # a widget says what it shows
                parts.append(f'<div class="output"><img alt="{html.escape(shown)}" src="{name}"></div>')
            elif "text/html" in data:
                table = re.sub(r"<style scoped>.*?</style>\s*", "", data["text/html"], flags=re.S)
                parts.append(f'<div class="output">{table}</div>')
            elif "text/markdown" in data:
                parts.append(f'<div class="output" markdown>\n\n{data["text/markdown"]}\n\n</div>')
            else:
                text = data.get("text/plain") or output.get("text", "")
                parts.append(f'<div class="output"><pre>{html.escape(text, quote=False)}</pre></div>')
        if folded.get("outputs_hidden") and len(parts) > shown_before:
            parts[shown_before:] = [details("What came out", "\n\n".join(parts[shown_before:]))]
    return "\n\n".join(parts) + "\n", pictures


def details(summary: str, content: str) -> str:
    """Something that a reader opens: what a notebook folds."""
    return f"<details markdown><summary>{summary}</summary>\n\n{content}\n\n</details>"


def arrows(diagram: str) -> str:
    """A Mermaid flowchart as lines of text, an arrow each: drawing it would need a script of three megabytes."""
    node = re.compile(r"(\w+)(?:\(\(|\[|\{)(.+?)(?:\)\)|\]|\})")
    names = {name: label.strip('"').replace("<br/>", " ") for name, label in node.findall(diagram)}
    edge = re.compile(r"(\w+)\s*(?:--\s+(?P<within>.+?)\s+-->|-->|-\.->)\s*(?:\|(?P<beside>.+?)\|)?\s*(\w+)$")
    lines = []
    for line in node.sub(r"\1", diagram).splitlines()[1:]:
        match = edge.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"a diagram's line must be an arrow such as A --> B, got {line.strip()!r}.")
        label = (match["within"] or match["beside"] or "").strip('"')
        start, end = (names.get(match[group], match[group]) for group in (1, 4))
        lines.append(f"{start} → {end}" + (f"   ({label})" if label else ""))
    return "```text\n" + "\n".join(lines) + "\n```"


# The API


def overview() -> str:
    """All modules, each with its first line and with those of its names that ``import tlkit`` gives."""
    tree = ast.parse((ROOT / "tlkit" / "__init__.py").read_text(encoding="utf-8"))
    names_of = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_NAMES"
    )
    rows = []
    for name in modules():
        first = (ast.get_docstring(ast.parse(file_of(name).read_text(encoding="utf-8"))) or "").splitlines()[0]
        names = ", ".join(f"[`{public}`][tlkit.{name}.{public}]" for public in names_of.get(name, "").split())
        rows.append(f"| [`tlkit.{name}`]({name}.md) | {first} | {names} |")
    return API + "\n".join(rows) + "\n"


def command_line() -> str:
    """The commands and their options, as `tlkit --help` shows them."""
    command = typer.main.get_command(app)
    _say_all(command)
    context = typer.Context(command, info_name="tlkit")
    return typer.cli.get_docs_for_click(obj=command, ctx=context, name="tlkit", title="The command line")


def _say_all(command: Any) -> None:
    """In a list of commands, let each say the whole first line of its help: cut at 45 characters it says little."""
    command.short_help = next(iter((command.help or "").strip().splitlines()), "")
    for inner in getattr(command, "commands", {}).values():
        _say_all(inner)
