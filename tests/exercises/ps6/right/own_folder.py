"""A folder of images written to disk; repeated hold-out; a head of two layers trained by tlkit.fit; lists and sets."""

# %% load_target
import tempfile
from pathlib import Path

from PIL import Image


def load_target():
    folder = Path(tempfile.mkdtemp()) / "my_images"
    rng = np.random.default_rng(5)
    for name in ("stripes", "squares", "nothing"):
        (folder / name).mkdir(parents=True)
        for number in range(50):
            page = rng.normal(120, 40, size=(40, 50)).clip(0, 255)
            row, column = rng.integers(5, 20, size=2)
            if name == "stripes":
                page[row : row + 15 : 4] = 255
            elif name == "squares":
                page[row : row + 12, column : column + 12] = 255
            Image.fromarray(page.astype("uint8")).save(folder / name / f"{number:03}.png")
    return tlkit.load_folder(folder, image_size=28, channels=1, test_fraction=0.5, seed=1)


# %% affordable
def affordable(budget):
    return {
        (name, depth) for name in NETWORKS for depth in range(1, 6) if tlkit.multiply_adds(cut(name, depth)) <= budget
    }


# %% choose
def choose(labelled, budget):
    rng = np.random.default_rng(3)
    held_out = []
    for _ in range(5):
        order = rng.permutation(len(labelled))
        held_out.append(
            np.concatenate(
                [
                    order[labelled.y[order] == k][: len(labelled) // len(np.unique(labelled.y)) // 3]
                    for k in np.unique(labelled.y)
                ]
            )
        )

    def validated(plan):
        features = tlkit.cache_features(cut(*plan), labelled, cache_dir="memory")
        scores = []
        for part in held_out:
            rest = np.setdiff1d(np.arange(len(labelled)), part)
            scores.append(tlkit.linear_probe(features[rest], features[part]))
        return sum(scores)

    return max(sorted(affordable(budget)), key=validated)


# %% build_and_train
def build_and_train(labelled, plan, seed):
    base = cut(*plan)
    backbone = tlkit.wrap_backbone(base, (base.layers[-1].name,), "cut")
    tlkit.freeze_to(backbone, stage=1)
    head = tlkit.build_head(backbone, int(labelled.y.max()) + 1, hidden=(64,), dropout=0.2, seed=seed)
    features = tlkit.cache_features(base, labelled, cache_dir="memory")
    tlkit.fit(head, features, epochs=40, learning_rate=3e-3, batch_size=16, seed=seed, progress=False)
    return tlkit.join(base, head)


# %% compare
def compare(domain, train_model, seeds):
    print("comparing", domain.name)
    rows = []
    for seed in seeds:
        few = domain.train.take(PER_CLASS, seed=seed)
        right = tlkit.predict_classes(train_model(few, seed), domain.test) == domain.test.y
        rows += [(sum(right) / len(right), tlkit.linear_probe(few, domain.test))]
    return rows


# %% gain
from scipy import stats


def gain(scores):
    gains = [row[0] - row[1] for row in scores]
    low, high = stats.t.interval(0.95, len(gains) - 1, np.mean(gains), stats.sem(gains))
    return [np.mean(gains), low, high]


# %% my_result
def my_result():
    target = load_target()
    plan = choose(target.train.take(PER_CLASS, seed=0), MULTIPLY_ADDS)
    return plan, compare(target, lambda few, seed: build_and_train(few, plan, seed), [0, 1, 2, 3, 4])
