import tensorflow as tf


def two_parts(x, y, seed):
    examples = tf.data.Dataset.from_tensor_slices((x, y))
    examples = examples.shuffle(len(x), seed=seed, reshuffle_each_iteration=False)
    cut = len(x) * 3 // 4
    return examples.take(cut).batch(20), examples.skip(cut).batch(20)
