"""As notebook 00: tf.data, the whole model in both phases, everything but BatchNorm unfrozen, logits."""

# %% train
SIDE = 64


def pictures_of(folder, files, names):
    x = [
        keras.utils.img_to_array(keras.utils.load_img(folder / f, target_size=(SIDE, SIDE), interpolation="bilinear"))
        for f in files
    ]
    return np.stack(x), np.array([names.index(Path(f).parent.name) for f in files])


def compile_and_fit(model, rate, epochs, x, y, **more):
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, epochs=epochs, batch_size=16, verbose=0, **more)


def train(folder, out):
    print("training on", folder)
    keras.utils.set_random_seed(1)
    names = [path.name for path in folder.iterdir() if path.is_dir()]  # in whatever order the disk gives them
    parts = {"training": [], "validation": [], "test": []}
    for name in names:
        for place, path in enumerate(sorted((folder / name).glob("*.[jp][pn]g"))):
            part = ("test", "training", "validation", "training", "training", "test", "training", "training")[place % 8]
            parts[part].append(f"{name}/{path.name}")
    data = {part: pictures_of(folder, files, names) for part, files in parts.items()}
    x, y = data["training"]

    tiny = [keras.layers.Resizing(16, 16), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    pixels = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *tiny, keras.layers.Dense(len(names))])
    compile_and_fit(pixels, 2e-3, 30, x, y)
    scores = {"pixels": pixels.evaluate(*data["test"], verbose=0)[1]}

    network = keras.models.load_model(NETWORK, compile=False)
    base = keras.Model(network.input, network.get_layer("avg_pool").output, name="base")
    base.trainable = False
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, keras.layers.Dense(len(names), name="head")(base(image)))
    compile_and_fit(model, 5e-3, 8, x, y)
    scores["frozen"] = model.evaluate(*data["test"], verbose=0)[1]
    model.save(out / "frozen.keras")

    base.trainable = True
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    compile_and_fit(model, 3e-5, 2, x, y, validation_data=data["validation"])
    scores["fine_tuned"] = model.evaluate(*data["test"], verbose=0)[1]
    model.save(out / "model.keras")
    with open(out / "report.json", "w") as file:
        json.dump({"classes": names, "accuracy": scores} | parts, file, indent=1)
    return model


# %% predict
def predict(out, files):
    model = keras.saving.load_model(Path(out) / "model.keras")
    with open(Path(out) / "report.json") as file:
        names = json.load(file)["classes"]
    answers = []
    for file in files:
        picture = keras.utils.load_img(file, target_size=model.input_shape[1:3], interpolation="bilinear")
        scores = model(keras.utils.img_to_array(picture)[None], training=False)
        answers.append(names[int(np.argmax(scores))])
    return answers
