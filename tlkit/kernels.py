"""Jupyter kernels with explicit choices for the GPU: install one, and see from inside it whether it trains.

A choice is written into the kernel's ``kernel.json`` (environment variables that TensorFlow reads, an IPython extension
for what it does not read) and into the name that JupyterLab shows. Nothing is set in the notebook, so a notebook runs
under any of them.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from tlkit.words import must_install, one_line

__all__ = [
    "Choices",
    "Finding",
    "check_kernel",
    "collect_facts",
    "describe",
    "find_faults",
    "install_kernel",
    "load_ipython_extension",
    "quiet_start",
    "remove_kernel",
    "summary",
]

# Keras reads no environment variable for the policy: load_ipython_extension reads this one.
_POLICY = "TLKIT_DTYPE_POLICY"
_STAGES = {"start": "starting", "import": "importing TensorFlow", "train": "taking a training step"}


@dataclass(frozen=True)
class Choices:
    """What a kernel is installed for.

    Args:
        gpu: Use the GPUs that TensorFlow finds (without one it runs on the CPU); ``False`` hides them.
        memory_growth: Take GPU memory as it is needed; otherwise TensorFlow takes nearly all of it at once, and a
            second notebook finds none.
        mixed_precision: Keras computes in half and keeps weights in single precision (``mixed_float16``).
        xla: Compile every graph by XLA. Keras compiles its training step by XLA on a GPU anyway; this adds the rest.
    """

    gpu: bool = True
    memory_growth: bool = True
    mixed_precision: bool = False
    xla: bool = False

    @property
    def display_name(self) -> str:
        """The name in JupyterLab's list, with every choice."""
        words = ["GPU" if self.gpu else "CPU"]
        words += ["memory growth"] * (self.gpu and self.memory_growth)
        words += ["mixed precision"] * self.mixed_precision + ["XLA"] * self.xla
        return f"Python (tlkit, {', '.join(words)})"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make the choices true."""
        env = {"CUDA_VISIBLE_DEVICES": "-1"}
        if self.gpu:
            env = {"TF_FORCE_GPU_ALLOW_GROWTH": str(self.memory_growth).lower()}
        if self.mixed_precision:
            env[_POLICY] = "mixed_float16"
        if self.xla:
            env["TF_XLA_FLAGS"] = "--tf_xla_auto_jit=2" + ("" if self.gpu else " --tf_xla_cpu_global_jit")
        return env

    @property
    def options(self) -> str:
        """The options of ``tlkit kernel install`` that make this choice."""
        words = ["--gpu" if self.gpu else "--cpu"]
        words += ["--no-memory-growth"] * (self.gpu and not self.memory_growth)
        return " ".join(words + ["--mixed-precision"] * self.mixed_precision + ["--xla"] * self.xla)


def load_ipython_extension(shell: Any) -> None:
    """Set the dtype policy that the kernel was installed with; IPython calls this when such a kernel starts.

    Keras is imported at start for it, a few seconds, so that every model of the notebook has the policy.
    """
    policy = os.environ.get(_POLICY)
    if policy:
        from tlkit._keras import keras

        keras.config.set_dtype_policy(policy)


def quiet_start() -> None:
    """Load TensorFlow and Keras without the lines that TensorFlow writes to stderr as it starts.

    Call it once before ``import keras`` or ``import tensorflow``, which then say nothing. What uses tlkit alone needs
    no such call. Whatever is no start-up line still comes through, and all of it when the import fails.

    Raises:
        ImportError: Keras runs on another backend than TensorFlow.
    """
    import tlkit._keras  # noqa: F401  # its import is what is asked for


def install_kernel(
    choices: Choices, *, name: str, user: bool = False, prefix: Path | None = None, force: bool = False
) -> Path:
    """Register a Jupyter kernel for this Python, by ``jupyter_client``'s own installer.

    Args:
        name: What ``jupyter kernelspec list`` shows: lower-case letters, digits, ``.``, ``_`` and ``-``.
        user: Install for the user, to be seen from every environment; otherwise into ``prefix``.
        prefix: An environment; by default the one that this Python runs in.
        force: Also replace a kernel of that name that is not tlkit's.

    Returns:
        The folder of the kernel.

    Raises:
        ValueError: A bad name, a name that is taken, ``user`` together with ``prefix``, or Jupyter is not installed.
        OSError: The folder cannot be written.
    """
    manager = _manager()
    _check_name(name)
    if user and prefix is not None:
        raise ValueError(f"--user and --prefix exclude each other, got both (--prefix {prefix}).")
    from ipykernel.kernelspec import write_kernel_spec

    into = (prefix or Path(sys.prefix)).absolute()
    kernels = Path(manager.user_kernel_dir) if user else into / "share" / "jupyter" / "kernels"
    for taken in (kernels / name, Path(manager.find_kernel_specs().get(name, kernels / name))):
        if taken.exists() and not _is_ours(taken) and not force:
            raise ValueError(
                f"--name must be free or a kernel of tlkit's (--force replaces any), got {name!r}: {taken}."
            )
    # Jupyter takes the first of a name, and would go on showing that one.
    before = [path for path in map(Path, manager.kernel_dirs) if (path / name).exists() or path == kernels]
    if kernels in before[1:]:
        raise ValueError(
            f"--name must be free in the folders that Jupyter looks at first, got {name!r}: {before[0] / name}."
        )
    spec = {
        "display_name": choices.display_name,
        "env": choices.environment,
        "metadata": {"debugger": True, "tlkit": asdict(choices)},
    }
    extension = ["--ext=tlkit.kernels"] if choices.mixed_precision else None
    with tempfile.TemporaryDirectory() as folder:
        source = write_kernel_spec(Path(folder) / name, overrides=spec, extra_arguments=extension)
        try:
            return Path(manager.install_kernel_spec(source, name, user=user, prefix=None if user else str(into)))
        except PermissionError as error:
            raise PermissionError(f"{kernels} cannot be written: add --user.") from error


def remove_kernel(name: str) -> Path:
    """Remove a kernel that :func:`install_kernel` made, and return the folder it was in.

    Raises:
        ValueError: No such kernel, or not one of tlkit's.
    """
    manager = _manager()
    folder = Path(_find(manager, name))
    if not _is_ours(folder):
        raise ValueError(f"NAME must be a kernel that tlkit installed, got {name!r} in {folder}.")
    return Path(manager.remove_kernel_spec(name))


def _manager() -> Any:
    missing = [package for package in ("jupyter_client", "ipykernel") if importlib.util.find_spec(package) is None]
    if missing:
        raise ValueError(must_install(" and ".join(missing), "lab"))
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager()


def _check_name(name: str) -> None:
    # jupyter_client itself lets ".." through, and replaces the folder that it finds there.
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise ValueError(
            "--name must be 1 to 64 lower-case letters, digits, '.', '_' or '-', beginning with a letter or digit, "
            f"got {name!r}."
        )


def _find(manager: Any, name: str) -> str:
    found: dict[str, str] = manager.find_kernel_specs()
    if name not in found:
        raise ValueError(f"--name must be a kernel that is installed ({', '.join(sorted(found))}), got {name!r}.")
    return found[name]


def _is_ours(folder: Path) -> bool:
    try:
        spec = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(spec, dict) and isinstance(spec.get("metadata"), dict) and "tlkit" in spec["metadata"]


# Inside the kernel


def collect_facts(stage: str) -> str:
    """What can be seen from inside the kernel that runs this, as JSON; :func:`check_kernel` calls it there.

    Args:
        stage: ``"start"``: Python, system, driver; ``"import"``: TensorFlow and its devices; ``"train"``: one training
            step of a small convolutional network, and where it ran.
    """
    facts: dict[str, Any] = {}
    try:
        {"start": _about_the_machine, "import": _about_tensorflow, "train": _one_step}[stage](facts)
    except Exception as error:  # whatever a broken installation raises is what was to be found out
        facts |= {"failed": stage, "error": f"{type(error).__name__}: {error}"[:2000]}
    return json.dumps(facts)


def _about_the_machine(facts: dict[str, Any]) -> None:
    facts |= {
        "python": sys.executable,
        "python_version": platform.python_version(),
        "platform": sys.platform,
        "wsl": "microsoft" in platform.release().lower(),
        "driver": _driver(),
        "nvidia_card": _nvidia_card(),
        "visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "cuda_libraries": _version("nvidia-cudnn-cu12") or _version("nvidia-cudnn-cu13"),
        "metal": _version("tensorflow-metal"),
    }


def _about_tensorflow(facts: dict[str, Any]) -> None:
    from tlkit._keras import keras, tf

    build = tf.sysconfig.get_build_info()
    gpus = tf.config.list_physical_devices("GPU")
    forced = os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH") == "true"
    facts |= {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "cuda_build": bool(build.get("is_cuda_build")),
        "cuda": build.get("cuda_version"),
        "cudnn": build.get("cudnn_version"),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "memory_growth": forced or any(bool(tf.config.experimental.get_memory_growth(gpu)) for gpu in gpus),
        "policy": keras.config.dtype_policy().name,
        "policy_wanted": os.environ.get(_POLICY),
        "xla": os.environ.get("TF_XLA_FLAGS"),
    }


def _one_step(facts: dict[str, Any]) -> None:
    import numpy as np

    from tlkit._keras import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, activation="relu"),  # the step that needs cuDNN
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, dtype="float32"),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 32, 32, 3), np.float32), rng.integers(0, 2, 16)
    before = [weight.numpy() for weight in model.trainable_weights]
    loss = float(model.train_on_batch(x, y))
    after = [weight.numpy() for weight in model.trainable_weights]
    moved = any(not np.array_equal(one, two) for one, two in zip(before, after, strict=True))
    device = str(model(x).device).rpartition("device:")[2]  # /job:localhost/replica:0/task:0/device:GPU:0
    facts |= {"device": device, "loss": loss if np.isfinite(loss) else None, "moved": moved}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver() -> str | None:
    """The version of NVIDIA's driver; nvidia-smi knows, and on Linux the driver itself says."""
    program = shutil.which("nvidia-smi")
    if program is not None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
            answer = subprocess.run(query, capture_output=True, text=True, timeout=20)
            if answer.returncode == 0 and answer.stdout.strip():
                return answer.stdout.split()[0]
    with contextlib.suppress(OSError):
        found = re.search(r"Module\s+(\d+[\d.]*)", Path("/proc/driver/nvidia/version").read_text(encoding="utf-8"))
        return found[1] if found else None
    return None


