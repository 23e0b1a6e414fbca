"""The package as a whole: layers, the public list, what importing does, and the wheel."""

import ast
import contextlib
import functools
import gc
import graphlib
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import NO_NETWORK, ROOT, raises_one_line, run_python

import tlkit
from tlkit._keras.start import not_collected, start_up_lines_dropped
from tlkit.files.course import course_files

PACKAGE = Path(tlkit.__file__).parent

# A module imports from lower layers, and within its layer without a cycle. docs/pieces.md draws it.
LAYERS = {
    "_keras": 0,
    "_tensorflow": 0,
    "words": 0,
    "_bar": 0,
    "scale": 0,
    "assets": 0,
    "tables": 0,
    "files": 0,
    "domains": 0,
    "folders": 0,
    "clothes": 0,
    "cells": 0,
    "speech": 0,
    "emoji": 0,
    "backbones": 0,
    "text": 1,
    "heads": 1,
    "captions": 1,
    "freezing": 1,
    "features": 1,
    "_steps": 2,
    "experiment": 3,
    "federated": 3,
    "adaptation": 2,
    "selection": 2,
    "probe": 2,
    "training": 2,
    "evaluation": 2,
    "audit": 2,
    "gradients": 2,
    "transferability": 2,
    "efficient": 2,
    "pretraining": 2,
    "views": 0,
    "explain": 2,
    "export": 3,
    "plots": 3,
    "demo": 3,
    "kernels": 3,
    "grading": 3,
    "exercises": 4,
    "_grade_worker": 4,
    "widgets": 4,
    "cli": 4,
    "__main__": 5,
}

# Within tlkit.grading, a file imports only from those before it.
GRADING = [
    "meter",
    "limits",
    "wire",
    "scores",
    "checks",
    "notebook",
    "formulas",
    "feedback",
    "pages",
    "course",
    "sandbox",
    "landlock",
    "mirrors",
    "peer",
    "student",
    "examiner",
    "overview",
    "worker",
    "nodes",
    "submissions",
    "__init__",
]
# Its files that are modules of their own: the package hands on only what a test cell needs.
PARTS = [
    "grading.notebook",
    "grading.course",
    "grading.submissions",
    "grading.overview",
    "grading.examiner",
    "grading.sandbox",
]


