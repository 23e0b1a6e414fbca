"""Ten cached views against live augmentation: frozen resnet_printed, 100 labels of mnist, the same number of steps."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.measure import ratios, summary

EPOCHS, VIEWS, SEEDS, LEARNING_RATE = 100, 10, 5, 3e-3


def run(seeds: int = SEEDS) -> dict[str, Any]:
    """Seconds and test accuracy of both ways and of no augmentation; each takes the same number of steps."""
    import keras

    import tlkit

    pair = tlkit.load_pair()
    backbone = tlkit.load_backbone("resnet_printed")
    tlkit.freeze_to(backbone, backbone.n_stages)
    test = tlkit.cache_features(backbone.model, pair.target.test, cache_dir="memory")

    def augment(seed: int) -> keras.Sequential:
        return keras.Sequential(
            [
                keras.layers.RandomRotation(0.03, fill_mode="constant", seed=seed),
                keras.layers.RandomTranslation(0.07, 0.07, fill_mode="constant", seed=seed + 1),
                keras.layers.RandomZoom(0.1, fill_mode="constant", seed=seed + 2),
            ]
        )

    def live(few: tlkit.Split, head: keras.Model, seed: int) -> None:
        image = keras.Input(few.x.shape[1:])
        model = keras.Model(image, head(backbone.model(augment(seed)(image))))
        tlkit.fit(model, few, epochs=EPOCHS, learning_rate=LEARNING_RATE, seed=seed, progress=False)

    def cached(few: tlkit.Split, head: keras.Model, seed: int) -> None:
        features = tlkit.cache_features(
            backbone.model, few, views=VIEWS, augment=augment(seed), seed=seed, cache_dir="memory"
        )
        tlkit.fit(head, features, epochs=EPOCHS // VIEWS, learning_rate=LEARNING_RATE, seed=seed, progress=False)

    def without(few: tlkit.Split, head: keras.Model, seed: int) -> None:
        features = tlkit.cache_features(backbone.model, few, cache_dir="memory")
        tlkit.fit(head, features, epochs=EPOCHS, learning_rate=LEARNING_RATE, seed=seed, progress=False)

    ways = {"live": live, "cached views": cached, "no augmentation": without}
    times: dict[str, list[float]] = {name: [] for name in ways}
    accuracies: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(seeds):
        few = pair.target.train.take(10, seed=seed)
        for name, way in ways.items():
            head = tlkit.build_head(backbone, 10, seed=seed)
            start = time.perf_counter()
            way(few, head, seed)
            times[name].append(time.perf_counter() - start)
            accuracies[name].append(tlkit.accuracy(head, test))
    results: dict[str, Any] = {name: summary(values) for name, values in times.items()}
    for name, values in accuracies.items():
        mean, half = tlkit.mean_interval(values)
        results[f"accuracy, {name}"] = f"{mean:.4f} ± {half:.4f} over {seeds} seeds"
    difference, half = tlkit.mean_interval(
        [a - b for a, b in zip(accuracies["cached views"], accuracies["live"], strict=True)]
    )
    results["accuracy, cached minus live"] = f"{difference:+.4f} ± {half:.4f}"
    return {**results, **ratios(results, ("live", "cached views"))}
