"""Kinds of networks that somebody may have saved: builders with random weights, each the smallest of its kind.

A builder uses Keras alone, as somebody does who has never heard of tlkit. Images are raw pixels in 0..255, texts ids.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras

L, ops = keras.layers, keras.ops
IMAGE = (16, 16, 3)
WORDS, LENGTH = 30, 9  # ids of the vocabulary, 0 being padding, and tokens of the longest text


@dataclass(frozen=True)
class Kind:
    """How a kind is built, and what is known of it before it is tried.

    Args:
        build: Makes the network, from images or ids.
        drops: The first stage that draws at random while it trains, even when it is frozen, so that cached training is
            another training (:func:`tlkit.features.cache_features`); 0 where none does.
        rounds: Its frozen part multiplies matrices or averages over maps, which add up a batch of another size in
            another order, by oneDNN as well.
        eps: The precision that it computes in.
        not_exported: What the one line holds that refuses to export it; nothing where it is exported.
    """

    build: Callable[[], keras.Model]
    drops: int = 0
    rounds: bool = False
    eps: float = float(np.finfo(np.float32).eps)
    not_exported: tuple[str, ...] = ()


def model_of(body: Callable[[Any], Any], shape: tuple[int | None, ...] = IMAGE, **rescaling: Any) -> keras.Model:
    """A network from raw pixels, which it brings to -1..1, through ``body``."""
    image = keras.Input(shape, name="image")
    return keras.Model(image, body(L.Rescaling(1 / 127.5, offset=-1.0, **rescaling)(image)), name="network")


def conv(filters: int, size: int = 3, **options: Any) -> Any:
    return L.Conv2D(filters, size, padding="same", **options)


def stem(x: Any, filters: int = 6) -> Any:
    """What most networks begin with: half of the side, and batch normalization."""
    return L.ReLU()(L.BatchNormalization()(conv(filters, strides=2, use_bias=False)(x)))


# Networks of keras.applications -------------------------------------------------------------------------------------


def application(name: str, size: int, **options: Any) -> Callable[[], keras.Model]:
    options = {"include_top": False, "input_shape": (size, size, 3), "weights": None, **options}
    return lambda: getattr(keras.applications, name)(**options)


APPLICATIONS = {
    "MobileNet": Kind(application("MobileNet", 32, alpha=0.25)),
    "MobileNet with its top": Kind(
        application("MobileNet", 32, alpha=0.25, include_top=True, classes=5, classifier_activation=None, dropout=0.0)
    ),
    "MobileNetV2": Kind(application("MobileNetV2", 32, alpha=0.35)),
    "MobileNetV3Small": Kind(application("MobileNetV3Small", 32, alpha=0.75)),
    "MobileNetV3Large": Kind(application("MobileNetV3Large", 32, alpha=0.75, minimalistic=True)),
    "EfficientNetB0": Kind(application("EfficientNetB0", 32), drops=2),
    "EfficientNetV2B0": Kind(application("EfficientNetV2B0", 32), drops=2),
    "DenseNet121": Kind(application("DenseNet121", 32)),
    "NASNetMobile": Kind(application("NASNetMobile", 32)),
    "ResNet50": Kind(application("ResNet50", 32)),
    "ResNet50V2": Kind(application("ResNet50V2", 32)),
    "ConvNeXtTiny": Kind(application("ConvNeXtTiny", 32)),
    "Xception": Kind(application("Xception", 71)),
    "InceptionV3": Kind(application("InceptionV3", 75)),
    "InceptionResNetV2": Kind(application("InceptionResNetV2", 75)),
    "VGG16": Kind(application("VGG16", 32)),
}


# Networks of images -------------------------------------------------------------------------------------------------


def unet() -> keras.Model:
    def body(x: Any) -> Any:
        x = stem(x)
        high = L.ReLU()(conv(6)(x))
        mid = L.ReLU()(conv(8)(L.MaxPooling2D()(high)))
        low = L.ReLU()(conv(12)(L.MaxPooling2D()(mid)))
        up = L.Concatenate()([L.Conv2DTranspose(8, 2, strides=2)(low), mid])
        up = L.Concatenate()([L.UpSampling2D()(L.ReLU()(conv(8)(up))), high])
        return L.GlobalAveragePooling2D()(L.ReLU()(conv(8)(up)))

    return model_of(body)


def transformer_block(x: Any, heads: int = 2, **options: Any) -> Any:
    width = x.shape[-1]
    y = L.LayerNormalization(epsilon=1e-6)(x)
    x = L.Add()([x, L.MultiHeadAttention(heads, width // heads, **options)(y, y)])
    y = L.Dense(2 * width, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x))
    return L.Add()([x, L.Dense(width)(y)])


def vit() -> keras.Model:
    """The class token and the positions are tables that are looked up, which takes no layer of one's own."""

    def body(x: Any) -> Any:
        x = L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(x))
        first = L.Embedding(1, 12)(ops.cast(ops.zeros_like(x[:, :1, 0]), "int32"))
        x = L.Concatenate(axis=1)([first, x])
        places = ops.cast(ops.cumsum(ops.ones_like(x[:, :, 0]), axis=1) - 1, "int32")
        x = L.Add()([x, L.Embedding(17, 12)(places)])
        for _ in range(3):
            x = transformer_block(x)
        return L.LayerNormalization(epsilon=1e-6)(x)[:, 0]

    return model_of(body)


