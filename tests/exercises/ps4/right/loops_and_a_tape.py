"""Loops, flags from the back, predictions counted by hand, and a training loop with GradientTape."""


# %% choose_boundary
def choose_boundary(validation, test):
    best, chosen = max(np.mean(row) for row in validation), None
    for stage in range(len(validation)):
        if np.mean(validation[stage]) > best - 0.01:
            chosen = stage
    return [chosen, float(np.mean(test[chosen]))]


# %% freeze_stages
def freeze_stages(backbone, stage):
    backbone.model.trainable = True
    learns = True
    ends = backbone.stage_ends[:stage]
    for layer in reversed(backbone.model.layers):
        if ends and layer.name == ends[-1]:
            learns = False
        layer.trainable = learns
        if "BatchNorm" in type(layer).__name__:
            layer.trainable = False
    return backbone


# %% two_phases
def two_phases(backbone, head, train, stage, learning_rate, fit):
    for part, rate in [(len(backbone.stage_ends), learning_rate), (stage, learning_rate * 0.1)]:
        freeze_stages(backbone, part)
        fit(keras.Sequential([backbone.model, head]), train, rate)


# %% measure_forgetting
def measure_forgetting(backbone, source_head, source_test, tune):
    right = []
    for act in (lambda: None, tune):
        act()
        answers = source_head(backbone.model(source_test.x, training=False))
        right.append(sum(int(a == b) for a, b in zip(np.argmax(answers, axis=1), source_test.y)))
    return (right[0] - right[1]) / len(source_test.y)


# %% repaired
import tensorflow as tf


def repaired(backbone, head, train):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    last = backbone.model.layers[-3]
    for variables in (head.trainable_variables, [*head.trainable_variables, *last.trainable_variables]):
        optimizer = keras.optimizers.Adam(0.02)
        for _ in range(30):
            with tf.GradientTape() as tape:
                value = loss(train.y, head(backbone.model(train.x, training=False)))
            optimizer.apply_gradients(zip(tape.gradient(value, variables), variables))
    return keras.Sequential([backbone.model, head])
