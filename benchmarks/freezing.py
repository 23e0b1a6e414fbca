"""What caching saves on the bundled pair: 100 labels, 20 epochs, training the tail cached against the whole model."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import alternate


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds of both ways at each frozen stage, and their ratio. The weights that come out are equal."""
    import tlkit

    few = tlkit.load_domain("mnist").train.take(10, seed=0)

    def train(stage: int, *, cached: bool) -> None:
        backbone = tlkit.load_backbone("resnet_printed")
        head = tlkit.build_head(backbone, 10)
        tlkit.freeze_to(backbone, stage)
        trunk, tail = tlkit.split_at(backbone, stage)
        if cached:
            tlkit.fit(
                tlkit.join(tail, head),
                tlkit.cache_features(trunk, few, cache_dir="memory"),
                epochs=20,
                learning_rate=1e-3,
            )
        else:
            tlkit.fit(tlkit.join(backbone.model, head), few, epochs=20, learning_rate=1e-3)

    train(5, cached=True)  # the first use of TensorFlow is no one's fault
    results: dict[str, Any] = {}
    for stage in range(1, 6):
        times = alternate(
            {
                "whole": lambda stage=stage: train(stage, cached=False),
                "cached": lambda stage=stage: train(stage, cached=True),
            },
            repeats,
        )
        results[f"frozen to stage {stage}"] = {
            **times,
            "ratio of medians": times["whole"]["median"] / times["cached"]["median"],
        }
    return results