def vit_of_tokens() -> keras.Model:
    """It ends in all its tokens, for which no head is made."""

    def body(x: Any) -> Any:
        return transformer_block(transformer_block(L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(x))))

    return model_of(body)


def mixer() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(x))
        for _ in range(3):
            y = L.Permute((2, 1))(L.LayerNormalization()(x))
            y = L.Permute((2, 1))(L.Dense(16)(L.Dense(8, activation="gelu")(y)))
            x = L.Add()([x, y])
            x = L.Add()([x, L.Dense(12)(L.Dense(24, activation="gelu")(L.LayerNormalization()(x)))])
        return L.GlobalAveragePooling1D()(L.LayerNormalization()(x))

    return model_of(body)


def convnext() -> keras.Model:
    def scaled(y: Any) -> Any:  # Keras' own LayerScale has no public name
        return L.EinsumDense("nhwc,c->nhwc", y.shape[1:], kernel_initializer=keras.initializers.Constant(0.5))(y)

    def body(x: Any) -> Any:
        x = L.LayerNormalization(epsilon=1e-6)(L.Conv2D(8, 2, strides=2)(x))
        for _ in range(3):
            y = L.LayerNormalization(epsilon=1e-6)(L.DepthwiseConv2D(7, padding="same")(x))
            x = L.Add()([x, scaled(L.Dense(8)(L.Dense(24, activation="gelu")(y)))])
        return x

    return model_of(body)


def squeeze_and_excitation() -> keras.Model:
    def body(x: Any) -> Any:
        x = stem(x, 8)
        for _ in range(2):
            x = L.ReLU()(L.BatchNormalization()(conv(8)(x)))
            gate = L.GlobalAveragePooling2D(keepdims=True)(x)
            gate = conv(8, 1, activation="hard_sigmoid")(conv(2, 1, activation="relu")(gate))
            x = L.Multiply()([x, gate])
        return x

    return model_of(body)


def inception() -> keras.Model:
    def body(x: Any) -> Any:
        x = stem(x, 8)
        for _ in range(2):
            paths = [conv(4, 1)(x), conv(4, (1, 3))(conv(4, (3, 1))(x)), conv(4, 5)(conv(2, 1)(x))]
            pooled = L.AveragePooling2D(3, strides=1, padding="same")(x)
            x = L.ReLU()(L.BatchNormalization()(L.Concatenate()([*paths, conv(4, 1)(pooled)])))
        return L.MaxPooling2D()(x)

    return model_of(body)


def dense_blocks() -> keras.Model:
    def body(x: Any) -> Any:
        x = stem(x)
        for _ in range(2):
            for _ in range(3):
                x = L.Concatenate()([x, conv(4)(L.ReLU()(L.BatchNormalization()(x)))])
            x = L.AveragePooling2D(2)(conv(8, 1)(L.ReLU()(L.BatchNormalization()(x))))
        return x

    return model_of(body)


