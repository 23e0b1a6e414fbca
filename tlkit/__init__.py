"""tlkit teaches transfer learning: source and target domains, freezing, fine-tuning, and what they do to the weights.

Importing this package is instant; each name below loads its module, and TensorFlow, when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The one public list: each name and the module that owns it.
_MODULE_OF = {
    "Split": "domains",
    "Domain": "domains",
    "DomainPair": "domains",
    "load_domain": "domains",
    "load_pair": "domains",
    "inspect_folder": "folders",
    "load_folder": "folders",
    "Backbone": "backbones",
    "find_boundaries": "backbones",
    "load_backbone": "backbones",
    "wrap_backbone": "backbones",
    "build_head": "heads",
    "join": "heads",
    "load_source_head": "heads",
    "WeightCounts": "freezing",
    "count_weights": "freezing",
    "freeze_layers": "freezing",
    "freeze_to": "freezing",
    "trainable_layers": "freezing",
    "cache_features": "features",
    "multiply_adds": "features",
    "pool_features": "features",
    "split_at": "features",
    "FitOptions": "training",
    "fine_tune": "training",
    "fit": "training",
    "audit_fit": "audit",
    "diagnose": "audit",
    "watch": "audit",
    "Experiment": "experiment",
    "Settings": "experiment",
    "gradient_triangle": "gradients",
    "Interval": "evaluation",
    "PairedTest": "evaluation",
    "PairScores": "evaluation",
    "accuracy": "evaluation",
    "bootstrap_interval": "evaluation",
    "calibration": "evaluation",
    "calibration_error": "evaluation",
    "classification_report": "evaluation",
    "fit_temperature": "evaluation",
    "forgetting": "evaluation",
    "mean_interval": "evaluation",
    "paired_test": "evaluation",
    "predict_classes": "evaluation",
    "predict_probabilities": "evaluation",
    "score_pair": "evaluation",
    "few_shot_curve": "probe",
    "fit_probe": "probe",
    "linear_probe": "probe",
    "grad_cam": "explain",
    "Exported": "export",
    "export_model": "export",
    "load_exported": "export",
    "predict_images": "export",
    "predict_texts": "export",
    "add_adapters": "efficient",
    "add_biases": "efficient",
    "add_lora": "efficient",
    "merge_added": "efficient",
    "remove_added": "efficient",
    "h_score": "transferability",
    "leep": "transferability",
    "log_me": "transferability",
    "nce": "transferability",
    "quiet_start": "kernels",
}

__all__ = [*_MODULE_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tlkit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tlkit.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:  # what __getattr__ finds, for editors and type checkers
    from tlkit.audit import audit_fit, diagnose, watch
    from tlkit.backbones import Backbone, find_boundaries, load_backbone, wrap_backbone
    from tlkit.domains import Domain, DomainPair, Split, load_domain, load_pair
    from tlkit.efficient import add_adapters, add_biases, add_lora, merge_added, remove_added
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
    from tlkit.heads import build_head, join, load_source_head
    from tlkit.kernels import quiet_start
    from tlkit.probe import few_shot_curve, fit_probe, linear_probe
    from tlkit.training import FitOptions, fine_tune, fit
    from tlkit.transferability import h_score, leep, log_me, nce
