"""Controls for JupyterLab: freeze and train, compare domains, explore features, find pictures, upload them, predict.

Each widget works without clicks, by its traits and methods, and leaves a static picture for readers without a kernel.
They need ``pip install 'tlkit[lab]'``, which brings ipywidgets and anywidget.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tlkit.words import must_install

if TYPE_CHECKING:
    from tlkit.widgets.caption_search import CaptionSearch
    from tlkit.widgets.domain_compare import DomainCompare
    from tlkit.widgets.domain_flow import DomainFlow
    from tlkit.widgets.feature_map import FeatureMap
    from tlkit.widgets.freeze_lab import FreezeLab
    from tlkit.widgets.gradient_explorer import GradientExplorer
    from tlkit.widgets.picture_upload import PictureUpload
    from tlkit.widgets.predict import Predict

__all__ = [
    "CaptionSearch",
    "DomainCompare",
    "DomainFlow",
    "FeatureMap",
    "FreezeLab",
    "GradientExplorer",
    "PictureUpload",
    "Predict",
]

# Found when asked for: GradientExplorer needs no TensorFlow.
_MODULE_OF = {
    "CaptionSearch": "caption_search",
    "DomainCompare": "domain_compare",
    "DomainFlow": "domain_flow",
    "FeatureMap": "feature_map",
    "FreezeLab": "freeze_lab",
    "GradientExplorer": "gradient_explorer",
    "PictureUpload": "picture_upload",
    "Predict": "predict",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'tlkit.widgets' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"tlkit.widgets.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        if error.name not in ("anywidget", "ipywidgets", "traitlets"):
            raise
        raise ImportError(must_install(error.name, "lab")) from error
    return getattr(module, name)
