"""The frozen job in other libraries, where they are installed: PyTorch's tutorial loop and KerasHub's classifier."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import ratios, summary
from benchmarks.resnet50 import BATCH_SIZE, EPOCHS, HIDDEN, N_CLASSES, Data, make_data, with_tlkit


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of each library that is installed, in turns."""
    data = make_data()
    contestants: dict[str, Any] = {"tlkit": _tlkit}
    if importlib.util.find_spec("torchvision") is not None:
        contestants["PyTorch"] = _torch
    if importlib.util.find_spec("keras_hub") is not None:
        contestants["KerasHub"] = _keras_hub
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, job in contestants.items():
            seconds = job(data)
            if repeat:  # the first round also pays for the libraries' own start
                times[name].append(seconds)
    results: dict[str, Any] = {name: summary(values) for name, values in times.items()}
    return {**results, **ratios(results, *((name, "tlkit") for name in contestants if name != "tlkit"))}


def _tlkit(data: Data) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return with_tlkit(data, stage=5, cache_dir=Path(folder))


def _torch(data: Data) -> float:
    """The loop that PyTorch's transfer-learning tutorial describes: frozen features, a new head, a pass an epoch."""
    import torch
    import torchvision

    model = torchvision.models.resnet50(weights=None)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = torch.nn.Sequential(
        torch.nn.Linear(model.fc.in_features, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, N_CLASSES)
    )
    optimizer, loss = torch.optim.Adam(model.fc.parameters(), lr=1e-3), torch.nn.CrossEntropyLoss()

    def loader(split: Any, shuffle: bool) -> Any:
        x = torch.from_numpy(np.ascontiguousarray(split.x.transpose(0, 3, 1, 2))).float() / 255
        pairs = torch.utils.data.TensorDataset(x, torch.from_numpy(split.y.copy()))
        return torch.utils.data.DataLoader(pairs, batch_size=BATCH_SIZE, shuffle=shuffle)

    train, validation = loader(data.train, True), loader(data.validation, False)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in validation:
                (model(x).argmax(dim=1) == y).sum()
    return time.perf_counter() - start


def _keras_hub(data: Data) -> float:
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3], stackwise_num_strides=[1, 2, 2, 2], block_type="bottleneck_block",
        image_shape=data.train.x.shape[1:],
    )  # fmt: skip
    backbone.trainable = False
    model = keras_hub.models.ImageClassifier(backbone=backbone, num_classes=N_CLASSES, preprocessor=None)
    start = time.perf_counter()
    model.fit(
        data.train.x.astype("float32"), data.train.y, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=0,
        validation_data=(data.validation.x.astype("float32"), data.validation.y),
    )  # fmt: skip
    return time.perf_counter() - start
