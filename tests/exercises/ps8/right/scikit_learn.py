"""scikit-learn splits, and fits head and baseline; the head is written into a layer of one flat model with a softmax."""

# %% train
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier


def load(folder, files, side):
    return np.stack(
        [
            np.asarray(
                keras.utils.load_img(folder / f, target_size=(side, side), interpolation="bilinear"), dtype="float32"
            )
            for f in files
        ]
    )


def train(folder, out):
    files = np.array(
        [f"{path.parent.name}/{path.name}" for path in folder.rglob("*/*") if path.suffix in {".png", ".jpg"}]
    )
    y = np.array([file.split("/")[0] for file in files])
    rest, test = train_test_split(np.arange(len(files)), test_size=0.3, stratify=y, random_state=4)
    training, validation = train_test_split(rest, test_size=0.2, stratify=y[rest], random_state=4)
    x = load(folder, files, 96)

    grey = x[:, ::6, ::6].reshape(len(x), -1)
    nearest = KNeighborsClassifier(3).fit(grey[training], y[training])
    accuracy = {"pixels": nearest.score(grey[test], y[test])}

    network = keras.models.load_model(NETWORK)
    trunk = keras.Model(network.input, network.get_layer("avg_pool").output)
    features = np.concatenate([trunk(x[i : i + 20], training=False) for i in range(0, len(x), 20)])
    found = LogisticRegression(C=0.05, max_iter=500).fit(features[training], y[training])
    classes = found.classes_.tolist()
    image = keras.Input((96, 96, 3))
    flat = keras.models.clone_model(trunk, input_tensors=image)
    flat.set_weights(trunk.get_weights())
    model = keras.Model(image, keras.layers.Dense(len(classes), activation="softmax")(flat.output))
    model.layers[-1].set_weights([found.coef_.T, found.intercept_])

    def score(model):
        said = np.concatenate([model(x[test][i : i + 20], training=False) for i in range(0, len(test), 20)])
        return float(np.mean(np.array(classes)[said.argmax(axis=1)] == y[test]))

    model.save(out / "frozen.keras")
    accuracy["frozen"] = score(model)
    for layer in model.layers:
        layer.trainable = layer.name in ("block7a_project_conv", "top_conv") or layer is model.layers[-1]
    model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    model.fit(x[training], np.searchsorted(classes, y[training]), epochs=3, batch_size=20, verbose=0)
    model.save(out / "model.keras")
    accuracy["fine_tuned"] = score(model)
    parts = {"training": training, "validation": validation, "test": test}
    report = {"classes": classes, "accuracy": accuracy} | {name: files[part].tolist() for name, part in parts.items()}
    (out / "report.json").write_text(json.dumps(report))


# %% predict
def predict(out, files):
    classes = json.loads((out / "report.json").read_text())["classes"]
    scores = keras.models.load_model(out / "model.keras").predict(load(Path(), files, 96), verbose=0)
    return np.array(classes)[scores.argmax(axis=1)].tolist()
