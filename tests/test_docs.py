"""The documentation site: it builds without a network or a warning, it is complete, and its links lead somewhere."""

import importlib
import importlib.util
import posixpath
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import check_links
import lab_in_browser
import nbformat
import pytest
import typer.main
from helpers import NO_NETWORK, ROOT, run_python
from test_package import PUBLIC_MODULES

import tlkit
from tlkit.cli import app

CONFIG = ROOT / "docs" / "mkdocs" / "mkdocs.yml"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The hook that makes pages."""
    pytest.importorskip("math_core", reason="needs the dependency group docs")
    spec = importlib.util.spec_from_file_location("pages", CONFIG.parent / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOADING = ("script", "img", "iframe", "source", "video", "audio", "embed")


class Html(HTMLParser):
    """What the tests ask of a page: where it leads, what it loads, and which anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") not in ("next", "prev"):
            self.loads.append(found["href"])
        if tag in LOADING and "src" in found:
            self.loads.append(found["src"])


Site = dict[str, Html]


# Grammars for addresses in schemas, which no notebook has; and to read each page for the search is a third of a build,
# which the bank's test alone needs.
NO_GRAMMARS = "from tlkit.grading.notebook import skip_grammars; skip_grammars()"
NO_SEARCH = "from material.plugins.search import plugin; plugin.SearchIndex.add_entry_from_context = lambda *_: None"


