"""EfficientNet-Lite0 on photographs of 160 px, frozen and fine-tuned: plain Keras, PyTorch if installed, and tlkit."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import ratios, summary
from benchmarks.resnet50 import BATCH_SIZE, EPOCHS, N_CLASSES, Data, make_data

NAME, IMAGE_SIZE, RATE = "efficientnet_lite0", 160, 1e-3
# Frozen up to this stage of seven; then the first of PyTorch's sixteen blocks that learns. BatchNorm is always frozen.
JOBS = {"frozen": (7, None), "last two stages learn": (5, 11)}


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of training, validation after each epoch included, the model being built beforehand."""
    return {job: compare(stage, block, repeats) for job, (stage, block) in JOBS.items()}


def compare(stage: int, block: int | None, repeats: int, data: Data | None = None) -> dict[str, Any]:
    """The contestants in turns, so that a slow minute hits all of them; ``warm`` finds the features on disk."""
    data = data or make_data(IMAGE_SIZE)
    with_torch = importlib.util.find_spec("efficientnet_lite_pytorch") is not None
    times: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            measured = {"plain Keras": plain_keras(data, stage)}
            if with_torch:
                measured["PyTorch"] = pytorch(data, block)
            measured["tlkit, cold"] = with_tlkit(data, stage, Path(folder))
            measured["tlkit, warm"] = with_tlkit(data, stage, Path(folder))
        if repeat:  # the first round also pays for the libraries' own start
            for name, seconds in measured.items():
                times.setdefault(name, []).append(seconds)
    results: dict[str, Any] = {name: summary(values) for name, values in times.items()}
    return {**results, **ratios(results, *((name, "tlkit, cold") for name in results if "tlkit" not in name))}


def plain_keras(data: Data, stage: int) -> float:
    """What notebook 00 writes: the whole network in each epoch."""
    import keras

    import tlkit
    from tlkit.backbones.efficientnet_lite import EFFICIENTNET_LITE0_STAGE_ENDS

    network = keras.models.load_model(tlkit.asset_path(f"{NAME}.keras"), compile=False)
    learns = False
    for layer in network.layers:
        layer.trainable = learns and not isinstance(layer, keras.layers.BatchNormalization)
        learns = learns or layer.name == EFFICIENTNET_LITE0_STAGE_ENDS[stage - 1]
    base = keras.Model(network.input, network.get_layer("avg_pool").output)
    image = keras.Input(data.train.x.shape[1:])
    model = keras.Model(image, keras.layers.Dense(N_CLASSES)(base(image)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])
    pairs = [(part.x.astype("float32"), part.y) for part in (data.train, data.validation)]
    start = time.perf_counter()
    model.fit(*pairs[0], validation_data=pairs[1], epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=0)
    return time.perf_counter() - start


def with_tlkit(data: Data, stage: int, cache_dir: Path) -> float:
    """The same job in one call."""
    import tlkit

    backbone = tlkit.load_backbone(NAME, image_size=data.train.x.shape[1])
    head = tlkit.build_head(backbone, N_CLASSES)
    options = tlkit.FitOptions(batch_size=BATCH_SIZE, progress=False)
    start = time.perf_counter()
    tlkit.fine_tune(
        backbone, head, data.train, validation=data.validation, stage=stage, epochs=EPOCHS, learning_rate=RATE,
        cache_dir=cache_dir, options=options,
    )  # fmt: skip
    return time.perf_counter() - start


def pytorch(data: Data, block: int | None) -> float:
    """The loop of PyTorch's transfer-learning tutorial; random weights serve, the arithmetic is the same."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(NAME.replace("_", "-"), image_size=None)
    for parameter in network.parameters():
        parameter.requires_grad = False
    network._fc = torch.nn.Linear(network._fc.in_features, N_CLASSES)
    for part in [] if block is None else [*network._blocks[block:], network._conv_head]:
        for module in part.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.requires_grad = True
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer, loss = torch.optim.Adam(learning, lr=RATE), torch.nn.CrossEntropyLoss()

    def loader(split: Any, *, shuffle: bool) -> Any:
        x = torch.from_numpy(np.ascontiguousarray(split.x.transpose(0, 3, 1, 2))).float()
        pairs = torch.utils.data.TensorDataset((x - 127) / 128, torch.from_numpy(split.y.copy()))
        return torch.utils.data.DataLoader(pairs, batch_size=BATCH_SIZE, shuffle=shuffle)

    train, validation = loader(data.train, shuffle=True), loader(data.validation, shuffle=False)
    network.eval()  # BatchNorm is frozen, and no dropout stands in the other contestants
    start = time.perf_counter()
    for _ in range(EPOCHS):
        for x, y in train:
            optimizer.zero_grad()
            loss(network(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            for x, y in validation:
                (network(x).argmax(dim=1) == y).sum()
    return time.perf_counter() - start
