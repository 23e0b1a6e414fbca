"""A BERT encoder in plain Keras layers (Devlin et al., 2019, arXiv:1810.04805), with boundaries after each block.

Between two blocks there is one tensor, the tokens' vectors, so a model can be cut there and what comes out be kept.
Padding needs no second tensor beside it: a padded position's vector is zero, which no token's is after its layer
normalisation, and each block leaves it at zero. So cached vectors know their own mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, check_seed
from tlkit.features import check_tokens
from tlkit.files.paths import check_path
from tlkit.text.fetching import text_file
from tlkit.text.tokens import MOST_POSITIONS, VOCABULARY
from tlkit.words import must_install, nearest_name

__all__ = [
    "AddPositions",
    "AttentionWeights",
    "MeanOfTokens",
    "MixValues",
    "ZeroPadding",
    "attention_maps",
    "load_text_backbone",
    "small_bert",
]

TEXT_BACKBONES = ("minilm",)
BLOCKS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
_EPSILON = 1e-12  # BERT's, in layer normalisation; Keras' default of 1e-3 would move every vector
_INITIAL_DEVIATION = 0.02


@keras.saving.register_keras_serializable("tlkit")
class AddPositions(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Adds a learned vector for each position: ``(n, length, width)`` to the same shape.

    Args:
        most: The number of positions that have a vector.
        seed: Makes the start weights.
    """

    def __init__(self, most: int = MOST_POSITIONS, *, seed: int = 0, **keras_arguments: Any) -> None:
        check_seed(seed)
        super().__init__(**keras_arguments)
        self.most, self.seed = most, int(seed)

    @property
    def most_positions(self) -> int:
        """What :func:`tlkit.features.check_tokens` asks of the layers of any model."""
        return self.most

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.positions = self.add_weight(
            shape=(self.most, shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=_INITIAL_DEVIATION, seed=self.seed),
            name="positions",
        )

    def call(self, x: Any) -> Any:
        return x + self.positions[: keras.ops.shape(x)[1]]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "most": self.most, "seed": self.seed}


def _is_token(x: Any) -> Any:
    """Which positions hold a token, not padding: ids ``(n, length)`` or vectors ``(n, length, width)`` other than 0."""
    there = keras.ops.not_equal(x, 0)
    return there if len(x.shape) == 2 else keras.ops.any(there, axis=-1)


@keras.saving.register_keras_serializable("tlkit")
class ZeroPadding(keras.layers.Layer):  # type: ignore[misc]
    """Sets the vectors of padded positions to 0: ``[y, x]`` to ``y`` where ``x`` (ids or vectors) is not 0."""

    def call(self, inputs: list[Any]) -> Any:
        y, x = inputs
        return y * keras.ops.cast(_is_token(x), y.dtype)[..., None]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]


