"""Kernels: what is written, what is refused, what a kernel that fails is said to lack, and one that really trains."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers import raises_one_line, run_python
from jupyter_client.kernelspec import KernelSpecManager
from test_cli import Command, assert_one_line_refusal, tlkit_command  # noqa: F401 (a fixture)

from tlkit import kernels
from tlkit.kernels import Choices, check_kernel, find_faults, install_kernel, remove_kernel, summary


@pytest.fixture(autouse=True)
def kernel_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where kernels of the user are, for this test."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    return tmp_path / "data" / "kernels"


def write_kernel(folder: Path, name: str, *, argv: list[str], env: dict[str, str] | None = None) -> Path:
    """A kernel that is not tlkit's."""
    spec = {"argv": argv, "display_name": f"not tlkit's {name}", "language": "python", "env": env or {}}
    (folder / name).mkdir(parents=True)
    (folder / name / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder / name


# Installing


@pytest.mark.parametrize(
    ("choices", "display_name", "environment"),
    [
        (Choices(), "Python (tlkit, GPU, memory growth)", {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}),
        (Choices(memory_growth=False), "Python (tlkit, GPU)", {"TF_FORCE_GPU_ALLOW_GROWTH": "false"}),
        (
            Choices(memory_growth=False, mixed_precision=True, xla=True),
            "Python (tlkit, GPU, mixed precision, XLA)",
            {
                "TF_FORCE_GPU_ALLOW_GROWTH": "false",
                "TLKIT_DTYPE_POLICY": "mixed_float16",
                "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
            },
        ),
        (Choices(gpu=False), "Python (tlkit, CPU)", {"CUDA_VISIBLE_DEVICES": "-1"}),
        (
            Choices(gpu=False, xla=True),
            "Python (tlkit, CPU, XLA)",
            {"CUDA_VISIBLE_DEVICES": "-1", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"},
        ),
    ],
)
def test_an_installed_kernel_shows_and_sets_what_was_chosen(
    kernel_folder: Path, choices: Choices, display_name: str, environment: dict[str, str]
) -> None:
    folder = install_kernel(choices, name="mine", user=True)
    assert folder == kernel_folder / "mine"
    spec = KernelSpecManager().get_kernel_spec("mine")
    assert Path(spec.resource_dir) == folder
    assert spec.display_name == display_name
    assert spec.env == environment
    assert spec.argv[0] == sys.executable
    assert "{connection_file}" in spec.argv
    assert ("--ext=tlkit.kernels" in spec.argv) == choices.mixed_precision


def test_a_kernel_of_an_environment_lies_in_it(tmp_path: Path) -> None:
    folder = install_kernel(Choices(), name="mine", prefix=tmp_path / "env")
    assert folder == tmp_path / "env" / "share" / "jupyter" / "kernels" / "mine"
    assert (folder / "kernel.json").is_file()


def test_the_options_make_the_same_choices(tlkit_command: Command) -> None:  # noqa: F811
    for choices in (Choices(), Choices(True, False, True, True), Choices(False, True, True), Choices(False, xla=True)):
        assert tlkit_command("kernel", "install", "--user", "--name", "mine", *choices.options.split()).code == 0
        spec = KernelSpecManager().get_kernel_spec("mine")  # each replaces the one before
        assert (spec.display_name, spec.env) == (choices.display_name, choices.environment)


@pytest.mark.parametrize("content", ['{"argv": []}', '{"metadata": {"other": 1}}', '{"metadata": 3}', "[]", "no JSON"])
def test_a_kernel_of_others_is_not_replaced(kernel_folder: Path, content: str) -> None:
    folder = write_kernel(kernel_folder, "mine", argv=["python"])
    (folder / "kernel.json").write_text(content, encoding="utf-8")
    with raises_one_line(ValueError, "free or a kernel of tlkit's", "--force", "'mine'"):
        install_kernel(Choices(), name="mine", user=True)
    with raises_one_line(ValueError, "a kernel that tlkit installed", "'mine'"):
        remove_kernel("mine")
    assert (folder / "kernel.json").read_text(encoding="utf-8") == content
    install_kernel(Choices(), name="mine", user=True, force=True)
    assert KernelSpecManager().get_kernel_spec("mine").display_name == Choices().display_name


def test_a_kernel_of_others_is_not_hidden_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_kernel(tmp_path / "elsewhere" / "kernels", "mine", argv=["python"])
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "elsewhere"))
    with raises_one_line(ValueError, "free or a kernel of tlkit's", "elsewhere"):
        install_kernel(Choices(), name="mine", prefix=tmp_path / "env")


