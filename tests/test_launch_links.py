"""The links that open the course elsewhere lead to files that are there, and README and page hold them."""

from urllib.parse import parse_qs, unquote, urlsplit

import launch_links
import pytest
from build_exercises import sources
from helpers import ROOT, raises_one_line

REPO, REF, HUB = "ada/tlkit-course", "term/2027", "https://hub.example.org/"


def test_readme_and_page_hold_the_links_that_the_tool_writes():
    for path, text in launch_links.written(launch_links.repository(), launch_links.REF, launch_links.HUB).items():
        assert path.read_text(encoding="utf-8") == text, "run: python tools/launch_links.py --write"


def test_each_notebook_and_each_exercise_has_its_row():
    rows = launch_links.table(REPO, REF, HUB).splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [
        *sorted(path.stem for path in (ROOT / "notebooks" / "source").glob("*.py")),
        *(path.stem for path in sources([])),
    ]
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.parametrize("path", launch_links.notebooks())
def test_links_to_a_notebook_can_be_taken_apart_again(path):
    binder = urlsplit(launch_links.binder_link(REPO, REF, path))
    assert unquote(binder.path) == f"/v2/gh/{REPO}/{REF}"
    assert binder.path.count("/") == 5  # a slash in a branch's name is no part of Binder's path
    assert parse_qs(binder.query) == {"urlpath": [f"lab/tree/{path}"]}
    colab = urlsplit(launch_links.colab_link(REPO, REF, path))
    assert colab.path == f"/github/{REPO}/blob/{REF}/{path}"
    hub = urlsplit(launch_links.hub_link(REPO, REF, path, HUB))
    assert (hub.netloc, hub.path) == ("hub.example.org", "/hub/user-redirect/git-pull")
    assert parse_qs(hub.query) == {
        "repo": [f"https://github.com/{REPO}"],
        "branch": [REF],
        "urlpath": [f"lab/tree/tlkit-course/{path}"],
    }


def test_while_the_address_is_unknown_the_page_says_so():
    unknown, known = (launch_links.page_block(repo, REF, HUB) for repo in (launch_links.PLACEHOLDER, REPO))
    assert "does not know its public address" in unknown
    assert "does not know" not in known
    assert "YOUR_" not in known + launch_links.readme_block(REPO, REF)


def test_the_readme_says_where_to_clone_and_into_which_folder_that_goes():
    assert "git clone https://github.com/ada/tlkit-course\n    cd tlkit-course\n" in launch_links.readme_block(
        REPO, REF
    )


@pytest.mark.parametrize(
    ("urls", "repo"),
    [
        ("", launch_links.PLACEHOLDER),
        ('[project.urls]\nRepository = "https://github.com/ada/tl-kit.git"', "ada/tl-kit"),
        ('[project.urls]\nRepository = "https://github.com/ada/tlkit/"', "ada/tlkit"),
    ],
)
def test_the_address_comes_from_pyproject(tmp_path, monkeypatch, urls, repo):
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "tlkit"\n{urls}\n', encoding="utf-8")
    monkeypatch.setattr(launch_links, "ROOT", tmp_path)
    assert launch_links.repository() == repo


def test_an_address_elsewhere_is_refused(tmp_path, monkeypatch):
    text = '[project]\nname = "tlkit"\n[project.urls]\nRepository = "https://example.org/tlkit"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(launch_links, "ROOT", tmp_path)
    with raises_one_line(ValueError, "https://github.com/OWNER/REPO", "example.org"):
        launch_links.repository()


def test_a_readme_without_its_marks_is_refused():
    with raises_one_line(ValueError, launch_links.BEGIN, "once"):
        launch_links.with_block("# tlkit\n", "links", "README.md")
