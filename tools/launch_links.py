"""Links that open the course without an installation: Binder, Colab, and nbgitpuller's kind for a JupyterHub.

They need the repository's public address: Repository under [project.urls] in pyproject.toml. While that is not there,
the links say YOUR_NAME. Nobody else can publish under it: GitHub allows no underscore in the name of a public account.

    python tools/launch_links.py                          # print the table
    python tools/launch_links.py --write                  # put it into docs/launch.md, and the address into README.md
    python tools/launch_links.py OWNER/REPO --ref v1.0 --hub https://hub.example.org
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "YOUR_NAME/tlkit"
HUB = "https://YOUR_HUB"
REF = "main"
BEGIN, END = "<!-- launch links: python tools/launch_links.py --write -->", "<!-- end of launch links -->"


def repository() -> str:
    """``OWNER/REPO`` on GitHub as pyproject.toml has it, or a placeholder.

    Raises:
        ValueError: The address there is not that of a repository on GitHub.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    if address is None:
        return PLACEHOLDER
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", address)
    if found is None:
        raise ValueError(f"Repository in pyproject.toml must be https://github.com/OWNER/REPO, got {address!r}.")
    return found[1]


def binder_link(repo: str, ref: str, path: str) -> str:
    """Open a file of the image in JupyterLab on mybinder.org."""
    return f"https://mybinder.org/v2/gh/{repo}/{quote(ref, safe='')}?{urlencode({'urlpath': f'lab/tree/{path}'})}"


def colab_link(repo: str, ref: str, path: str) -> str:
    """Open a notebook of the repository in Colab."""
    return f"https://colab.research.google.com/github/{repo}/blob/{quote(ref)}/{quote(path)}"


def hub_link(repo: str, ref: str, path: str, hub: str) -> str:
    """Let nbgitpuller fetch the repository into a user's home on a JupyterHub, and open the file."""
    folder = repo.split("/")[1]
    query = {"repo": f"https://github.com/{repo}", "branch": ref, "urlpath": f"lab/tree/{folder}/{path}"}
    return f"{hub.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(query)}"


def notebooks() -> list[str]:
    """The notebooks' paths in the repository, in order."""
    return sorted(f"notebooks/{path.stem}.ipynb" for path in (ROOT / "notebooks" / "source").glob("*.py"))


def exercises() -> list[str]:
    """The paths of the exercises as students get them, in order: ps10 follows ps9."""
    found = in_order((ROOT / "exercises" / "source").glob("*/*.py"))
    return [f"exercises/release/{path.parent.name}/{path.stem}.ipynb" for path in found]


def in_order(sources: Iterable[Path]) -> list[Path]:
    """Source files of exercises, each in its assignment's folder, by the assignments' numbers."""
    return sorted(sources, key=lambda path: (len(path.parent.name), path))


def table(repo: str, ref: str, hub: str) -> str:
    """The links as a table in Markdown, a row for each notebook and exercise."""
    rows = ["| | Binder | Colab | a JupyterHub |", "|---|---|---|---|"]
    for path in notebooks():
        links = binder_link(repo, ref, path), colab_link(repo, ref, path), hub_link(repo, ref, path, hub)
        cells = [f"[{name}]({link})" for name, link in zip(("Binder", "Colab", "pull"), links, strict=True)]
        rows.append(f"| {Path(path).stem} | {' | '.join(cells)} |")
    for path in exercises():
        # nbgitpuller would bring the answers along, and nothing in an exercise installs tlkit on Colab.
        cells = [f"[Binder]({binder_link(repo, ref, path)})", "", "nbgrader: Assignment List"]
        rows.append(f"| {Path(path).stem} | {' | '.join(cells)} |")
    return "\n".join(rows)


def readme_block(repo: str, ref: str) -> str:
    """How to get this copy, and the first notebook on Binder and in Colab."""
    folder, start = repo.split("/")[1], notebooks()[0]
    return (
        f"    git clone https://github.com/{repo}\n    cd {folder}\n\n"
        f"Or try it without installing, [on Binder]({binder_link(repo, ref, start)}) or\n"
        f"[in Colab]({colab_link(repo, ref, start)}); [all launch links](docs/launch.md)."
    )


def page_block(repo: str, ref: str, hub: str) -> str:
    """The table of all links; where nobody knows the address, with the way to tell it."""
    unknown = (
        "This copy does not know its public address: put yours for `YOUR_NAME` and `YOUR_HUB` in the links. Or\n"
        "name it in `pyproject.toml` (`Repository` under `[project.urls]`), then run\n"
        "`python tools/launch_links.py --write` and `python tools/build_notebooks.py --no-run`.\n\n"
    )
    return (unknown if repo == PLACEHOLDER else "") + table(repo, ref, hub)


def written(repo: str, ref: str, hub: str) -> dict[Path, str]:
    """The files that hold links, and their text with the links of today."""
    blocks = {ROOT / "README.md": readme_block(repo, ref), ROOT / "docs" / "launch.md": page_block(repo, ref, hub)}
    return {path: with_block(path.read_text(encoding="utf-8"), new, path.name) for path, new in blocks.items()}


def with_block(text: str, new: str, name: str) -> str:
    """The text of a file with what stands between the two marks replaced.

    Raises:
        ValueError: The marks are not there, once and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{name} must hold {BEGIN} and then {END}, each once.")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def main(
    repo: Annotated[
        str | None, typer.Argument(help="OWNER/REPO on GitHub; by default as pyproject.toml has it.")
    ] = None,
    ref: Annotated[str, typer.Option(help="Branch, tag or (not for a JupyterHub) commit.")] = REF,
    hub: Annotated[str, typer.Option(help="The address of a JupyterHub that has nbgitpuller.")] = HUB,
    write: Annotated[bool, typer.Option("--write", help="Put the links into docs/launch.md and README.md.")] = False,
) -> None:
    """Print the links, or put them where they are read."""
    repo = repo or repository()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise typer.BadParameter(f"must be OWNER/REPO, got {repo!r}.", param_hint="REPO")
    if not write:
        typer.echo(table(repo, ref, hub))
        return
    for path, text in written(repo, ref, hub).items():
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    typer.run(main)
