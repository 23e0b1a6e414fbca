"""Backbones: pretrained base models and their stage boundaries.

A backbone takes raw pixels in 0..255; resizing, channels and rescaling live inside the model, so that no notebook can
forget or double them. It ends in the last feature map; the head comes from :mod:`tlkit.heads`. A backbone for texts
takes token ids and ends in one vector per text; those come from :mod:`tlkit.text`.
"""

from tlkit.backbones.backbone import Backbone, check_backbone, layers_up_to, stage_layers
from tlkit.backbones.boundaries import find_boundaries, wrap_backbone
from tlkit.backbones.loading import load_backbone, small_resnet
from tlkit.backbones.weights import draw_weights

__all__ = [
    "Backbone",
    "check_backbone",
    "draw_weights",
    "find_boundaries",
    "layers_up_to",
    "load_backbone",
    "small_resnet",
    "stage_layers",
    "wrap_backbone",
]