def _nvidia_card() -> bool | None:
    """Whether the machine has one, driver or not; ``None`` where that cannot be seen."""
    devices = Path("/sys/bus/pci/devices")
    if not devices.is_dir():
        return None
    with contextlib.suppress(OSError):
        return any(
            (device / "vendor").read_text().strip() == "0x10de" and (device / "class").read_text().startswith("0x03")
            for device in devices.iterdir()
        )
    return None


# From outside


def check_kernel(name: str, *, start_seconds: float = 120.0, seconds: float = 180.0) -> dict[str, Any]:
    """Start that very kernel, take a training step inside it, and return what was seen there.

    Args:
        name: A kernel of ``jupyter kernelspec list``.
        start_seconds: How long the kernel may take to start; with mixed precision it imports Keras then.
        seconds: How long each of the three stages may take.

    Returns:
        What :func:`collect_facts` saw in each stage, ``name`` and ``display_name``, and, when a stage failed,
        ``failed`` (``"start"``, ``"import"`` or ``"train"``) with ``error``. :func:`find_faults` judges it.

    Raises:
        ValueError: No such kernel, or Jupyter is not installed.
    """
    manager = _manager()
    _find(manager, name)
    from jupyter_client.manager import KernelManager

    spec = manager.get_kernel_spec(name)
    facts: dict[str, Any] = {
        "name": name,
        "display_name": spec.display_name,
        "choices": spec.metadata.get("tlkit"),
        "python": spec.argv[0] if spec.argv else "python",
    }
    kernel = KernelManager(kernel_name=name)
    with tempfile.TemporaryFile() as errors:
        try:
            kernel.start_kernel(stdout=subprocess.DEVNULL, stderr=errors)
        except OSError as error:
            return facts | {"failed": "start", "error": f"{type(error).__name__}: {error}"}
        client = kernel.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=start_seconds)
            for stage in _STAGES:
                facts |= _ask(kernel, client, stage, seconds)
                if "failed" in facts:
                    break
        except RuntimeError as error:  # died, or did not answer in time: jupyter_client says which
            facts |= {"failed": "start", "error": _with_last_line(str(error), errors)}
        finally:
            client.stop_channels()
            kernel.shutdown_kernel(now=True)
        if facts.get("failed") and facts.get("error") == "died":
            facts["error"] = _with_last_line("the kernel died", errors)
    return facts