def two_paths_one_layer() -> keras.Model:
    def body(x: Any) -> Any:
        x, shared = stem(x), conv(6, name="shared")
        x = L.Add()([shared(x), shared(ops.flip(x, axis=2))])
        return conv(8)(L.ReLU()(x))

    return model_of(body)


def one_layer_in_two_stages() -> keras.Model:
    def body(x: Any) -> Any:
        shared, norm = conv(6, name="shared"), L.BatchNormalization(name="shared_norm")
        x = L.ReLU()(norm(shared(stem(x))))
        x = L.MaxPooling2D(name="halved")(conv(6, name="between")(x))
        return conv(6, name="after")(L.ReLU()(norm(shared(x))))

    return model_of(body)


def one_model_twice() -> keras.Model:
    block = keras.Sequential([keras.Input((8, 8, 6)), conv(6), L.BatchNormalization(), L.ReLU()], name="block")
    return model_of(lambda x: conv(8)(block(block(stem(x)))))


def base_within() -> keras.Model:
    """Preprocessing around a base with nearly all weights, as Keras' own guide to transfer learning builds it."""
    image = keras.Input((16, 16, 3))
    x = L.ReLU()(L.BatchNormalization()(conv(6, strides=2)(image)))
    base = keras.Model(image, L.ReLU()(conv(8, strides=2)(conv(8)(x))), name="base")
    return model_of(lambda x: base(x, training=False))


def sequential_within() -> keras.Model:
    """Three blocks, none of which has half of the weights."""
    blocks = [
        keras.Sequential([keras.Input((8, 8, 6)), conv(6), L.BatchNormalization(), L.ReLU()], name=f"block{i}")
        for i in range(3)
    ]

    def body(x: Any) -> Any:
        x = stem(x)
        for block in blocks:
            x = block(x)
        return x

    return model_of(body)


def models_in_models() -> keras.Model:
    """A base within a model within the model, and one residual block that is a model."""
    part = keras.Input((8, 8, 6))
    residual = keras.Model(part, L.Add()([part, conv(6)(L.ReLU()(L.BatchNormalization()(part)))]), name="residual")
    middle = keras.Input((16, 16, 3))
    base = keras.Model(middle, conv(12)(residual(stem(middle))), name="base")
    outer = keras.Input((16, 16, 3))
    body = keras.Model(outer, base(L.GaussianNoise(0.0)(outer)), name="body")
    return model_of(body)


def sequential() -> keras.Model:
    layers = [
        L.Rescaling(1 / 255),
        conv(6),
        L.BatchNormalization(),
        L.ReLU(),
        L.MaxPooling2D(),
        conv(8, activation="relu"),
    ]
    return keras.Sequential([keras.Input(IMAGE), *layers], name="network")


def base_in_a_sequential() -> keras.Model:
    """A transfer that somebody has trained before: a base, and a head of its own with dropout."""
    image = keras.Input(IMAGE)
    base = keras.Model(image, conv(8, strides=2)(stem(image)), name="base")
    head = [L.GlobalAveragePooling2D(), L.Dropout(0.2), L.Dense(4, activation="softmax")]
    return keras.Sequential([keras.Input(IMAGE), L.Rescaling(1 / 255), base, *head])


def half(policy: str) -> Callable[[], keras.Model]:
    """Each layer has the policy as its own dtype, so that no global one is set."""

    def build() -> keras.Model:
        def body(x: Any) -> Any:
            for filters in (6, 6, 8):
                x = conv(filters, strides=2, dtype=policy)(x)
                x = L.ReLU(dtype=policy)(L.BatchNormalization(dtype=policy)(x))
            return L.Activation("linear", dtype="float32")(x)

        return model_of(body, dtype=policy)

    return build


def half_at_the_end() -> keras.Model:
    """What a head takes is in half precision."""
    policy = "mixed_bfloat16"
    return model_of(lambda x: conv(8, dtype=policy)(L.ReLU(dtype=policy)(conv(6, strides=2, dtype=policy)(x))))