@pytest.mark.parametrize("force", [False, True])
def test_a_kernel_that_would_be_hidden_is_refused(
    monkeypatch: pytest.MonkeyPatch, kernel_folder: Path, tmp_path: Path, force: bool
) -> None:
    first = install_kernel(Choices(), name="mine", prefix=tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))  # before the user's own folder
    with raises_one_line(ValueError, "looks at first", "'mine'", str(first)):
        install_kernel(Choices(), name="mine", user=True, force=force)
    assert not kernel_folder.exists()
    install_kernel(Choices(), name="other", user=True)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "Upper", "two words", "ä", ".hidden", "-x", "x" * 65]
)
def test_bad_names_touch_nothing(kernel_folder: Path, name: str) -> None:
    other = write_kernel(kernel_folder, "other", argv=["python"])
    with raises_one_line(ValueError, "--name must be", repr(name)):
        install_kernel(Choices(), name=name, user=True, force=True)
    assert [path.name for path in kernel_folder.iterdir()] == [other.name]
    assert (other / "kernel.json").is_file()


def test_a_removed_kernel_is_gone(kernel_folder: Path) -> None:
    folder = install_kernel(Choices(), name="mine", user=True)
    assert remove_kernel("mine") == folder
    assert list(kernel_folder.iterdir()) == []
    with raises_one_line(ValueError, "--name must be a kernel that is installed", "got 'mine'"):
        remove_kernel("mine")


def test_without_jupyter_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = kernels.importlib.util.find_spec
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None if name == "ipykernel" else find(name))
    for refused in (lambda: install_kernel(Choices(), name="mine"), lambda: check_kernel("mine")):
        with raises_one_line(ValueError, "ipykernel must be installed", "pip install 'tlkit[lab]'"):
            refused()


def test_the_command_refuses_in_one_line(tlkit_command: Command, tmp_path: Path) -> None:  # noqa: F811
    for arguments, fragment in [
        (("install", "--cpu", "--memory-growth"), "--cpu hides them"),
        (("install", "--user", "--prefix", str(tmp_path)), "exclude each other"),
        (("install", "--name", ".."), "got '..'"),
        (("check", "--name", "nope"), "got 'nope'"),
        (("check", "--seconds", "0"), "--seconds must be above 0"),
        (("remove", "nope"), "got 'nope'"),
    ]:
        assert_one_line_refusal(tlkit_command("kernel", *arguments), fragment)


def test_importing_loads_neither_tensorflow_nor_jupyter() -> None:
    code = "import sys, tlkit.kernels; print({'tensorflow', 'keras', 'jupyter_client', 'ipykernel'} & set(sys.modules))"
    run = run_python("-c", code)
    assert (run.returncode, run.stdout) == (0, "set()\n"), run.stderr


# Kernels that fail