def module_files() -> dict[str, Path]:
    files = {path.stem: path for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    return files | {path.parent.name: path for path in PACKAGE.glob("*/__init__.py")}


MODULES = module_files()
PUBLIC_MODULES = sorted([*(name for name in MODULES if not name.startswith("_")), *PARTS])


def files_of(name: str) -> list[Path]:
    path = MODULES[name]
    return sorted(path.parent.glob("*.py")) if path.stem == "__init__" else [path]


def tree(name: str) -> ast.Module:
    """The code of a module; of a package, that of all its files one after the other."""
    return code_of(files_of(name))


def code_of(files: list[Path]) -> ast.Module:
    return ast.Module([node for file in files for node in parsed(file).body], [])


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def imports_within(name: str) -> set[str]:
    """The modules of tlkit that a module imports, wherever in its code the import stands."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tlkit.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            if node.module == "tlkit":
                found |= {alias.name for alias in node.names if alias.name in MODULES}
                public = {alias.name for alias in node.names} & set(tlkit._MODULE_OF)
                assert not public, f"{name}: import {public} from the module that owns it"
            elif node.module and node.module.startswith("tlkit."):
                found.add(node.module.split(".")[1])
    return found - {name}


def test_every_module_has_a_layer() -> None:
    assert set(MODULES) <= set(LAYERS)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_downwards(name: str) -> None:
    assert [other for other in imports_within(name) if LAYERS[other] > LAYERS[name]] == []


def test_imports_have_no_cycle() -> None:
    graphlib.TopologicalSorter({name: imports_within(name) for name in MODULES}).prepare()


# What must be installed

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Packages that are imported under another name.
PACKAGE_OF = {"PIL": "pillow", "sklearn": "scikit-learn"}
# Imported, and brought by another package that is asked for.
COMES_WITH = {
    "h5py": "keras",
    "joblib": "scikit-learn",
    "threadpoolctl": "scikit-learn",
    "traitlets": "ipywidgets",
    "ipykernel": "jupyterlab",
    "jupyter-client": "nbclient",
    "nbformat": "nbclient",
    "nbconvert": "nbgrader",
    "ipython": "nbgrader",
    "bleach": "nbconvert",
    "jinja2": "nbconvert",
    "markupsafe": "jinja2",
    "pygments": "rich",
}

BY_NOTEBOOKS = {"gymnasium"}  # asked for, and imported by a notebook alone


def package_names(requirements: list[str]) -> set[str]:
    """The packages that requirements ask for in any case; what an extra of theirs needs is left out."""
    always = [line for line in requirements if not re.search(r";.*\bextra\b", line)]
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in always}


def of_extras() -> list[str]:
    return [requirement for extra in EXTRAS.values() for requirement in extra]


def imported_packages() -> set[str]:
    names = set()
    for node in ast.walk(code_of(sorted(PACKAGE.rglob("*.py")))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    names -= {"tlkit", *sys.stdlib_module_names}
    return {PACKAGE_OF.get(name, name.lower().replace("_", "-")) for name in names}


def test_what_is_imported_is_asked_for_and_nothing_else() -> None:
    asked_for = package_names([*PROJECT["dependencies"], *of_extras()])
    assert imported_packages() == asked_for - BY_NOTEBOOKS | set(COMES_WITH)
    notebooks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notebooks" / "source").glob("*.py"))
    assert [name for name in BY_NOTEBOOKS if not re.search(rf"^ *import {name}$", notebooks, re.MULTILINE)] == []


@pytest.mark.parametrize(("package", "bringer"), COMES_WITH.items())
def test_what_is_not_asked_for_comes_with_another(package: str, bringer: str) -> None:
    try:
        brought = package_names(importlib.metadata.requires(bringer) or [])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{bringer} is not installed")
    assert package in brought


def without(*modules: str) -> str:
    """Code after which a module is not found, as where nobody has installed it."""
    return f"import sys; sys.modules.update(dict.fromkeys({modules}))\n"


# Asked for without a notebook, a network or an extra; the README's ten lines run before.
THE_REST = """
for name in ("optdigits", "fashion"):
    tlkit.load_domain(name)
print(len(history), tlkit.load_source_head(backbone, pair.source.classes).output_shape)
assert tlkit.gradient_triangle(lambda x: x**2, {"x": 1.0}).agrees
"""


def test_the_ten_lines_and_more_need_no_extra_and_no_network_and_say_nothing(tmp_path: Path) -> None:
    """One fresh process for all of it: to load TensorFlow in another takes longer than the rest."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^## The package in ten lines\n+```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    lines = lines.replace("epochs=20", "epochs=1").replace("pair.target.test)", "pair.target.test.take(5, seed=0))")
    always = package_names(PROJECT["dependencies"])
    missing = package_names(of_extras()) - always | {name for name, by in COMES_WITH.items() if by not in always}
    modules = [{"ipython": "IPython"}.get(name, name.replace("-", "_")) for name in missing]
    code = NO_NETWORK + without(*modules) + f"{QUIET_START}; tf.constant(1)\n" + lines + THE_REST
    place, store = tmp_path / "place", tmp_path / "store"
    place.mkdir()
    run = run_python("-W", "error::ResourceWarning", "-c", code, cwd=place, env={"TLKIT_CACHE_DIR": str(store)})
    assert (run.returncode, run.stderr) == (0, "")
    accuracy, *rest = run.stdout.splitlines()
    assert 0 < float(accuracy) < 1
    assert rest == ["1 (None, 10)"]
    assert "sympy" in modules  # and gradients of a function need none
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "extra", "code"),
    [
        ("ipywidgets", "lab", "from tlkit.widgets import FreezeLab"),
        ("anywidget", "lab", "from tlkit.widgets import PictureUpload"),
        ("tokenizers", "text", "from tlkit.text import tokenize; tokenize(['a'])"),
        ("nbgrader", "exercises", "from tlkit.grading.notebook import need_extra; need_extra()"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package: str, extra: str, code: str) -> None:
    assert package in package_names(EXTRAS[extra])
    last = run_python("-c", without(package) + code).stderr.splitlines()[-1]
    assert last.endswith(f"{package} must be installed for this: pip install 'tlkit[{extra}]'.")


def test_where_flower_is_missing_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tlkit.federated.running import need_flower  # it loads TensorFlow, so not in a fresh process

    assert "flwr" in package_names(EXTRAS["federated"])
    monkeypatch.setitem(sys.modules, "flwr", None)
    with raises_one_line(ValueError, "flwr must be installed for this: pip install 'tlkit[federated]'."):
        need_flower()


# Private names of others

ROOM = PACKAGE / "_keras"
# What another library documents for names with an underscore, or where it leaves no other way; none is of Keras.
NOT_OF_KERAS = {
    "_exit": "os",
    "_mmap": "NumPy's map of a file",
    "_repr_html_": "IPython's protocol",
    "_repr_mimebundle_": "IPython's protocol",
    "_schedule_remaining_events": "pyzmq",
}


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name.isidentifier()


@functools.cache
def private_in_keras() -> frozenset[str]:
    """The private attributes of a model, a layer, a symbolic tensor, an optimizer."""
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    functional = keras.Model(model.inputs, model.outputs)
    things = [model, functional, model.layers[0], model.outputs[0], model.optimizer]
    return frozenset(name for thing in things for name in dir(thing) if is_private(name))


def defined_in_classes(module: ast.Module) -> set[str]:
    """Names of methods and fields, and of what methods set on ``self``: a module's own, on whatever object they are."""
    found: set[str] = set()
    for owner in [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]:
        for node in ast.walk(owner):
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
                found.add(node.attr)
    return found


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def borrowed(module: ast.Module) -> list[str]:
    """The private names of other libraries that a module uses, one for each place."""
    own = defined_in_classes(module) | set(NOT_OF_KERAS)
    endings = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            found += [] if is_self(node.value) else [node.attr]
        elif isinstance(node, ast.Constant) and is_private(node.value) and id(node) not in endings:
            found += [node.value] if node.value in private_in_keras() - own else []
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            imported = [f"{node.module}.{name}" for name in names] if isinstance(node, ast.ImportFrom) else names
            found += [name for name in imported if f"{name}.".startswith(("keras.src.", "tensorflow.python."))]
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_of_keras_stand_in_one_room(path: Path) -> None:
    found = borrowed(parsed(path))
    if path.parent != ROOM:
        assert found == [], "ask tlkit._keras, or let it know one name more"
    assert len(found) == len(set(found)), "one place for each"


@pytest.mark.parametrize(
    "code",
    [
        "layer._flatten_layers(include_self=True)",
        "tensor._keras_history.operation",
        "getattr(model, '_functional', None) or model",
        "SET = ('optimizer', '_compile_metrics')",
        "def f():\n    from keras.src.backend.common import global_state",
        "from keras import src",
        "import tensorflow.python.eager.context",
        "class A:\n    def f(self, model):\n        return model._layers",
        "model._inbound_nodes = []",
    ],
)
def test_a_private_name_of_keras_is_found(code: str) -> None:
    assert len(borrowed(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code", ["os._exit(0)", "self._model", "class A:\n    def _run(self): ...\n    def __lt__(self, o): o._run()"]
)
def test_what_is_not_of_keras_may_stay(code: str) -> None:
    assert borrowed(ast.parse(code)) == []


COURSE = sorted([*ROOT.glob("notebooks/source/*.py"), *ROOT.glob("exercises/source/*/*.py")])
COURSE += sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("exercises/source/*/*.ipynb")])


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.name)
def test_the_course_imports_no_private_module(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    private = [n for n in names if n.startswith("tlkit.") and any(part.startswith("_") for part in n.split("."))]
    assert private == []


@pytest.mark.parametrize("file", files_of("grading"), ids=lambda file: file.stem)
def test_imports_within_grading_point_downwards(file: Path) -> None:
    imports = [node.module or "" for node in ast.walk(code_of([file])) if isinstance(node, ast.ImportFrom)]
    found = {module.split(".")[2] for module in imports if module.startswith("tlkit.grading.")}
    assert found <= set(GRADING[: GRADING.index(file.stem)])
    assert "tlkit.grading" not in imports


# The public list


@pytest.mark.parametrize("name", sorted(tlkit._MODULE_OF))
def test_public_names_resolve_to_the_module_that_owns_them(name: str) -> None:
    module = importlib.import_module(f"tlkit.{tlkit._MODULE_OF[name]}")
    assert getattr(tlkit, name) is getattr(module, name)
    assert name in module.__all__
    assert f"{getattr(module, name).__module__}.".startswith(
        f"{module.__name__}."
    )  # in it, or in a file of its package


def test_the_public_list_is_one() -> None:
    assert tlkit.__all__ == [*tlkit._MODULE_OF, "__version__"]
    assert dir(tlkit) == sorted(tlkit.__all__)
    typed = {
        alias.name: node.module
        for block in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")))
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: f"tlkit.{module}" for name, module in tlkit._MODULE_OF.items()}


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'frezee_to'"):
        tlkit.frezee_to  # noqa: B018 (the look-up is the test)


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from tlkit import *", names)
    assert set(tlkit.__all__) <= set(names)


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_what_is_public_is_documented_and_typed(name: str) -> None:
    module = importlib.import_module(f"tlkit.{name}")
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        thing = getattr(module, public)
        if not (inspect.isfunction(thing) or inspect.isclass(thing)):
            continue
        assert inspect.getdoc(thing), public
        members = vars(thing).items() if inspect.isclass(thing) else []
        methods = [member for label, member in members if not label.startswith("_")]
        functions = [getattr(method, "fget", method) for method in methods] + [thing]
        for function in filter(inspect.isfunction, functions):
            assert inspect.getdoc(function), function.__qualname__
            signature = inspect.signature(function)
            assert signature.return_annotation is not signature.empty, function.__qualname__
            untyped = [p for p in signature.parameters.values() if p.annotation is p.empty and p.name != "self"]
            assert untyped == [], function.__qualname__
            rest = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
            assert all(p.annotation.startswith("Unpack[") for p in rest), f"{function.__qualname__}: which keywords?"


@pytest.mark.parametrize("name", [name for name in PUBLIC_MODULES if name not in ("cli", "assets")])
def test_args_sections_name_real_arguments(name: str) -> None:
    module = importlib.import_module(f"tlkit.{name}")
    for public in getattr(module, "__all__", []):
        thing = getattr(module, public)
        if not callable(thing):
            continue
        lines = inspect.getdoc(thing).splitlines()
        if "Args:" in lines:
            section = lines[lines.index("Args:") + 1 :]
            section = section[: section.index("")] if "" in section else section
            named = [line.strip().split(":")[0] for line in section if line.startswith("    ") and line[4] != " "]
            assert set(named) <= set(inspect.signature(thing).parameters), public


# Length: a function is a screenful

LONGEST_BODY = 60


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From the first statement behind the docstring to the last line: a signature and a docstring may be long."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {each.name: n for each in functions if (n := body_lines(each)) > LONGEST_BODY} == {}


def test_lines_of_a_body_are_counted() -> None:
    code = 'def f(\n    x,\n):\n    "Of one\\n line."\n    def g():\n        return x\n\n    return g'
    assert body_lines(ast.parse(code).body[0]) == 4  # type: ignore[arg-type]
    assert body_lines(ast.parse("def f():\n    'No more.'").body[0]) == 0  # type: ignore[arg-type]


# What importing does


def at_import(module: ast.Module) -> list[ast.AST]:
    """The nodes that run when the module is imported: bodies of functions are left out."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = list(module.body)
    while stack:
        node = stack.pop()
        found.append(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += [*node.decorator_list, node.args]
        elif not isinstance(node, ast.Lambda):
            stack += list(ast.iter_child_nodes(node))
    return found


def names_used(nodes: list[ast.AST]) -> set[str]:
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_seeds_or_reads_the_environment(name: str) -> None:
    assert names_used(at_import(tree(name))) & {"environ", "getenv", "putenv", "setenv"} == set()
    seeding = {"set_random_seed", "set_seed", "seed_everything"}
    asked = PACKAGE / "grading" / "limits.py"  # its seed_everything seeds, when a test cell calls it
    everywhere = list(ast.walk(code_of([file for file in files_of(name) if file != asked])))
    assert names_used(everywhere) & seeding == set()
    calls = [node.func for node in everywhere if isinstance(node, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Attribute) and f.attr == "seed"]


def test_import_loads_nothing_but_itself_and_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import tlkit; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = run_python("-c", code)
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) - set(sys.stdlib_module_names) == {"tlkit"}


QUIET_START = "import tlkit; tlkit.quiet_start(); import keras, tensorflow as tf"  # as notebooks begin


@pytest.mark.slow
@pytest.mark.bank  # in `make test` the ten lines start as the first does; as the second, notebooks handed in before
@pytest.mark.parametrize("load", [QUIET_START, "from tlkit._tensorflow import keras, tf"])
def test_loading_tensorflow_says_nothing(load: str) -> None:
    run = run_python("-c", f"{load}; tf.constant(1)")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("on", [True, False])
def test_an_import_leaves_the_collector_as_it_was(on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with contextlib.suppress(ImportError), not_collected():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.slow
@pytest.mark.parametrize(("end", "kept"), [(ImportError, True), (KeyboardInterrupt, False)])
def test_start_up_lines_explain_a_failure_and_no_interrupt(
    end: type[BaseException], kept: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = "I0000 00:00:1795862547.187677 1137431 port.cc:153] oneDNN custom operations are on.\n"

    @start_up_lines_dropped()
    def load() -> None:
        os.write(2, f"{noise}something else\n".encode())
        raise end

    with pytest.raises(end):
        load()
    assert capfd.readouterr().err == f"{noise if kept else ''}something else\n"


def test_another_keras_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Keras imports its backend with itself, so with one that is not installed it would fail before tlkit could speak.
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for name in ("tlkit.training", "tlkit._keras", "tlkit._keras.start"):  # as if nobody had imported them
        monkeypatch.delitem(sys.modules, name, raising=False)
    with raises_one_line(ImportError, "'tensorflow'", "got 'jax'", "unset KERAS_BACKEND"):
        importlib.import_module("tlkit.training")


# The wheel


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, built from a copy of what git does not ignore."""
    folder = tmp_path_factory.mktemp("build")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        files = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
        for name in filter(None, files):
            if (ROOT / name).is_file():
                (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / "tree" / name)
    else:
        shutil.copytree(ROOT, folder / "tree", ignore=shutil.ignore_patterns(".venv", ".git", "*_cache", "__pycache__"))
    command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), "."]
    if importlib.util.find_spec("hatchling"):
        command.insert(3, "--no-isolation")
    run = subprocess.run(command, cwd=folder / "tree", capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_wheel_holds_the_assets_the_course_and_the_types(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[0]) as wheel:
        names = set(wheel.namelist())
        metadata = next(name for name in names if name.endswith("METADATA"))
        assert f"\nVersion: {tlkit.__version__}\n" in wheel.read(metadata).decode()
    manifest = json.loads((PACKAGE / "assets" / "manifest.json").read_text(encoding="utf-8"))
    wanted = {f"tlkit/assets/{name}" for name in [*manifest, "manifest.json", "PROVENANCE.md"]}
    code = [path for kind in ("*.py", "*.js", "*.j2") for path in PACKAGE.rglob(kind)]
    wanted |= {f"tlkit/{path.relative_to(PACKAGE).as_posix()}" for path in code}
    wanted |= {f"tlkit/course/{name}" for name in course_files()}
    assert wanted | {"tlkit/py.typed", "tlkit/tables/LICENSES.txt"} <= names
    assert not [name for name in names if "exercises/source" in name]  # the answers
    assert {name.split("/")[0] for name in names} == {"tlkit", f"tlkit-{tlkit.__version__}.dist-info"}


@pytest.mark.slow
def test_sdist_holds_what_builds_and_tests_it(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "tlkit/assets/manifest.json",
        "tests/test_package.py",
        "notebooks/photos/LICENSE.txt",
        "tlkit/tables/LICENSES.txt",
    ):
        assert name in names


@pytest.mark.slow
def test_installed_wheel_runs_the_demo_outside_the_checkout_without_a_network(
    distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    home, elsewhere = tmp_path / "fresh", tmp_path / "elsewhere"
    elsewhere.mkdir()
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    install.append("--no-compile")  # what is imported below is compiled then
    done = subprocess.run([*install, str(distributions[0])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # The dependencies are those of the environment that runs the tests; tlkit is the wheel's.
    (site,) = {path.parent for path in home.rglob("tlkit/__init__.py") for path in [path.parent]}
    others = {sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")}
    (site / "others.pth").write_text("\n".join(sorted(others)) + "\n", encoding="utf-8")
    (site / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=300)

    check = run(str(python), "-c", "import tlkit, socket; print(tlkit.__file__); socket.create_connection(('x', 1))")
    assert Path(check.stdout.strip()).is_relative_to(home)
    assert "the network was asked for" in check.stderr

    info = run(str(scripts / "tlkit"), "info", "--no-devices")
    assert info.returncode == 0, info.stdout + info.stderr
    classes = sorted(folder for folder in (site / "tlkit/course/notebooks/photos").iterdir() if folder.is_dir())
    for number, folder in enumerate(classes):  # three classes of ten are enough
        for photo in sorted(folder.iterdir())[10 if number < 3 else 0 :]:
            photo.unlink()
        if number >= 3:
            folder.rmdir()
    options = "--seeds 1 --per-class 2 --json --target photos"  # the wheel's own photographs and network
    demo = run(str(scripts / "tlkit"), "demo", *options.split())
    assert demo.returncode == 0, demo.stderr
    assert json.loads(demo.stdout)["target"] == "photos"
    assert demo.stderr == ""
    assert [path.name for path in elsewhere.iterdir()] == ["tlkit-demo-photos.png"]