def normalized_by(make: Callable[[], Any]) -> Callable[[], keras.Model]:
    """Three convolutions, each before a layer that normalises."""

    def body(x: Any) -> Any:
        for _ in range(3):
            x = L.Activation("swish")(make()(conv(6, strides=2)(x)))
        return x

    return lambda: model_of(body)


def convolutions(*layers: Callable[[], Any]) -> Callable[[], keras.Model]:
    def body(x: Any) -> Any:
        x = stem(x)
        for layer in layers:
            x = L.ReLU()(layer()(x))
        return x

    return lambda: model_of(body)


def kinds_of_noise(*layers: Callable[[], Any]) -> Callable[[], keras.Model]:
    def body(x: Any) -> Any:
        x = conv(6)(stem(x))
        for layer in layers:
            x = conv(6, activation="relu")(layer()(x))
        return x

    return lambda: model_of(body)


def attention_that_drops() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.Reshape((16, 12))(L.Conv2D(12, 4, strides=4)(x))
        return L.GlobalAveragePooling1D()(transformer_block(transformer_block(x, dropout=0.2), dropout=0.2))

    return model_of(body)


def dropout_in_the_last_stage() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.MaxPooling2D()(conv(6, activation="relu")(stem(x)))
        return conv(8, activation="relu")(L.Dropout(0.4, seed=3)(x))

    return model_of(body)


def over_rows(*layers: Callable[[], Any]) -> Callable[[], keras.Model]:
    """A recurrent network that reads an image from top to bottom."""

    def body(x: Any) -> Any:
        x = stem(x)
        x = L.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
        for layer in layers:
            x = layer()(x)
        return x

    return lambda: model_of(body)


def rows_of_ink() -> keras.Model:
    """A recurrent network that reads a digit from top to bottom: where it is black the first features are 0."""
    layers = [L.Rescaling(1 / 255), L.Reshape((16, 16)), L.Dense(8, use_bias=False), L.GRU(6), L.Dense(8)]
    return keras.Sequential([keras.Input((16, 16, 1)), *layers])


def operations() -> keras.Model:
    """No layer but convolutions: all else is operators, slices and keras.ops."""

    def body(x: Any) -> Any:
        x = ops.relu(conv(6, strides=2)(x))
        y = ops.concatenate([x[:, ::2, ::2], x[:, 1::2, 1::2]], axis=-1) * 0.5
        y = ops.tanh(conv(6)(y)) + ops.sigmoid(conv(6)(y))
        y = ops.where(y > 0, y, 0.1 * y) / (1 + ops.mean(ops.abs(y), axis=(1, 2), keepdims=True))
        return ops.einsum("nhwc->nwhc", conv(8)(y)) - 1.0

    return model_of(body)


def masked_rows() -> keras.Model:
    """Rows without ink are passed over, by a mask that goes beside the features."""
    layers = [L.Rescaling(1 / 255), L.Reshape((16, 16)), L.Masking(), L.GRU(6, return_sequences=True), L.GRU(6)]
    return keras.Sequential([keras.Input((16, 16, 1)), *layers])


def normalization_within() -> keras.Model:
    normalization = L.Normalization(axis=-1)
    normalization.adapt(np.random.default_rng(0).integers(0, 256, (20, *IMAGE)).astype(np.float32))
    image = keras.Input(IMAGE)
    return keras.Model(image, L.ReLU()(conv(8, strides=2)(stem(normalization(image)))))


def resized_within() -> keras.Model:
    image = keras.Input((20, 12, 3))
    x = L.CenterCrop(16, 16)(L.Resizing(18, 18)(image))
    return keras.Model(image, conv(8)(stem(L.Rescaling(1 / 255)(x))))


def padding_and_cropping() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.Conv2D(6, 3, strides=2)(L.ZeroPadding2D(((1, 2), (0, 1)))(x))
        x = L.UpSampling2D(interpolation="bilinear")(L.Cropping2D(1)(L.ReLU()(x)))
        return L.Conv2D(8, 3, strides=2)(L.ReLU()(x))

    return model_of(body)