def fake_tlkit(folder: Path, body: str) -> dict[str, str]:
    """The environment of a kernel in which tlkit is a stand-in that answers at once, but for the stage under test."""
    (folder / "fake" / "tlkit").mkdir(parents=True)
    (folder / "fake" / "tlkit" / "__init__.py").write_text("", encoding="utf-8")
    code = f"import os, sys, time\ndef collect_facts(stage):\n    {body}\n    return '{{}}'\n"
    (folder / "fake" / "tlkit" / "kernels.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(folder / "fake")}


def real_argv() -> list[str]:
    return [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.mark.parametrize(
    ("argv", "error", "command"),
    [
        (
            [sys.executable, "-c", "raise SystemExit('the reason')"],
            "died before replying to kernel_info (the reason)",
            None,
        ),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "didn't respond in 2 seconds", "--seconds 600"),
        (["/no/such/python"], "No such file", "tlkit kernel install"),
        ([sys.executable, "-m", "no_such_ipykernel"], "No module named no_such_ipykernel", None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="other words for the same errors")
def test_a_kernel_that_does_not_start(kernel_folder: Path, argv: list[str], error: str, command: str | None) -> None:
    write_kernel(kernel_folder, "broken", argv=argv)
    facts = check_kernel("broken", start_seconds=2 if "didn't" in error else 60)
    assert facts["failed"] == "start"
    (fault,) = find_faults(facts)
    assert error in fault.text
    assert len(fault.text.splitlines()) == 1
    assert summary(facts) == "The kernel 'broken' does not work."
    assert fault.command is None if command is None else command in str(fault.command)


@pytest.mark.parametrize(
    ("body", "stage", "error"),
    [
        ("stage == 'import' and (os.write(2, b'Illegal instruction\\n'), os._exit(3))", "import", "died"),
        ("stage == 'import' and time.sleep(60)", "import", "no answer in 3 seconds"),
        ("stage == 'train' and os._exit(3)", "train", "the kernel died"),
        ("1 / 0", "start", "ZeroDivisionError"),
    ],
)
def test_a_kernel_that_fails_at_a_stage(kernel_folder: Path, tmp_path: Path, body: str, stage: str, error: str) -> None:
    write_kernel(kernel_folder, "broken", argv=real_argv(), env=fake_tlkit(tmp_path, body))
    facts = check_kernel("broken", seconds=3)
    assert facts["failed"] == stage
    (fault,) = find_faults(facts)
    assert error in fault.text
    assert len(fault.text.splitlines()) == 1


def test_a_kernel_without_tlkit(kernel_folder: Path, tmp_path: Path) -> None:
    environment = fake_tlkit(tmp_path, "pass")
    (tmp_path / "fake" / "tlkit" / "kernels.py").unlink()
    write_kernel(kernel_folder, "bare", argv=real_argv(), env=environment)
    (fault,) = find_faults(check_kernel("bare"))
    assert fault.command == f"{sys.executable} -m pip install tlkit"


def test_the_command_ends_with_1_when_the_kernel_cannot_run(
    kernel_folder: Path,
    tlkit_command: Command,  # noqa: F811
) -> None:
    write_kernel(kernel_folder, "broken", argv=[sys.executable, "-c", "raise SystemExit('the reason')"])
    result = tlkit_command("kernel", "check", "--name", "broken")
    assert result.code == 1
    assert "The kernel 'broken' does not work." in result.out
    result = tlkit_command("kernel", "check", "--name", "broken", "--json")
    assert result.code == 1
    assert "the reason" in json.loads(result.out)["missing"][0]["text"]


# Judging facts: GPUs are described here, not needed

WORKING: dict[str, Any] = {
    "name": "mine",
    "display_name": "Python (tlkit, GPU, memory growth)",
    "choices": {"gpu": True, "memory_growth": True, "mixed_precision": False, "xla": False},
    "python": "/env/bin/python",
    "platform": "linux",
    "wsl": False,
    "driver": "550.54.15",
    "nvidia_card": True,
    "visible_devices": None,
    "cuda_libraries": "9.3.0.75",
    "metal": None,
    "tensorflow": "2.21.0",
    "keras": "3.15.1",
    "cuda_build": True,
    "cuda": "12.5.1",
    "cudnn": "9",
    "gpus": ["Tesla T4"],
    "memory_growth": True,
    "policy": "float32",
    "policy_wanted": None,
    "xla": None,
    "device": "GPU:0",
    "loss": 0.69,
    "moved": True,
}
NO_GPU = {"gpus": [], "device": "CPU:0"}
PIP = "/env/bin/python -m pip"


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in WORKING.items() if name not in names}


def failing(stage: str, error: str, **more: object) -> dict[str, Any]:
    """As far as a kernel comes that fails at that stage."""
    later = {"train": ("device", "loss", "moved"), "import": (*list(WORKING)[11:],)}[stage]
    return without(*later) | {"failed": stage, "error": error} | more


@pytest.mark.parametrize(
    ("facts", "text", "command"),
    [
        # No GPU, and why
        (
            WORKING | NO_GPU | {"cuda_build": False},
            "built without CUDA",
            f'{PIP} install --force-reinstall "tlkit[gpu]"',
        ),
        (WORKING | NO_GPU | {"cuda_libraries": None}, "CUDA libraries", f'{PIP} install "tlkit[gpu]"'),
        (WORKING | NO_GPU, "driver is too old", f'{PIP} install --upgrade --force-reinstall "tlkit[gpu]"'),
        (WORKING | NO_GPU | {"driver": None}, "card without its driver", None),
        (WORKING | NO_GPU | {"driver": None, "nvidia_card": False}, "no NVIDIA driver", None),
        (WORKING | NO_GPU | {"driver": None, "nvidia_card": None, "wsl": True}, "installed in Windows", None),
        (WORKING | NO_GPU | {"platform": "win32", "cuda_build": False}, "WSL2", "wsl --install"),
        (WORKING | NO_GPU | {"platform": "darwin", "driver": None}, "no official GPU support on macOS", None),
        (WORKING | NO_GPU | {"visible_devices": "-1"}, "CUDA_VISIBLE_DEVICES hides", None),
        # A GPU that does not train
        (WORKING | {"device": "CPU:0"}, "the step ran on CPU:0", f'{PIP} install --upgrade "tlkit[gpu]"'),
        (WORKING | {"loss": None}, "no number", "tlkit kernel install --cpu --name mine"),
        (
            failing("train", "ResourceExhaustedError: OOM when allocating", memory_growth=False),
            "OOM",
            "tlkit kernel install --gpu --name mine",
        ),
        (
            failing("train", "FailedPreconditionError: DNN library initialization failed."),
            "DNN library",
            f'{PIP} install --upgrade "tlkit[gpu]"',
        ),
        (
            failing("train", "InternalError: libdevice not found at ./libdevice.10.bc"),
            "libdevice",
            f'{PIP} install --upgrade "tlkit[gpu]"',
        ),
        (failing("train", "the kernel died"), "a training step", "tlkit kernel install --cpu --name mine"),
        # TensorFlow that does not load
        (
            failing("import", "ModuleNotFoundError: No module named 'tensorflow'"),
            "tensorflow",
            f"{PIP} install tensorflow keras",
        ),
        (
            failing("import", "NotFoundError: libmetal_plugin.dylib: Symbol not found", metal="1.2.0"),
            "libmetal",
            f"{PIP} uninstall -y tensorflow-metal",
        ),
        (
            failing("import", "ImportError: DLL load failed\nwhile importing _pywrap", platform="win32"),
            "DLL load failed while importing",
            f"{PIP} install --force-reinstall tensorflow",
        ),
        # A choice that did not come true
        (
            WORKING
            | {
                "policy_wanted": "mixed_float16",
                "choices": {"gpu": True, "memory_growth": False, "mixed_precision": True},
            },
            "Keras computes in float32",
            "tlkit kernel install --gpu --no-memory-growth --mixed-precision --name mine",
        ),
    ],
)
def test_what_is_missing_and_the_command_that_mends_it(facts: dict[str, Any], text: str, command: str | None) -> None:
    (fault,) = find_faults(facts)
    assert text in fault.text
    assert len(fault.text.splitlines()) == 1
    assert fault.command == command
    assert "trains on the GPU" not in summary(facts) or facts["device"].startswith("GPU")


def test_a_kernel_that_trains_on_the_gpu_lacks_nothing() -> None:
    assert find_faults(WORKING) == []
    assert summary(WORKING) == "The kernel 'mine' trains on the GPU."


def test_a_kernel_for_the_cpu_lacks_nothing() -> None:
    facts = WORKING | NO_GPU | {"choices": {"gpu": False}, "visible_devices": "-1"}
    assert find_faults(facts) == []
    assert "as it was installed to" in summary(facts)


def test_a_kernel_of_others_gets_one_beside_it() -> None:
    facts = WORKING | {"name": "python3", "choices": None, "loss": None}
    (fault,) = find_faults(facts)
    assert fault.command == "tlkit kernel install --cpu --name tlkit-cpu"


def test_a_path_with_a_blank_is_quoted() -> None:
    facts = WORKING | NO_GPU | {"cuda_libraries": None, "python": "/my env/bin/python"}
    assert find_faults(facts)[0].command == '"/my env/bin/python" -m pip install "tlkit[gpu]"'


# The whole, inside a real kernel


@pytest.mark.slow
def test_a_real_kernel_trains_with_what_was_chosen(
    tlkit_command: Command,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = ("--user", "--cpu", "--mixed-precision", "--xla", "--name", "mine")
    assert tlkit_command("kernel", "install", *chosen).code == 0
    result = tlkit_command("kernel", "check", "--name", "mine", "--json")
    assert result.code == 0, result.out
    report = json.loads(result.out)
    assert report["missing"] == []
    facts = report["facts"]
    assert (facts["policy"], facts["device"], facts["moved"]) == ("mixed_float16", "CPU:0", True)
    assert facts["xla"] == "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"
    assert Path(facts["python"]) == Path(sys.executable)
    for installed in ("tensorflow", "keras"):
        assert facts[installed] == kernels.importlib.metadata.version(installed)
    # For people: of this kernel, and of one for a GPU that sees none.
    for choices, words in ((facts["choices"], "as it was installed to"), (asdict(Choices()), "works, on the CPU")):
        monkeypatch.setattr(kernels, "check_kernel", lambda name, chosen=choices, **_: facts | {"choices": chosen})
        result = tlkit_command("kernel", "check", "--name", "mine")
        assert result.code == 0
        assert "training step    on CPU:0" in result.out
        assert words in result.out


@pytest.mark.slow
@pytest.mark.bank
def test_a_kernel_for_the_gpu_works_without_one(tlkit_command: Command) -> None:  # noqa: F811
    assert tlkit_command("kernel", "install", "--user").code == 0
    result = tlkit_command("kernel", "check")
    assert result.code == 0
    assert "training step    on " in result.out
    if "GPUs             none" in result.out:
        assert "works, on the CPU" in result.out
