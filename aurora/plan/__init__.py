"""Manifest + Policy + Facts -> Plan, and the steps from what runs to what shall run. Pure."""

from aurora.plan.build import make_plan
from aurora.plan.changes import changes
from aurora.plan.local import NETWORKS, localized, needs_groups, needs_networks, wanted_devices
from aurora.plan.model import Action, Facts, Feature, Plan, Running, Step
from aurora.plan.order import find_cycle, in_order, reached
from aurora.plan.reliance import FEATURE_OF, REMEDY, relied_on
from aurora.plan.safe import SAFE_TIMEOUT_USEC, safe_plan
from aurora.plan.secrets import ENCRYPTED_SUFFIX, Secrets

__all__ = [
    "ENCRYPTED_SUFFIX",
    "FEATURE_OF",
    "NETWORKS",
    "REMEDY",
    "SAFE_TIMEOUT_USEC",
    "Action",
    "Facts",
    "Feature",
    "Plan",
    "Running",
    "Secrets",
    "Step",
    "changes",
    "find_cycle",
    "in_order",
    "localized",
    "make_plan",
    "needs_groups",
    "needs_networks",
    "reached",
    "relied_on",
    "safe_plan",
    "wanted_devices",
]
