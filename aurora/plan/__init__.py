"""Manifest + Policy + Facts -> Plan, and the steps from what runs to what shall run. Pure."""

from aurora.plan.build import make_plan
from aurora.plan.changes import changes
from aurora.plan.model import Action, Facts, Feature, Plan, Running, Step

__all__ = ["Action", "Facts", "Feature", "Plan", "Running", "Step", "changes", "make_plan"]