def flat() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.Flatten()(L.MaxPooling2D()(stem(x)))
        return L.Dense(8, activation="relu")(L.Dense(12, activation="relu")(x))

    return model_of(body)


def dense_alone() -> keras.Model:
    """What a first course builds: no convolution at all."""
    layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dense(32, activation="relu"), L.Dense(16, activation="relu")]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def classifier() -> keras.Model:
    """A whole classifier of seven classes: a backbone that ends in probabilities."""

    def body(x: Any) -> Any:
        x = L.GlobalAveragePooling2D()(conv(8, activation="relu")(stem(x)))
        return L.Dense(7, activation="softmax")(x)

    return model_of(body)


def grouped() -> keras.Model:
    """ResNeXt's block: the residual's convolution in four groups, and a shortcut of its own."""

    def body(x: Any) -> Any:
        x = stem(x, 8)
        for filters, strides in ((8, 1), (16, 2)):
            y = L.ReLU()(L.BatchNormalization()(conv(filters, 1)(x)))
            y = L.ReLU()(L.BatchNormalization()(conv(filters, groups=4, strides=strides)(y)))
            y = L.BatchNormalization()(conv(filters, 1)(y))
            x = x if strides == 1 else L.BatchNormalization()(conv(filters, 1, strides=strides)(x))
            x = L.ReLU()(L.Add()([x, y]))
        return x

    return model_of(body)


def three_branches() -> keras.Model:
    """Sums of three paths, the last of which skips two blocks."""

    def body(x: Any) -> Any:
        first = stem(x)
        second = L.Average()([first, conv(6)(first), L.Maximum()([conv(6)(first), conv(6)(first)])])
        third = L.Add()([first, second, conv(6)(second)])
        return L.Subtract()([conv(6)(third), third])

    return model_of(body)


def stochastic_depth() -> keras.Model:
    def body(x: Any) -> Any:
        x = stem(x)
        for _ in range(2):
            y = L.BatchNormalization()(conv(6)(x))
            x = L.Add()([x, L.Dropout(0.3, noise_shape=(None, 1, 1, 1))(y)])
        return x

    return model_of(body)


def augmenting() -> keras.Model:
    """The augmentation was left in the network that was saved."""
    image = keras.Input(IMAGE)
    x = L.RandomRotation(0.1)(L.RandomFlip("horizontal")(image))
    return keras.Model(image, conv(8)(stem(L.Rescaling(1 / 255)(x))))


def regularized() -> keras.Model:
    def body(x: Any) -> Any:
        for _ in range(3):
            x = conv(
                6,
                strides=2,
                kernel_regularizer=keras.regularizers.L2(1e-2),
                activity_regularizer=keras.regularizers.L1(1e-4),
                kernel_constraint=keras.constraints.MaxNorm(0.8, axis=(0, 1, 2)),
                activation="elu",
            )(x)
        return x

    return model_of(body)


def attention_over_places() -> keras.Model:
    def body(x: Any) -> Any:
        x = L.Reshape((16, 8))(conv(8, strides=2)(stem(x)))
        y = L.Attention()([L.Dense(8)(x), L.Dense(8)(x)])
        x = L.Add()([x, L.GroupQueryAttention(4, 4, 2)(y, y)])
        x = L.Add()([x, L.AdditiveAttention()([x, x])])
        return L.Reshape((4, 4, 8))(x)

    return model_of(body)


def three_dimensions() -> keras.Model:
    """The channels are a third dimension in space; and 1-D convolutions over rows."""

    def body(x: Any) -> Any:
        x = L.Conv3D(4, 3, strides=(2, 2, 1), padding="same", activation="relu")(L.Reshape((16, 16, 3, 1))(x))
        x = L.MaxPooling3D((2, 2, 1))(x)
        x = L.Conv1D(8, 3, padding="causal", activation="relu")(L.Reshape((4, 48))(x))
        return L.SeparableConv1D(8, 3)(x)[:, -1]

    return model_of(body)


