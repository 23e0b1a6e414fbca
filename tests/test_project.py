"""What others meet who join: workflows, templates, citation, versions, and what the project's own files ask for."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import check_release
import pytest
import yaml
from helpers import ROOT
from packaging.requirements import Requirement
from packaging.version import Version

import tlkit

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# Schema, as check-jsonschema carries it, and the files that keep it.
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": sorted(
        set(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")) - set(ROOT.glob(".github/*/config.yml"))
    ),
    "github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
    "dependabot": [ROOT / ".github" / "dependabot.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}
# Jobs that may do more than read the repository.
MAY_WRITE = {
    ("docs", "publish"): {"pages", "id-token"},
    ("release", "publish"): {"id-token"},
    ("release", "attach"): {"contents"},
}
# Minutes of a job that may take more than 90: `make bank` is what is too long for the others.
MAY_TAKE = {("weekly", "bank"): 240}


def check_schema(schema: str, *files: Path) -> Any:
    """What the command check-jsonschema gives, here in this process: to start takes it longer than to check."""
    from check_jsonschema import main
    from click.testing import CliRunner

    return CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", *map(str, files)])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_file_of_the_host_keeps_its_schema(schema: str) -> None:
    run = check_schema(schema, *SCHEMAS[schema])
    assert SCHEMAS[schema]
    assert run.exit_code == 0, run.output


def test_a_workflow_with_a_mistake_is_found(tmp_path: Path) -> None:
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    assert "runs-on" in text
    (tmp_path / "wrong.yml").write_text(text.replace("runs-on", "run-on"), encoding="utf-8")
    run = check_schema("github-workflows", tmp_path / "wrong.yml")
    assert run.exit_code == 1
    assert "runs-on" in run.output


# Workflows


def workflow(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job.get("steps", [])]


each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


@each_workflow
def test_a_workflow_may_only_read_and_ends(path: Path) -> None:
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["group"].startswith(
        path.stem
    )  # release.yml calls tests.yml: one group would block it
    for name, job in content["jobs"].items():
        assert set(job.get("permissions", {})) == MAY_WRITE.get((path.stem, name), set())
        assert set(job.get("needs", "").split()) <= set(content["jobs"])
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
        else:
            assert 0 < job["timeout-minutes"] <= MAY_TAKE.get((path.stem, name), 90)


@each_workflow
def test_an_action_is_pinned_to_its_major_version(path: Path) -> None:
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", each)] == []


def test_an_action_has_one_version() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step}
    assert len(used) == len({each.partition("@")[0] for each in used})


def targets() -> set[str]:
    """What the Makefile can make by name."""
    return set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_a_target_is_no_file() -> None:
    assert set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()) == targets()


def test_workflows_make_what_the_makefile_knows() -> None:
    lines = [step["run"] for path in WORKFLOWS for step in steps(path) if "run" in step]
    made = {name for line in lines for name in re.findall(r"^make (\S+)", line, re.MULTILINE)}
    assert {"check", "lint", "test", "docs", "dist", "lowest", "newest"} <= made <= targets()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("stamp", [".lab", ".light"])
def test_tensorflow_without_cuda_is_installed_alone_and_stays(tmp_path: Path, stamp: str) -> None:
    def make(venv: Path, *settings: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--dry-run", f"{venv}/{stamp}", f"VENV={venv}", *settings]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def installed(package: str) -> Path:
        (tmp_path / package / "lib" / "python3.11" / "site-packages" / f"{package}-2.21.0.dist-info").mkdir(
            parents=True
        )
        return tmp_path / package

    cpu, other = installed("tensorflow_cpu"), installed("tensorflow")
    asked, kept = make(tmp_path / "new", "TENSORFLOW=tensorflow-cpu").stdout, make(cpu).stdout
    assert asked.replace(str(tmp_path / "new"), str(cpu)) == kept
    assert "--requirement binder/requirements.txt" in kept
    assert re.findall(r".* --editable (\S+)", kept) == ["."]  # with no extra,
    assert "--no-deps --editable ." in kept  # and nothing that tlkit asks for
    assert "binder" not in make(other).stdout + make(tmp_path / "new").stdout
    refused = make(other, "TENSORFLOW=tensorflow-cpu")
    assert refused.returncode != 0
    assert "tensorflow-cpu needs a new environment: first make clean" in refused.stderr


def test_windows_runs_the_lines_of_make_check() -> None:
    lines = [
        step["run"]
        for step in workflow(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["windows"]["steps"]
        if "run" in step
    ]
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert '-m "not slow"' in recipe
    assert '-m "not slow"' in lines[-1]
    assert "--group check --editable '.[text]'" in MAKEFILE
    assert '--group check --editable ".[text]"' in lines[-2]


def test_each_python_of_the_classifiers_is_tested() -> None:
    found = [line.rpartition(" :: ")[2] for line in PYPROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert (
        workflow(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["check"]["strategy"]["matrix"]["python"] == found
    )


# Versions


def test_version_and_changelog_agree() -> None:
    assert check_release.fault(tlkit.__version__, check_release.headings()) == ""


@pytest.mark.parametrize(
    ("version", "sections", "tag", "fault"),
    [
        ("0.3.0", ["0.3.0 - 2027-01-02", "0.2.0 - 2026-12-01"], None, ""),
        ("0.3.0", ["0.3.0 - 2027-01-02"], "v0.3.0", ""),
        ("0.3.0.dev0", ["Unreleased", "0.2.0 - 2026-12-01"], None, ""),
        ("0.3.0.dev0", ["Unreleased"], None, ""),
        ("0.3.0", ["0.3.0 - 2027-01-02"], "0.3.0", "the tag must be v0.3.0"),
        ("0.3.0", ["0.3.0 - 2027-01-02"], "v0.3.1", "the tag must be v0.3.0"),
        ("0.3.0.dev0", ["Unreleased"], "v0.3.0.dev0", "a dated section"),
        ("0.3.0", ["Unreleased", "0.2.0 - 2026-12-01"], None, "must be a .dev0 later than 0.2.0, got 0.3.0."),
        ("0.2.0.dev0", ["Unreleased", "0.2.0 - 2026-12-01"], None, "must be a .dev0 later than 0.2.0"),
        ("0.3.0", ["0.2.0 - 2026-12-01"], None, "must read '0.3.0 - DATE'"),
        ("0.3.0", ["0.3.0"], None, "must read '0.3.0 - DATE'"),
        ("0.3.0", ["0.3.0 - 2027-01-02", "0.2.0"], None, "got '0.2.0'"),
    ],
)
def test_what_does_not_agree_is_said(version: str, sections: list[str], tag: str | None, fault: str) -> None:
    found = check_release.fault(version, sections, tag)
    assert bool(found) == bool(fault)
    assert fault in found


def test_the_citation_names_the_newest_release() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = [*check_release.releases(check_release.headings()), (None, None)][0]
    assert (citation.get("version"), citation.get("date-released")) == newest, "as a quoted date"
    assert citation["license"] == PYPROJECT["project"]["license"]


# What is asked for


def requirements() -> list[Requirement]:
    """All that pyproject.toml asks for; what only benchmarks compare with is pinned nowhere."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    grouped = [line for name, group in groups.items() if name != "bench" for line in group if isinstance(line, str)]
    return [Requirement(line) for line in [*project["dependencies"], *extras, *grouped]]


def test_a_package_has_one_lowest_version() -> None:
    asked = {(each.name, str(each.specifier)) for each in requirements()}
    assert len(asked) == len({name for name, _ in asked})


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {package.lower().replace("_", "-"): version for package, version in found}


def test_each_package_is_pinned_to_a_version_that_is_allowed() -> None:
    pinned = {"flwr": pins("constraints-federated.txt")["flwr"]} | pins("constraints.txt")
    wrong = [str(each) for each in requirements() if not each.specifier.contains(Version(pinned.get(each.name, "0")))]
    assert wrong == []


def test_the_extra_federated_changes_five_pins_and_adds_its_own() -> None:
    usual, federated = pins("constraints.txt"), pins("constraints-federated.txt")
    changed = {name for name in usual.keys() & federated.keys() if federated[name] != usual[name]}
    assert changed == {"packaging", "protobuf", "ray", "rich", "typer"}
    assert usual.keys() - federated.keys() == {"farama-notifications", "gymnasium", "pyarrow"}  # of other extras
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["federated"]]
    for each in map(Requirement, wanted):
        assert each.specifier.contains(Version(federated[each.name])), str(each)
