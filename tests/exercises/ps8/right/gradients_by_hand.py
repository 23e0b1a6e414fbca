"""NumPy and PIL; softmax regression by hand for head and baseline; the top convolution learns on by gradients by hand."""

# %% train
import os

import tensorflow as tf
from PIL import Image

SIZE = 80


def picture(path):
    return np.asarray(Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.float32)


def softmax_regression(x, y, n_classes, rate, steps):
    """Kernel and bias by gradient descent on standardised inputs, for inputs as they are."""
    centre, scale = x.mean(axis=0), x.std() + 1e-6
    z, target = (x - centre) / scale, np.eye(n_classes)[y]
    kernel, bias = np.zeros((x.shape[1], n_classes)), np.zeros(n_classes)
    for _ in range(steps):
        scores = z @ kernel + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        kernel -= rate * (z.T @ (p - target) / len(z) + 1e-3 * kernel)
        bias -= rate * (p - target).mean(axis=0)
    return kernel / scale, bias - centre @ kernel / scale


def train(folder, out):
    rng = np.random.default_rng(12)
    classes = sorted((entry.name for entry in os.scandir(folder) if entry.is_dir()), reverse=True)
    report = {"classes": classes, "training": [], "validation": [], "test": []}
    for name in classes:
        files = rng.permutation(
            [f"{name}/{f}" for f in os.listdir(folder / name) if f.lower().endswith(("jpg", "png"))]
        )
        cut = [len(files) * 6 // 10, len(files) * 6 // 10 + 1]
        for part, some in zip(("training", "validation", "test"), np.split(files, cut), strict=True):
            report[part] += some.tolist()
    x = {part: np.stack([picture(folder / f) for f in report[part]]) for part in ("training", "test")}
    y = {part: np.array([classes.index(os.path.dirname(f)) for f in report[part]]) for part in x}

    small = {part: images[:, 4::8, 4::8].reshape(len(images), -1).astype(float) for part, images in x.items()}
    kernel, bias = softmax_regression(small["training"], y["training"], len(classes), 0.02, 200)
    right = (small["test"] @ kernel + bias).argmax(axis=1) == y["test"]
    accuracy = {"pixels": right.mean()}

    network = keras.models.load_model(NETWORK, compile=False)
    below = keras.Model(network.input, network.layers[-6].output)  # up to the last block
    assert network.layers[-5].name == "top_conv"
    maps = {part: np.asarray(below(images, training=False)) for part, images in x.items()}
    maps_in = keras.Input(maps["test"].shape[1:])
    tensor = maps_in
    for layer in network.layers[-5:-1]:
        tensor = layer(tensor)
    top = keras.Model(maps_in, tensor)
    pooled = {part: np.asarray(top(values, training=False)).astype(float) for part, values in maps.items()}
    head = keras.layers.Dense(len(classes))
    image = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(image, head(top(below(image))))
    head.set_weights(softmax_regression(pooled["training"], y["training"], len(classes), 0.1, 200))

    def share_right():
        return np.mean(np.asarray(head(top(maps["test"], training=False))).argmax(axis=1) == y["test"])

    model.save(out / "frozen.keras")
    accuracy["frozen"] = share_right()
    convolution = network.get_layer("top_conv")
    for _ in range(5):
        with tf.GradientTape() as tape:
            scores = head(top(maps["training"], training=False))
            loss = keras.losses.sparse_categorical_crossentropy(y["training"], scores, from_logits=True)
            loss = keras.ops.mean(loss)
        (slope,) = tape.gradient(loss, [convolution.kernel.value])
        convolution.kernel.assign_sub(0.002 * slope / (tf.norm(slope) + 1e-9) * tf.norm(convolution.kernel))
    accuracy["fine_tuned"] = share_right()
    model.save(out / "model.keras")
    report["accuracy"] = {name: float(value) for name, value in accuracy.items()}
    with open(out / "report.json", "w") as file:
        json.dump(report, file)


# %% predict
def predict(out, files):
    model = keras.models.load_model(out / "model.keras", safe_mode=True)
    scores = np.concatenate([np.asarray(model(picture(file)[None])) for file in files])
    with open(out / "report.json") as file:
        names = json.load(file)["classes"]
    return [names[i] for i in scores.argmax(1)]