def segmentation() -> keras.Model:
    """It ends in a mask of the image."""

    def body(x: Any) -> Any:
        high = stem(x)
        low = L.UpSampling2D()(conv(8, strides=2, activation="relu")(high))
        return conv(1, 1, activation="sigmoid")(L.Concatenate()([low, high]))

    return model_of(body)


def pixels_of_bytes() -> keras.Model:
    image = keras.Input(IMAGE, dtype="uint8")
    return keras.Model(image, conv(8)(stem(ops.cast(image, "float32") / 255)))


def without_weights() -> keras.Model:
    return keras.Sequential([keras.Input(IMAGE), L.Rescaling(1 / 255), L.AveragePooling2D(4)])


def oddly_named() -> keras.Model:
    """Keras takes this name, TensorFlow's graphs do not."""
    model = grouped()
    return keras.Model(model.input, model.output, name="größe: my network, v2 (new)")


def layer_oddly_named() -> keras.Model:
    return model_of(lambda x: conv(6, name="last conv")(stem(x)))


def frozen_when_saved() -> keras.Model:
    model = grouped()
    model.trainable = False
    return model


def compiled_and_fitted() -> keras.Model:
    """A classifier with its optimizer's state in the file."""
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    model.fit(rng.integers(0, 256, (8, *IMAGE)), rng.integers(0, 7, 8), epochs=1, verbose=0)
    return model


def input_in_a_list() -> keras.Model:
    model = grouped()
    return keras.Model([model.input], [model.output])


@keras.saving.register_keras_serializable("tlkit_tests")
class Doubled(L.Layer):
    """A layer of one's own, which this process knows and another does not."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return 2 * self.scale * x


@keras.saving.register_keras_serializable("tlkit_tests")
class Subclassed(keras.Model):
    """A network whose graph nobody sees."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.conv = conv(6)

    def call(self, x: Any) -> Any:
        return self.conv(x)


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, *IMAGE), np.float32))
    return model


def two_inputs() -> keras.Model:
    one, two = keras.Input(IMAGE), keras.Input(IMAGE)
    return keras.Model([one, two], L.Add()([conv(6)(one), conv(6)(two)]))


def two_outputs() -> keras.Model:
    image = keras.Input(IMAGE)
    x = stem(image)
    return keras.Model(image, [x, conv(6)(x)])


def stateful() -> keras.Model:
    image = keras.Input(batch_shape=(4, *IMAGE))
    return keras.Model(image, L.GRU(6, stateful=True)(L.Reshape((16, 48))(image)))