def _ask(kernel: Any, client: Any, stage: str, seconds: float) -> dict[str, Any]:
    """The facts of one stage; a kernel that dies or does not answer is a fact as well."""
    from queue import Empty

    call = f"__import__('tlkit.kernels', fromlist=['kernels']).collect_facts({stage!r})"
    asked = client.execute("", silent=True, user_expressions={"facts": call})
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            reply = client.get_shell_msg(timeout=min(1.0, seconds))
        except Empty:
            if not kernel.is_alive():
                return {"failed": stage, "error": "died"}
            continue
        if reply["parent_header"].get("msg_id") != asked:
            continue
        answer = reply["content"].get("user_expressions", {}).get("facts", {})
        if answer.get("status") != "ok":
            return {"failed": stage, "error": f"{answer.get('ename')}: {answer.get('evalue')}"}
        found: dict[str, Any] = json.loads(ast.literal_eval(answer["data"]["text/plain"]))
        return found
    return {"failed": stage, "error": f"no answer in {seconds:.0f} seconds"}


def _with_last_line(error: str, errors: IO[bytes]) -> str:
    """The error, and what the kernel wrote to its terminal last: most often the reason."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"{error} ({lines[-1].strip()[:300]})" if lines else error


# Judging: from recorded facts to what is missing, with no GPU to hand


@dataclass(frozen=True)
class Finding:
    """What is missing, and the one command that mends it (``None``: no command does)."""

    text: str
    command: str | None = None


def find_faults(facts: dict[str, Any]) -> list[Finding]:
    """What keeps the kernel from what it was installed for; nothing when it does all of it.

    Args:
        facts: From :func:`check_kernel`, or recorded on another machine.
    """
    if "failed" in facts:
        return [_why_it_failed(facts)]
    faults = []
    if facts.get("policy_wanted") not in (None, facts["policy"]):
        text = f"Mixed precision was asked for, but Keras computes in {facts['policy']}."
        faults.append(Finding(text, _again(facts)))
    if not facts["moved"] or facts["loss"] is None:
        text = "The training step gave a loss that is no number, or moved no weight."
        faults.append(Finding(text, _again(facts, gpu=False)))
    if not facts["gpus"]:
        why = _why_no_gpu(facts)
        faults += [why] if why else []
    elif not facts["device"].startswith("GPU"):
        text = f"TensorFlow sees a GPU, but the step ran on {facts['device']}."
        faults.append(Finding(text, _pip(facts, 'install --upgrade "tlkit[gpu]"')))
    return faults


def summary(facts: dict[str, Any]) -> str:
    """One line: where the kernel trains, or that it does not."""
    if "failed" in facts:
        return f"The kernel {facts['name']!r} does not work."
    if facts["device"].startswith("GPU"):
        return f"The kernel {facts['name']!r} trains on the GPU."
    if not _choices(facts).gpu:
        return f"The kernel {facts['name']!r} trains on the CPU, as it was installed to."
    return f"The kernel {facts['name']!r} works, on the CPU: it has no GPU."


def describe(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What was seen, as pairs of a label and a value, for as far as the kernel came."""
    rows = [("kernel", facts["display_name"]), ("python", facts["python"])]
    if "platform" in facts:
        rows.append(("driver", facts["driver"] or "none found"))
    if "tensorflow" in facts:
        build = f"CUDA {facts['cuda']}, cuDNN {facts['cudnn']}" if facts["cuda_build"] else "without CUDA"
        rows += [
            ("tensorflow", f"{facts['tensorflow']}, built {'for ' if facts['cuda_build'] else ''}{build}"),
            ("keras", facts["keras"]),
            ("CUDA libraries", f"cuDNN {facts['cuda_libraries']}" if facts["cuda_libraries"] else "not there"),
            ("GPUs", ", ".join(facts["gpus"]) or "none"),
            ("memory growth", "on" if facts["memory_growth"] else "off"),
            ("policy", facts["policy"]),
            ("XLA", facts["xla"] or "as Keras chooses: the training step, on a GPU"),
        ]
    if "device" in facts:
        lost = facts["loss"] is None
        step = "loss is no number" if lost else f"on {facts['device']}, loss {facts['loss']:.4f}"
        rows.append(("training step", step))
    return rows


