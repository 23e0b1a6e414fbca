"""The cost model's count, against TensorFlow's own profiler."""

import keras
import pytest
import tensorflow as tf

from tlkit import build_head, join, load_backbone, multiply_adds, split_at
from tlkit.backbones import Backbone
from tlkit.domains import DomainPair
from tlkit.experiment import Experiment


def profiled_multiply_adds(model: keras.Model) -> int:
    """Floating-point operations of convolutions and products, as TensorFlow counts them, halved."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    )
    graph = convert_variables_to_constants_v2(concrete).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(
        tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    ).with_empty_output()
    kinds = ["Conv2D", "MatMul", "DepthwiseConv2dNative"]
    profile = tf.compat.v1.profiler.profile(graph, options=options.build(), cmd="op")
    return (
        sum(
            node.total_float_ops - sum(child.total_float_ops for child in node.children)
            for node in walk(profile)
            if node.name in kinds
        )
        // 2
    )


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def test_counts_what_the_profiler_counts() -> None:
    backbone = load_backbone("resnet_printed", weights=None)
    model = join(backbone.model, build_head(backbone, 10, hidden=(32,)))
    assert multiply_adds(model) == profiled_multiply_adds(model)


def test_counts_depthwise_convolutions() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3), keras.layers.Conv2D(4, 1)])
    assert multiply_adds(model) == profiled_multiply_adds(model)


@pytest.mark.parametrize("stage", range(6))
def test_trunk_and_tail_add_up(stage: int) -> None:
    backbone = load_backbone("resnet_printed", weights=None)
    trunk, tail = split_at(backbone, stage)
    assert multiply_adds(trunk) + multiply_adds(tail) == multiply_adds(backbone.model)


def test_stages_of_an_experiment_have_what_lies_between_their_ends(pair: DomainPair, still_toy: Backbone) -> None:
    up_to = [multiply_adds(split_at(still_toy, stage)[0]) for stage in (1, 2)]
    stages = Experiment(pair, still_toy).stages
    assert [stage.multiply_adds for stage in stages] == [up_to[0], up_to[1] - up_to[0]]


def test_images_of_any_size_cannot_be_counted() -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3)])
    backbone = Backbone("any", model, (model.layers[-1].name,))
    with pytest.raises(ValueError, match="size of images must be known"):
        multiply_adds(backbone.model)