IMAGES = {
    "sequential": Kind(sequential),
    "dense layers alone, one channel": Kind(dense_alone),
    "U-Net": Kind(unet),
    "ViT with a class token": Kind(vit, rounds=True),
    "MLP-Mixer": Kind(mixer, rounds=True),
    "LayerScale": Kind(convnext),
    "squeeze and excitation": Kind(squeeze_and_excitation),
    "inception": Kind(inception),
    "dense blocks": Kind(dense_blocks),
    "one layer on two paths": Kind(two_paths_one_layer),
    "one layer in two stages": Kind(one_layer_in_two_stages),
    "one model twice": Kind(one_model_twice),
    "a base within": Kind(base_within),
    "blocks that are models": Kind(sequential_within),
    "a base in a sequential": Kind(base_in_a_sequential, drops=3),
    "models in models": Kind(models_in_models),
    "mixed_float16": Kind(half("mixed_float16"), eps=2**-10),
    "mixed_bfloat16": Kind(half("mixed_bfloat16"), eps=2**-7),
    "ends in half precision": Kind(half_at_the_end, eps=2**-7),
    "GroupNormalization": Kind(normalized_by(lambda: L.GroupNormalization(2)), rounds=True),
    "LayerNormalization": Kind(normalized_by(lambda: L.LayerNormalization(axis=(1, 2, 3))), rounds=True),
    "UnitNormalization": Kind(normalized_by(L.UnitNormalization)),
    "RMSNormalization": Kind(normalized_by(L.RMSNormalization)),
    "BatchNormalization without weights": Kind(normalized_by(lambda: L.BatchNormalization(center=False, scale=False))),
    "SpectralNormalization": Kind(convolutions(*(lambda: L.SpectralNormalization(conv(6)) for _ in range(3)))),
    "depthwise and separable": Kind(
        convolutions(lambda: L.DepthwiseConv2D(3, depth_multiplier=2), lambda: L.SeparableConv2D(8, 3, strides=2))
    ),
    "transposed": Kind(convolutions(*(lambda: L.Conv2DTranspose(6, 3, strides=2, padding="same") for _ in range(2)))),
    "dilated": Kind(convolutions(lambda: conv(6, dilation_rate=2), lambda: conv(6, dilation_rate=(1, 3)))),
    "learned activations": Kind(
        convolutions(lambda: conv(6), lambda: L.PReLU(shared_axes=(1, 2)), lambda: L.LeakyReLU(), lambda: conv(6))
    ),
    "EinsumDense": Kind(
        convolutions(*(lambda: L.EinsumDense("nhwc,cd->nhwd", (8, 8, 6), bias_axes="d") for _ in range(2)))
    ),
    "TimeDistributed": Kind(over_rows(lambda: L.TimeDistributed(L.Dense(8)), lambda: L.GlobalMaxPooling1D())),
    "dropout": Kind(kinds_of_noise(lambda: L.Dropout(0.3), lambda: L.SpatialDropout2D(0.3)), drops=2),
    "noise": Kind(
        kinds_of_noise(lambda: L.GaussianNoise(0.3), lambda: L.GaussianDropout(0.3), lambda: L.AlphaDropout(0.3)),
        drops=2,
    ),
    "dropout in the last stage": Kind(dropout_in_the_last_stage, drops=2),
    "attention that drops": Kind(attention_that_drops, drops=2, rounds=True),
    "stochastic depth": Kind(stochastic_depth, drops=2),
    "augmentation within": Kind(augmenting, drops=1),
    "GRU over rows": Kind(over_rows(lambda: L.GRU(8, return_sequences=True), lambda: L.GRU(6))),
    "LSTM over rows": Kind(over_rows(lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), lambda: L.LSTM(6))),
    "ConvLSTM": Kind(
        convolutions(
            lambda: L.ConvLSTM1D(6, 3, padding="same", return_sequences=True), lambda: L.ConvLSTM1D(6, 3), L.Flatten
        )
    ),
    "rows without ink masked": Kind(masked_rows, rounds=True),
    "GRU over rows of ink": Kind(rows_of_ink, rounds=True),
    "operations": Kind(operations),
    "Normalization within": Kind(normalization_within),
    "Resizing within": Kind(resized_within),
    "padding and cropping": Kind(padding_and_cropping),
    "Flatten": Kind(flat),
    "a classifier": Kind(classifier),
    "grouped convolutions": Kind(grouped),
    "sums of three paths": Kind(three_branches),
    "regularizers and constraints": Kind(regularized),
    "attention over places": Kind(attention_over_places),
    "1-D and 3-D convolutions": Kind(three_dimensions),
    "frozen when it was saved": Kind(frozen_when_saved),
    "a mask of the image": Kind(segmentation),
    "pixels of bytes": Kind(pixels_of_bytes),
    "no weights": Kind(without_weights),
    "a name that graphs do not take": Kind(oddly_named),
    "fitted before": Kind(compiled_and_fitted),
    "an input in a list": Kind(input_in_a_list),
    "images of any size": Kind(
        lambda: model_of(lambda x: conv(8)(L.MaxPooling2D()(stem(x))), (None, None, 3)),
        not_exported=("images of one size", "(None, None, 3)"),
    ),
    "five channels": Kind(
        lambda: model_of(lambda x: conv(8)(stem(x)), (16, 16, 5)), not_exported=("1 or 3 channels", "(16, 16, 5)")
    ),
    "a layer of one's own": Kind(
        convolutions(Doubled, lambda: conv(6)), not_exported=("layers of Keras alone", "Doubled")
    ),
}


