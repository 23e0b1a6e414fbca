"""Which weights moved, against which were meant to; and the checks for the traps of fine-tuning.

Flags mislead: what counts is what a training step changes. :func:`audit_fit` takes a step and looks, :func:`watch`
looks at a real training, and :func:`diagnose` searches a model, its data and its history for the mistakes that are made
again and again.
"""

from tlkit.audit.diagnosis import RULES, diagnose
from tlkit.audit.findings import Finding, Findings
from tlkit.audit.moved import AuditCallback, audit_fit, watch

__all__ = ["RULES", "AuditCallback", "Finding", "Findings", "audit_fit", "diagnose", "watch"]
