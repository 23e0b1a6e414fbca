"""Models with code in them, of a module os, with 10**12 weights, and states of models that are not its own."""

# %% softmax
# uses: peer, answering

import json


def layer(name, module="keras.layers", **config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def model(*layers, **more):
    inner = {"name": "m", "trainable": True, "layers": [layer("InputLayer", batch_shape=[None, 3], name="i"), *layers]}
    text = json.dumps(layer("Sequential", "keras", **inner))
    return {"~": "model", "id": 1, "config": text, "paths": [], "state": {"flags": [], "weights": []}, **more}


MODELS = [
    model(layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wAAAA=="}})),
    model(layer("system", "os", command="id")),
    model(layer("Popen", "subprocess", args="id")),
    model(layer("get_file", "keras.utils", origin="file:///etc/passwd")),
    model(layer("StringLookup", vocabulary="/etc/passwd", name="s")),
    model(layer("TFSMLayer", filepath="/tmp")),
    model(layer("Dense", units=10**12, name="d")),
    model(layer("Dense", units=1, name="d"), id=0),
    model(layer("Dense", units=1, name="d"), paths=[[["d"], 0, False]]),
    model(layer("Dense", units=1, name="d"), paths=[[["d"], 2, True]]),
    {"~": "model", "id": 0},
    {"~": "model", "id": [], "paths": []},
    {"~": "model", "id": "x", "config": "{"},
]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    PEER.wire.send({"n": LAST[0], "do": "done", "value": MODELS[TURN[0] % len(MODELS)], "states": [[0, {"flags": []}]]})
    return Z * 0.0