# Networks of texts --------------------------------------------------------------------------------------------------


def text(body: Callable[[Any], Any], length: int | None = None, **embedding: Any) -> keras.Model:
    ids = keras.Input((length,), dtype="int32", name="ids")
    return keras.Model(ids, body(L.Embedding(WORDS, 8, **embedding)(ids)), name="network")


def wide_ids() -> keras.Model:
    ids = keras.Input((None,), dtype="int64")
    return keras.Model(ids, L.GRU(6)(L.Embedding(WORDS, 8, mask_zero=True)(ids)))


def strings() -> keras.Model:
    words = keras.Input((1,), dtype="string")
    ids = L.TextVectorization(output_sequence_length=LENGTH, vocabulary=["good", "bad"])(words)
    return keras.Model(words, L.GlobalAveragePooling1D()(L.Embedding(4, 8)(ids)))


def text_transformer() -> keras.Model:
    """Positions are learned, and padding is a token like any other."""

    def body(x: Any) -> Any:
        places = L.Embedding(LENGTH, 8)(ops.cast(ops.cumsum(ops.ones_like(x[:, :, 0]), axis=1) - 1, "int32"))
        x = L.Add()([x, places])
        for _ in range(3):
            x = transformer_block(x)
        return L.GlobalAveragePooling1D()(L.LayerNormalization()(x))

    return text(body, LENGTH)


TEXTS = {
    "text: Transformer": Kind(text_transformer),
    "text: Transformer with a mask": Kind(
        lambda: text(lambda x: L.GlobalAveragePooling1D()(transformer_block(transformer_block(x))), mask_zero=True)
    ),
    "text: GRU": Kind(lambda: text(lambda x: L.GRU(6)(L.GRU(8, return_sequences=True)(x)), LENGTH)),
    "text: ids of 64 bits": Kind(wide_ids),
    "text: GRU with a mask": Kind(lambda: text(lambda x: L.GRU(6)(L.GRU(8, return_sequences=True)(x)), mask_zero=True)),
    "text: LSTM both ways with a mask": Kind(
        lambda: text(lambda x: L.Bidirectional(L.LSTM(6))(L.Dense(8)(x)), LENGTH, mask_zero=True)
    ),
    "text: mean of words with a mask": Kind(
        lambda: text(lambda x: L.Dense(8, activation="relu")(L.GlobalAveragePooling1D()(x)), mask_zero=True)
    ),
    "text: LSTM both ways": Kind(lambda: text(lambda x: L.Bidirectional(L.LSTM(6))(L.Dense(8)(x)), LENGTH)),
    "text: mean of words": Kind(
        lambda: text(lambda x: L.Dense(8, activation="relu")(L.GlobalAveragePooling1D()(x)), LENGTH)
    ),
    "text: convolutions": Kind(
        lambda: text(lambda x: L.GlobalMaxPooling1D()(L.Conv1D(8, 3, padding="same", activation="relu")(x)), LENGTH),
    ),
}
KINDS = APPLICATIONS | IMAGES | TEXTS

# What is refused: how it is built, the first step that refuses it (load, wrap or head), and what the line holds.
REFUSED: dict[str, tuple[Callable[[], keras.Model], str, tuple[str, ...]]] = {
    "Lambda": (convolutions(lambda: L.Lambda(lambda x: x * 2)), "load", ("safe mode", "Lambda")),
    "subclassed": (subclassed, "wrap", ("functional or a built sequential", "Subclassed")),
    "two inputs": (two_inputs, "wrap", ("one input and one output", "2 and 1")),
    "two outputs": (two_outputs, "wrap", ("one input and one output", "1 and 2")),
    "a layer's name that graphs do not take": (layer_oddly_named, "wrap", ("A to Z", "'last conv'")),
    "strings": (strings, "wrap", ("pixels or token ids", "strings")),
    "a stateful layer": (stateful, "wrap", ("stateful",)),
    "ViT that ends in tokens": (vit_of_tokens, "head", ("a map (n, h, w, c) or in vectors", "mean over its tokens")),
}