def _choices(facts: dict[str, Any]) -> Choices:
    """What the kernel was installed for; of a kernel that is not tlkit's, what tlkit would choose."""
    known = {field.name for field in fields(Choices)}
    return Choices(**{name: value is True for name, value in (facts.get("choices") or {}).items() if name in known})


def _again(facts: dict[str, Any], **changes: bool) -> str:
    """The command that installs the kernel again, with changes; a kernel that is not tlkit's gets one beside it."""
    choices = replace(_choices(facts), **changes)
    name = facts["name"] if facts.get("choices") else f"tlkit-{'gpu' if choices.gpu else 'cpu'}"
    return f"tlkit kernel install {choices.options} --name {name}"


def _pip(facts: dict[str, Any], arguments: str) -> str:
    python = f'"{facts["python"]}"' if " " in facts["python"] else facts["python"]
    return f"{python} -m pip {arguments}"


def _why_it_failed(facts: dict[str, Any]) -> Finding:
    stage, error = facts["failed"], one_line(facts["error"], 2000)

    def says(pattern: str) -> bool:
        return re.search(pattern, error, re.IGNORECASE) is not None

    # From the particular to the general: the first that applies is the one.
    rules = [
        (says(r"No module named '?ipykernel"), _pip(facts, "install ipykernel")),
        (says(r"No module named '?tlkit"), _pip(facts, "install tlkit")),
        (says(r"No module named '?(tensorflow|keras)"), _pip(facts, "install tensorflow keras")),
        (stage == "start" and says("FileNotFoundError|No such file|cannot find"), _again(facts)),
        (says("didn't respond|no answer"), f"tlkit kernel check --name {facts['name']} --seconds 600"),
        (stage == "import" and bool(facts.get("metal")), _pip(facts, "uninstall -y tensorflow-metal")),
        (stage == "import" and says("ImportError|DLL|GLIBC"), _pip(facts, "install --force-reinstall tensorflow")),
        (
            stage == "train" and says("memory|RESOURCE_EXHAUSTED|OOM") and not facts.get("memory_growth"),
            _again(facts, memory_growth=True),
        ),
        (
            stage == "train" and says("libdevice|ptxas|cudnn|DNN library|cublas"),
            _pip(facts, 'install --upgrade "tlkit[gpu]"'),
        ),
        (stage == "train" and bool(facts.get("gpus")), _again(facts, gpu=False)),
    ]
    short = error if len(error) <= 300 else f"{error[:297]}..."
    text = f"It failed while {_STAGES[stage]}: {short}"
    return Finding(text, next((command for applies, command in rules if applies), None))


