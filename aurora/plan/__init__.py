"""Manifest + Policy + Facts -> Plan, and the steps from what runs to what shall run. Pure."""

from aurora.plan.build import make_plan
from aurora.plan.changes import changes
from aurora.plan.model import Action, Facts, Feature, Plan, Running, Step
from aurora.plan.reliance import FEATURE_OF, REMEDY, relied_on

__all__ = [
    "FEATURE_OF",
    "REMEDY",
    "Action",
    "Facts",
    "Feature",
    "Plan",
    "Running",
    "Step",
    "changes",
    "make_plan",
    "relied_on",
]