@keras.saving.register_keras_serializable("tlkit")
class AttentionWeights(keras.layers.Layer):  # type: ignore[misc]
    """How much each token looks at each other one: softmax of the scaled products of queries and keys.

    ``[q, k, x]``, each ``(n, length, width)``, to ``(n, heads, length, length)``: rows sum to 1, and padding (where
    ``x`` is 0) is looked at by nobody (Vaswani et al., 2017, arXiv:1706.03762, section 3.2.1).

    Args:
        heads: The width is dealt out to this many heads.
    """

    def __init__(self, heads: int, **keras_arguments: Any) -> None:
        super().__init__(**keras_arguments)
        self.heads = heads

    def call(self, inputs: list[Any]) -> Any:
        q, k, x = inputs
        ops = keras.ops
        q, k = _by_head(q, self.heads), _by_head(k, self.heads)  # (n, heads, length, width / heads)
        scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) / float(np.sqrt(q.shape[-1]))
        hidden = ops.cast(ops.logical_not(_is_token(x)), scores.dtype)[:, None, None, :]  # (n, 1, 1, length)
        return ops.softmax(scores + hidden * -1e9, axis=-1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        (n, length, _), *_ = shapes
        return (n, self.heads, length, length)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable("tlkit")
class MixValues(keras.layers.Layer):  # type: ignore[misc]
    """Each token's mean of the values, by its attention: ``[weights, v]`` to ``(n, length, width)``."""

    def call(self, inputs: list[Any]) -> Any:
        weights, v = inputs
        ops = keras.ops
        mixed = ops.matmul(weights, _by_head(v, weights.shape[1]))  # (n, heads, length, width / heads)
        mixed = ops.swapaxes(mixed, 1, 2)
        return ops.reshape(mixed, (-1, ops.shape(mixed)[1], v.shape[-1]))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[1]


def _by_head(x: Any, heads: int) -> Any:
    """``(n, length, width)`` to ``(n, heads, length, width / heads)``."""
    ops = keras.ops
    dealt = ops.reshape(x, (-1, ops.shape(x)[1], heads, x.shape[-1] // heads))
    return ops.swapaxes(dealt, 1, 2)


@keras.saving.register_keras_serializable("tlkit")
class MeanOfTokens(keras.layers.Layer):  # type: ignore[misc]
    """The mean vector of a text's tokens, padding left out: ``(n, length, width)`` to ``(n, width)``."""

    def call(self, x: Any) -> Any:
        tokens = keras.ops.sum(keras.ops.cast(_is_token(x), x.dtype), axis=1)[:, None]
        return keras.ops.sum(x, axis=1) / keras.ops.maximum(tokens, 1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], shape[2])


def small_bert(
    *,
    blocks: int = BLOCKS,
    width: int = WIDTH,
    heads: int = HEADS,
    inner: int = INNER,
    vocabulary: int = VOCABULARY,
    dropout: float = 0.0,
    seed: int = 0,
    name: str = "small_bert",
) -> keras.Model:
    """A Transformer encoder in BERT's form, from token ids to one vector per text.

    A block is ``x = norm(x + attention(x))``, then ``x = norm(x + mlp(x))``: normalised after the sum, as in BERT, and
    not before it, as in most later networks. The activation is the exact GELU.

    Args:
        blocks: How many, 1 or more.
        width: Of a token's vector; a multiple of ``heads``.
        heads: Of the attention.
        inner: Width inside a block's MLP.
        vocabulary: Number of token ids.
        dropout: Share of units dropped while training, in [0, 1): after the embeddings, on the attention's weights and
            before each sum. BERT was pretrained with 0.1.
        seed: Makes the start weights (normal, deviation 0.02) and the dropout; Keras' global seed is not touched.

    Returns:
        A model from ids ``(n, length)`` of any length up to 512, 0 being padding, to ``(n, width)``.

    Raises:
        ValueError: An argument is out of range.
    """
    if blocks < 1 or heads < 1 or width < 1 or width % heads:
        raise ValueError(f"width must be a multiple of heads, and blocks 1 or more, got {width}, {heads} and {blocks}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}.")
    check_seed(seed)
    seeds = iter(np.random.SeedSequence(seed).generate_state(3 + 9 * blocks).tolist())
    layers = keras.layers

    def normal() -> Any:
        return keras.initializers.RandomNormal(stddev=_INITIAL_DEVIATION, seed=next(seeds))

    def dense(x: Any, units: int, name: str, activation: str | None = None) -> Any:
        return layers.Dense(units, activation=activation, kernel_initializer=normal(), name=name)(x)

    def norm(x: Any, name: str) -> Any:
        return layers.LayerNormalization(epsilon=_EPSILON, name=name)(x)

    def dropped(x: Any, name: str) -> Any:
        own = next(seeds)
        return layers.Dropout(dropout, seed=own, name=name)(x) if dropout else x

    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary, width, embeddings_initializer=normal(), name="words")(ids)
    x = norm(AddPositions(seed=next(seeds), name="add_positions")(x), "embeddings_norm")
    x = dropped(x, "embeddings_dropout")
    x = ZeroPadding(name="embeddings")([x, ids])
    for number in range(1, blocks + 1):
        at = f"block{number}"
        q, k, v = (dense(x, width, f"{at}_{part}") for part in ("query", "key", "value"))
        weights = dropped(AttentionWeights(heads, name=f"{at}_attention")([q, k, x]), f"{at}_attention_dropout")
        mixed = dense(MixValues(name=f"{at}_mix")([weights, v]), width, f"{at}_out")
        y = norm(layers.Add(name=f"{at}_add1")([x, dropped(mixed, f"{at}_out_dropout")]), f"{at}_norm1")
        z = dense(dense(y, inner, f"{at}_mlp1", "gelu"), width, f"{at}_mlp2")
        z = norm(layers.Add(name=f"{at}_add2")([y, dropped(z, f"{at}_mlp_dropout")]), f"{at}_norm2")
        x = ZeroPadding(name=at)([z, x])
    return keras.Model(ids, MeanOfTokens(name="sentence")(x), name=name)


def load_text_backbone(
    name: str = "minilm", *, weights: str | Path | None = "pretrained", dropout: float = 0.0, seed: int = 0
) -> Backbone:
    """A Transformer encoder for English sentences, cut after its embeddings and after each block.

    ``"minilm"``: all-MiniLM-L6-v2, 22.6 million weights in 6 blocks of width 384 (distilled from BERT as in Wang et
    al., 2020, arXiv:2002.10957, then trained on a billion pairs of sentences; Reimers & Gurevych, 2019,
    arXiv:1908.10084). Its seven stages are the embeddings and the six blocks; the last one ends in the mean of a
    sentence's tokens, so a head takes vectors of 384.

    Args:
        weights: ``"pretrained"`` are those that ``tlkit fetch text`` fetched; a path to a ``.safetensors`` file of the
            same architecture; ``None`` is random weights, the baseline that says what the architecture alone can do.
        dropout: See :func:`small_bert`; 0 is what makes cached and full training equal.
        seed: Makes the random weights and the dropout.

    Raises:
        ValueError: The name or an argument is not allowed, or the file does not fit.
        tlkit.text.NotFetchedError: The pretrained weights were not fetched.
    """
    if name not in TEXT_BACKBONES:
        raise ValueError(f"text backbone must be {nearest_name(name, TEXT_BACKBONES)}")
    check_seed(seed)
    path = None
    if weights is not None:
        path = check_path("weights", weights, "a .safetensors file")
        path = text_file("model.safetensors") if weights == "pretrained" else path
    stored = None if path is None else _read(path)
    model = small_bert(dropout=dropout, seed=seed, name=name)
    if stored is not None and path is not None:
        _fill(model, stored, path)
    return Backbone(name, model, ("embeddings", *(f"block{i}" for i in range(1, BLOCKS)), "sentence"))


def _read(path: Path) -> Mapping[str, Array]:
    """The arrays of a safetensors file, which cannot hold code."""
    if not path.is_file():
        raise ValueError(f"weights must be an existing .safetensors file, got {str(path)!r}.")
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(must_install("safetensors", "text")) from error
    try:
        arrays: Mapping[str, Array] = load_file(path)
    except Exception as error:  # safetensors has an error of its own, NumPy others
        raise ValueError(f"weights must be a readable .safetensors file, got {path.name!r}.") from error
    return arrays


def _stored_names() -> dict[str, tuple[str, ...]]:
    """Where each layer's weights stand in a BERT file, in the order of the layer's own."""
    names = {
        "words": ("embeddings.word_embeddings.weight",),
        "add_positions": ("embeddings.position_embeddings.weight",),
        "embeddings_norm": ("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"),
    }
    for number in range(BLOCKS):
        for layer, stored in (
            ("query", "attention.self.query"),
            ("key", "attention.self.key"),
            ("value", "attention.self.value"),
            ("out", "attention.output.dense"),
            ("norm1", "attention.output.LayerNorm"),
            ("mlp1", "intermediate.dense"),
            ("mlp2", "output.dense"),
            ("norm2", "output.LayerNorm"),
        ):
            at = f"encoder.layer.{number}.{stored}"
            names[f"block{number + 1}_{layer}"] = (f"{at}.weight", f"{at}.bias")
    return names


# Added to every token of a first sentence: here there is no second, so it is part of each position's vector.
_SEGMENT = "embeddings.token_type_embeddings.weight"


def _fill(model: keras.Model, stored: Mapping[str, Array], path: Path) -> None:
    """Put the arrays of a BERT file into the layers; all of them fit, or none is changed."""
    names = _stored_names()
    missing = [name for name in (_SEGMENT, *(name for own in names.values() for name in own)) if name not in stored]
    further = f"encoder.layer.{BLOCKS}.output.dense.weight"
    if missing or further in stored:
        raise ValueError(
            f"weights must be those of {model.name!r} ({BLOCKS} blocks), got {path.name!r}, which "
            f"{f'lacks {missing[0]}' if missing else 'has more'}."
        )
    filled = {}
    for layer_name, own in names.items():
        layer = model.get_layer(layer_name)
        arrays = [np.asarray(stored[name], np.float32) for name in own]
        if isinstance(layer, keras.layers.Dense):
            arrays[0] = arrays[0].T  # the file holds (out, in)
        if layer_name == "add_positions":
            arrays[0] = arrays[0] + np.asarray(stored[_SEGMENT], np.float32)[0]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if [array.shape for array in arrays] != wanted:
            raise ValueError(
                f"weights must be those of {model.name!r}, got {path.name!r}, where {own[0]} has shape "
                f"{stored[own[0]].shape}."
            )
        filled[layer_name] = arrays
    for layer_name, arrays in filled.items():
        model.get_layer(layer_name).set_weights(arrays)


def attention_maps(backbone: Backbone, ids: Array) -> Array:
    """What each head of each block looks at, ``(blocks, n, heads, length, length)`` ``float32``.

    ``maps[b, i, h, q, k]`` is how much token ``q`` of text ``i`` takes from token ``k``; rows sum to 1. It shows where
    a head mixes from, not why the model answers as it does (Jain & Wallace, 2019, arXiv:1902.10186; for the other side
    Wiegreffe & Pinter, 2019, arXiv:1908.04626).

    Args:
        ids: Token ids ``(n, length)``; padding that all texts share is best cut off.

    Raises:
        ValueError: The backbone has no attention, or ``ids`` are not ids of its words, one text or more.
    """
    layers = [layer for layer in backbone.model.layers if isinstance(layer, AttentionWeights)]
    if not layers:
        raise ValueError(f"backbone must have attention, as 'minilm' does, got {backbone.name!r}.")
    ids = np.asarray(ids)
    longest = min((layer.most for layer in backbone.model.layers if isinstance(layer, AddPositions)), default=ids.size)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size or ids.shape[1] > longest:
        raise ValueError(
            f"ids must be integers (n, length) of one text or more, length to {longest}, got {ids.shape} {ids.dtype}."
        )
    check_tokens(backbone.model, ids)
    model = keras.Model(backbone.model.input, [layer.output for layer in layers])
    answers = model(ids.astype(np.int32), training=False)
    blocks = answers if isinstance(answers, (list, tuple)) else [answers]  # Keras unwraps the list of a single block
    maps: Array = np.stack([np.asarray(weights) for weights in blocks])
    return maps