def build(folder: Path, *before: str) -> None:
    """Build the site in a Python that cannot reach the network; a warning ends the build."""
    arguments = ["build", "--config-file", str(CONFIG), "--site-dir", str(folder)]
    code = [NO_NETWORK, *before, f"from mkdocs.__main__ import cli\ncli({arguments!r})"]
    run = run_python("-c", "\n".join(code), env={"NO_MKDOCS_2_WARNING": "1"})
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with an empty index of the search."""
    folder = tmp_path_factory.mktemp("site")
    build(folder, NO_GRAMMARS, NO_SEARCH)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Site:
    """Every page under its address."""
    return {path.relative_to(folder).as_posix(): Html(path) for path in sorted(folder.rglob("*.html"))}


# The site as it was built


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site: Site, folder: Path) -> None:
    broken = []
    for name, page in site.items():
        if name == "404.html":
            continue  # it is shown at any address, so its links are those of the site's root
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
            target = path if parts.path else name
            anchors = site[target].ids | {"", "__top"} if target in site else {""}
            if not (folder / target).is_file() or unquote(parts.fragment) not in anchors:
                broken.append((name, link))
    assert broken == []


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Site, folder: Path) -> None:
    assert site["index.html"].loads
    elsewhere = [
        (name, load)
        for name, page in site.items()
        for load in page.loads
        if "//" in load and not load.startswith("data:")
    ]
    for path in folder.rglob("*.css"):
        css = path.read_text(encoding="utf-8")
        urls = re.findall(r"url\(['\"]?([^)'\"]+)", css)
        elsewhere += [(path.name, url) for url in urls if "//" in url and not url.startswith("data:")]
        elsewhere += [(path.name, line) for line in re.findall(r"@import.*", css)]
    assert elsewhere == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PUBLIC_MODULES if name != "cli"])
def test_public_names_have_an_entry(site: Site, name: str) -> None:
    module = importlib.import_module(f"tlkit.{name}")
    wanted = {f"tlkit.{name}", *(f"tlkit.{name}.{public}" for public in module.__all__)}
    assert wanted - site[f"api/{name}.html"].ids == set()


@pytest.mark.slow
def test_overview_links_every_name_of_the_package(site: Site) -> None:
    owners = tlkit._MODULE_OF
    wanted = {f"{owners[name]}.html#tlkit.{owners[name]}.{name}" for name in tlkit.__all__ if name in owners}
    assert wanted - set(site["api/index.html"].links) == set()
    assert "tlkit.__version__" in site["api/index.html"].ids


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            yield from commands(sub, (*path, name))


@pytest.mark.slow
def test_commands_have_an_entry(site: Site) -> None:
    wanted = {"-".join(path) for path in commands(typer.main.get_command(app), ("tlkit",))} - {"tlkit"}
    assert {"tlkit-demo", "tlkit-cache-info"} <= wanted
    assert wanted - site["api/cli.html"].ids == set()


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_a_page_with_their_outputs(site: Site, notebook: Path) -> None:
    page = site[f"notebooks/{notebook.stem}.html"]
    outputs = [
        output.get("data", {})
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    pictures = [data for data in outputs if "image/png" in data]
    tables = [data for data in outputs if "image/png" not in data and "<table" in data.get("text/html", "")]
    assert len([load for load in page.loads if load.startswith(f"{notebook.stem}-")]) == len(pictures)
    assert page.text.count('<div class="output">') == len(outputs)
    assert page.tags.count("table") >= len(tables)
    cells = [
        cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code" and cell.id != "setup"
    ]
    hidden = [cell for cell in cells if cell.outputs and cell.metadata.get("jupyter", {}).get("outputs_hidden")]
    assert page.text.count("<summary>What came out</summary>") == len(hidden)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_beside_the_notebooks_are_shown(site: Site, folder: Path, notebook: Path) -> None:
    texts = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "markdown"]
    wanted = re.findall(r"\]\((pictures/[\w.]+)\)", "\n".join(texts))
    assert [load for load in site[f"notebooks/{notebook.stem}.html"].loads if load.startswith("pictures/")] == wanted
    for name in wanted:
        assert (folder / "notebooks" / name).read_bytes() == (ROOT / "notebooks" / name).read_bytes()


@pytest.mark.slow
def test_notebooks_stand_in_the_order_of_the_course(site: Site) -> None:
    links = [link for link in site["notebooks/00_start_here.html"].links if link.endswith(".html") and "/" not in link]
    wanted = [f"{path.stem}.html" for path in NOTEBOOKS[1:]]
    # The page before and the page after are linked once more at the foot.
    assert [link for link in dict.fromkeys(links) if link in wanted] == wanted


@pytest.mark.slow
def test_nothing_is_left_in_the_notation_of_another_tool(site: Site) -> None:
    assert site["notebooks/01_cross_entropy_gradient.html"].tags.count("math") > 0
    for name, page in site.items():
        prose = re.sub(r"<pre.*?</pre>", "", page.text, flags=re.S)
        for left in ('class="arithmatex"', "<merror", "```", ":func:`", ":class:`", ":mod:`", "<p>:::"):
            assert left not in prose, f"{name} has {left}"


@pytest.mark.slow
def test_each_command_is_summed_up_in_a_whole_sentence(site: Site) -> None:
    items = dict(re.findall(r"<li><code>([\w-]+)</code>: ([^<]*)", site["api/cli.html"].text))
    for path in commands(typer.main.get_command(app), ()):
        if path:
            assert items[path[-1]].endswith("."), path
            assert "..." not in items[path[-1]]
    assert "the same few labels" in items["demo"]


@pytest.mark.slow
@pytest.mark.bank  # the site is built, and its links are followed, in `make test`
def test_a_site_that_was_opened_from_its_folder_can_be_searched(tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="needs the dependency group test")
    if lab_in_browser.find_browser() is None and not shutil.which("playwright"):
        pytest.skip("no Chromium or Chrome on this machine")
    build(tmp_path)
    with lab_in_browser.browser() as browser:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "notebooks" / "07_evaluation.html").as_uri())
        page.locator("input.md-search__input").click()
        page.keyboard.type("bootstrap_interval")
        found = page.locator(".md-search-result__item a").first
        found.wait_for()
        found.click()
        page.wait_for_url("**/api/evaluation.html**")
        assert "bootstrap_interval" in page.locator("article").inner_text()
    assert {urlsplit(address).scheme for address in asked} == {"file"}


# How pages are made


def test_links_between_files_become_links_between_pages(pages: ModuleType) -> None:
    def relinked(markdown: str, source: str = "exercises/README.md", uri: str = "exercises/instructors.md") -> str:
        return pages.relink(markdown, source, uri)

    assert relinked("[a](../README.md#the-course)") == "[a](../index.md#the-course)"
    assert relinked("[`b`](../notebooks/04_freezing.ipynb)") == "[`b`](../notebooks/04_freezing.md)"
    section = '[b](../notebooks/04_freezing.ipynb#cell-id=section-3 "BatchNorm")'
    assert relinked(section) == '[b](../notebooks/04_freezing.md#3-batchnorm-moves-without-a-gradient "BatchNorm")'
    assert relinked("[c](../tlkit/audit/moved.py)") == "[c](../api/audit.md)"
    assert relinked("![d](../docs/audit.png)") == "![d](../audit.png)"
    beside = "![d,\ne](pictures/lora.svg)"
    assert relinked(beside, "notebooks/12_parameter_efficient.ipynb", "notebooks/12_parameter_efficient.md") == beside
    assert relinked("[Makefile](../Makefile)") == "Makefile"  # not in the site
    assert relinked("[a badge ![e](https://example.org/e.svg)](https://example.org)") == (
        "[a badge e](https://example.org)"
    )
    for same in ("[nowhere](nowhere.md)", "[f](#here)", "`layers[0](../Makefile)`", "```\n[g](../Makefile)\n```\n"):
        assert relinked(same) == same


def test_an_output_in_markdown_is_a_part_of_the_page(pages: ModuleType, tmp_path: Path) -> None:
    data = {"text/markdown": "| a |\n|---|\n| [b](04_freezing.ipynb) |", "text/plain": "<an object>"}
    cell = nbformat.v4.new_code_cell("a", outputs=[nbformat.v4.new_output("execute_result", data)])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    page, _ = pages.notebook_page(tmp_path / "a.ipynb")
    assert f'<div class="output" markdown>\n\n{data["text/markdown"]}\n\n</div>' in page
    assert "an object" not in page


def test_a_diagram_becomes_lines_of_arrows(pages: ModuleType) -> None:
    diagram = 'flowchart LR\n  A["one,<br/>two"] -->|"by hand"| B{which?}\n  B -- many --> C(("+"))\n  A -.-> C\n'
    assert pages.arrows(diagram) == "```text\none, two → which?   (by hand)\nwhich? → +   (many)\none, two → +\n```"
    with pytest.raises(ValueError, match="must be an arrow such as A --> B, got 'A ==> B'"):
        pages.arrows("flowchart LR\nA ==> B\n")


# Links to elsewhere


def test_links_to_elsewhere_are_well_formed() -> None:
    links = check_links.documented_links()
    assert links
    assert {address: problem for address in links if (problem := check_links.malformed(address))} == {}


def test_links_are_found_outside_code() -> None:
    text = (
        "See (https://example.org/a_(b)), <https://example.org/c> or [d](https://example.org/d#e).\n`https://f.org`\n"
    )
    text += "```\nhttps://g.org\n```\nhttps://mybinder.org/v2/gh/YOUR_NAME/tlkit\n"
    assert check_links.external_links(text) == [
        "https://example.org/a_(b)",
        "https://example.org/c",
        "https://example.org/d#e",
    ]


@pytest.mark.parametrize("address", ["http://example.org", "https://", "https://nowhere/a", "https://example.org/%zz"])
def test_malformed_addresses_are_found(address: str) -> None:
    assert check_links.malformed(address)


def test_without_a_network_the_link_check_says_so_in_one_line() -> None:
    code = f"{NO_NETWORK}\nimport check_links\ncheck_links.main()"
    run = run_python("-c", code, env={"PYTHONPATH": str(ROOT / "tools")})
    assert run.returncode == 2
    assert run.stdout == ""
    assert re.fullmatch(r"no network: none of \d+ links could be asked\.\n", run.stderr)