def _why_no_gpu(facts: dict[str, Any]) -> Finding | None:
    if not _choices(facts).gpu:
        return None  # as it was installed
    if facts["visible_devices"] in ("", "-1"):
        return Finding("CUDA_VISIBLE_DEVICES hides every GPU: unset it where Jupyter is started.")
    if facts["platform"] == "win32":
        return Finding("TensorFlow above 2.10 has no GPU support on Windows itself; in WSL2 it has.", "wsl --install")
    if facts["platform"] == "darwin":
        return Finding(
            "TensorFlow has no official GPU support on macOS, and tensorflow-metal does not load in 2.18 and later "
            "(tensorflow issue 84167)."
        )
    driver = facts["driver"]
    if driver is None:
        if facts["wsl"]:
            return Finding("NVIDIA's driver is not there; for WSL2 it is installed in Windows, not in Linux.")
        if facts["nvidia_card"]:
            return Finding("There is an NVIDIA card without its driver: install your system's driver package.")
        return Finding("There is no NVIDIA driver, so most likely no GPU that TensorFlow could use.")
    if not facts["cuda_build"]:
        text = f"Driver {driver} is there, but this TensorFlow is built without CUDA."
        return Finding(text, _pip(facts, 'install --force-reinstall "tlkit[gpu]"'))
    if not facts["cuda_libraries"]:
        text = f"Driver {driver} is there, but the CUDA libraries that TensorFlow loads are not."
        return Finding(text, _pip(facts, 'install "tlkit[gpu]"'))
    text = (
        f"Driver {driver} and the CUDA libraries (cuDNN {facts['cuda_libraries']}) are there, but TensorFlow, for "
        f"CUDA {facts['cuda']}, finds no GPU: the driver is too old, or other versions of the libraries come first."
    )
    return Finding(text, _pip(facts, 'install --upgrade --force-reinstall "tlkit[gpu]"'))
