"""Keras' operations and tensors of 32 bits, the gradients by GradientTape."""

# %% softmax
import keras
import tensorflow as tf


def softmax(Z):
    return keras.ops.softmax(keras.ops.convert_to_tensor(Z, "float32"), axis=-1)


# %% cross_entropy
def cross_entropy(Z, Y):
    Z, Y = tf.cast(Z, "float32"), tf.cast(Y, "float32")
    return keras.ops.mean(keras.losses.categorical_crossentropy(Y, Z, from_logits=True))


# %% logit_gradient
def logit_gradient(Z, Y):
    Z = tf.Variable(Z)
    with tf.GradientTape() as tape:
        loss = cross_entropy(Z, Y)
    return tape.gradient(loss, Z)


# %% head_gradients
def head_gradients(W, b, X, Y):
    W, b = tf.Variable(W), tf.Variable(b)
    with tf.GradientTape() as tape:
        loss = cross_entropy(tf.matmul(X, W, transpose_b=True) + b, Y)
    return tape.gradient(loss, [W, b])


# %% gradients_agree
def gradients_agree(one, other):
    difference = keras.ops.max(keras.ops.abs(one - other))
    size = keras.ops.maximum(keras.ops.max(keras.ops.abs(one)), keras.ops.max(keras.ops.abs(other)))
    return difference <= 1e-4 * size


# %% sgd_step
def sgd_step(theta, gradient, learning_rate):
    variable = keras.Variable(theta, dtype="float64")
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.apply([keras.ops.convert_to_tensor(gradient, "float64")], [variable])
    return variable
