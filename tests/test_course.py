"""The course as it is installed, and a learner's copy of it."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import build_exercises
import build_notebooks
import draw_ideas
import launch_links
import nbformat
import pytest
from helpers import ROOT, raises_one_line
from marks import in_bank

from tlkit.files.course import FOLDED, copy_course, course_files, course_folder

pytest.importorskip("ipykernel")

GLOSSARY = ROOT / "notebooks" / "glossary.md"


def test_the_course_is_what_git_has_for_a_learner():
    assert course_folder() == ROOT
    files = course_files()
    assert {name for name in files if name.endswith(".ipynb")} == {*launch_links.notebooks(), *launch_links.exercises()}
    for folder in ("photos", "drawings"):
        assert f"notebooks/{folder}/LICENSE.txt" in files
    assert {f"notebooks/pictures/{name}.svg" for name in draw_ideas.DRAW} <= set(files)
    assert not any("source" in name for name in files)


def without_the_line_for_folded(cell: dict) -> dict:
    if cell["metadata"].get("jupyter", {}).get("outputs_hidden") and cell["outputs"]:
        first, *outputs = cell["outputs"]
        assert first["data"] == {"text/plain": [FOLDED]}
        return {**cell, "outputs": outputs}
    return cell


def test_a_copy_differs_from_the_course_in_the_kernels_names_and_a_line_for_what_is_folded(tmp_path: Path):
    copied = copy_course(tmp_path)
    assert list(copied.new) == course_files()
    assert copied.updated == copied.kept == ()
    for name in copied.new:
        ours, theirs = (ROOT / name).read_bytes(), (tmp_path / name).read_bytes()
        if name.endswith(".ipynb"):
            ours, theirs = json.loads(ours), json.loads(theirs)
            assert ours["cells"] == [without_the_line_for_folded(cell) for cell in theirs["cells"]]
            assert [ours["nbformat"], ours["nbformat_minor"]] == [theirs["nbformat"], theirs["nbformat_minor"]]
            assert theirs["metadata"]["kernelspec"]["name"] == ours["metadata"]["kernelspec"]["name"]
            nbformat.validate(theirs)
        else:
            assert ours == theirs
    assert copy_course(tmp_path) == type(copied)((), (), ())


def test_what_was_deleted_comes_back_and_a_lost_record_loses_no_work(tmp_path: Path):
    copy_course(tmp_path)
    first, second = (tmp_path / name for name in launch_links.notebooks()[:2])
    first.unlink()
    second.write_text("my own")
    (tmp_path / ".tlkit-course.json").write_text("{damaged")
    copied = copy_course(tmp_path)
    assert (copied.new, copied.updated) == ((launch_links.notebooks()[0],), ())
    assert copied.kept == (launch_links.notebooks()[1],)
    assert second.read_text() == "my own"


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "mine").write_text("a file")
    with raises_one_line(ValueError, "folder must be a folder", "mine"):
        copy_course(tmp_path / "mine")


@pytest.mark.parametrize("source", build_notebooks.sources([]), ids=lambda source: source.stem)
def test_each_notebook_ends_with_the_way_on_and_no_exercise_is_left_out(source: Path, tmp_path: Path):
    last = nbformat.read(build_notebooks.built(source), as_version=4).cells[-1]
    links = [unquote(link) for link in re.findall(r"\]\(([^)]+)\)", last.source)]
    assert links
    assert all((ROOT / "notebooks" / link).is_file() for link in links)


def test_every_notebook_is_some_notebooks_next_and_every_exercise_is_reached():
    ends = "\n".join(build_notebooks.way_on(source) for source in build_notebooks.sources([]))
    for path in (*launch_links.notebooks(), *launch_links.exercises()):
        assert ends.count(f"{Path(path).name})") == 1


@pytest.mark.parametrize("source", build_exercises.sources([]), ids=lambda source: source.parent.name)
def test_an_exercise_is_led_to_by_a_notebook_that_it_asks_for(source: Path):
    number = next(number for number, name in build_notebooks.EXERCISE_AFTER.items() if name == source.parent.name)
    first = nbformat.v4.new_markdown_cell(build_exercises.read_source(source).cells[0].source)
    asked = re.search(r"Work through notebooks? ([^.]+?) first", " ".join(first.source.split()))
    assert asked is not None
    assert number in re.findall(r"\b\d\d\b", asked[1])


@pytest.mark.parametrize("source", build_exercises.sources([]), ids=lambda source: source.parent.name)
def test_the_release_is_made_from_its_source(source: Path):
    wanted = build_exercises.released(build_exercises.read_source(source))
    found = nbformat.read(ROOT / "exercises" / "release" / source.parent.name / f"{source.stem}.ipynb", as_version=4)
    assert [(cell.cell_type, cell.source) for cell in found.cells] == [
        (cell.cell_type, cell.source) for cell in wanted.cells
    ]


@pytest.mark.parametrize("name", in_bank(["ps1", "ps6"], but=["ps6"]))
def test_nbgrader_makes_the_same_release(name: str, tmp_path: Path):
    pytest.importorskip("nbgrader")
    (source,) = build_exercises.sources([name])
    folder = tmp_path / "source" / name
    folder.mkdir(parents=True)
    nbformat.write(build_exercises.read_source(source), folder / f"{source.stem}.ipynb")
    (made,) = build_exercises.release(name, tmp_path).glob("*.ipynb")
    assert made.read_bytes() == (ROOT / "exercises" / "release" / name / made.name).read_bytes()


def test_the_glossary_is_in_order_and_names_no_word_that_its_notebook_does_not_show():
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| \[(\d\d)\]\((\w+)\.ipynb\) \|$", GLOSSARY.read_text("utf-8"), re.M)
    assert len(rows) == GLOSSARY.read_text("utf-8").count("\n| ") - 1
    words = [word.lower().replace("-", "") for word, _, _ in rows]
    assert words == sorted(words)
    for word, number, stem in rows:
        assert stem.startswith(number)
        notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
        text = " ".join(cell.source for cell in notebook.cells).lower()
        for part in re.split(r", | and ", word.lower()):
            assert part.rstrip("s") in text, f"{stem} does not say {part}"
