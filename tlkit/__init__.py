"""tlkit teaches transfer learning: source and target domains, freezing, fine-tuning, and what they do to the weights.

Importing this package is instant; each name below loads its module, and TensorFlow, when it is first used.
"""

from __future__ import annotations

import importlib
import os
import platform
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

# TensorFlow reads this as it is imported, and by itself takes oneDNN on some processors only. With oneDNN the size of
# a batch changes no image's features, so that cached training is full training bit for bit.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The one public list: the names that each module owns.
_NAMES = {
    "domains": "Split Domain DomainPair blend_into_photographs load_domain load_pair",
    "assets": "asset_path",
    "clothes": "load_clothes",
    "cells": "load_cells",
    "emoji": "Emoji emoji_folds load_emoji",
    "speech": "load_speech read_sound sound_picture",
    "folders": "inspect_folder load_folder",
    "backbones": "Backbone find_boundaries load_backbone wrap_backbone",
    "heads": "build_head join load_source_head source_classes",
    "freezing": "WeightCounts count_weights freeze_layers freeze_to trainable_layers",
    "features": "cache_features multiply_adds pool_features split_at",
    "training": "FitOptions fine_tune fit",
    "audit": "audit_fit diagnose watch",
    "experiment": "Experiment Settings",
    "gradients": "gradient_triangle",
    "evaluation": (
        "Interval PairedTest PairScores accuracy bootstrap_interval calibration calibration_error "
        "classification_report fit_temperature forgetting mean_interval paired_test predict_classes "
        "predict_probabilities score_pair"
    ),
    "probe": "few_shot_curve fit_probe linear_probe",
    "explain": "grad_cam",
    "export": "Exported export_model load_exported predict_images predict_texts",
    "efficient": "add_adapters add_biases add_lora merge_added remove_added",
    "pretraining": (
        "mask_tokens nt_xent pretrain_captions pretrain_contrastive pretrain_masked pretrain_rotation rotation_split"
    ),
    "captions": "build_tower cosines letter_counts recall_at",
    "views": "Views random_views",
    "adaptation": (
        "DANN DeepCoral PseudoLabels adapt adapt_batchnorm coral coral_loss reversal_strength reverse_gradient tent"
    ),
    "selection": "importance_weighted_accuracy importance_weights mean_entropy soft_neighborhood_density told_apart",
    "tables": "stored_table",
    "transferability": "h_score leep log_me nce",
    "kernels": "quiet_start",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = [*_MODULE_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tlkit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tlkit.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:  # what __getattr__ finds, for editors and type checkers
    from tlkit.adaptation import (
        DANN,
        DeepCoral,
        PseudoLabels,
        adapt,
        adapt_batchnorm,
        coral,
        coral_loss,
        reversal_strength,
        reverse_gradient,
        tent,
    )
    from tlkit.assets import asset_path
    from tlkit.audit import audit_fit, diagnose, watch
    from tlkit.backbones import Backbone, find_boundaries, load_backbone, wrap_backbone
    from tlkit.captions import build_tower, cosines, letter_counts, recall_at
    from tlkit.cells import load_cells
    from tlkit.clothes import load_clothes
    from tlkit.domains import Domain, DomainPair, Split, blend_into_photographs, load_domain, load_pair
    from tlkit.efficient import add_adapters, add_biases, add_lora, merge_added, remove_added
    from tlkit.emoji import Emoji, emoji_folds, load_emoji
    from tlkit.evaluation import (
        Interval,
        PairedTest,
        PairScores,
        accuracy,
        bootstrap_interval,
        calibration,
        calibration_error,
        classification_report,
        fit_temperature,
        forgetting,
        mean_interval,
        paired_test,
        predict_classes,
        predict_probabilities,
        score_pair,
    )
    from tlkit.experiment import Experiment, Settings
    from tlkit.explain import grad_cam
    from tlkit.export import Exported, export_model, load_exported, predict_images, predict_texts
    from tlkit.features import cache_features, multiply_adds, pool_features, split_at
    from tlkit.folders import inspect_folder, load_folder
    from tlkit.freezing import WeightCounts, count_weights, freeze_layers, freeze_to, trainable_layers
    from tlkit.gradients import gradient_triangle
    from tlkit.heads import build_head, join, load_source_head, source_classes
    from tlkit.kernels import quiet_start
    from tlkit.pretraining import (
        mask_tokens,
        nt_xent,
        pretrain_captions,
        pretrain_contrastive,
        pretrain_masked,
        pretrain_rotation,
        rotation_split,
    )
    from tlkit.probe import few_shot_curve, fit_probe, linear_probe
    from tlkit.selection import (
        importance_weighted_accuracy,
        importance_weights,
        mean_entropy,
        soft_neighborhood_density,
        told_apart,
    )
    from tlkit.speech import load_speech, read_sound, sound_picture
    from tlkit.tables import stored_table
    from tlkit.training import FitOptions, fine_tune, fit
    from tlkit.transferability import h_score, leep, log_me, nce
    from tlkit.views import Views, random_views
