"""Manifest + Policy + Facts -> Plan, and the steps from what runs to what shall run. Pure.

build        the plan                                   changes      the steps
learning     a plan -> the plan of a learning run       evidence     audit records -> what it did
proposal     what it did -> the grants it needs         patch        these as TOML
permissions  two plans -> what the new one may newly do
update       an update as a state machine on disk       watch        whether a version is worse than the one before
inventory    what was staged, and how what is there differs
core         the same of the core's own code
"""

from aurora.plan.build import argv_of, make_plan
from aurora.plan.changes import changes
from aurora.plan.local import NETWORKS, localized, needs_groups, needs_networks, wanted_devices
from aurora.plan.model import Action, Facts, Feature, Plan, Running, Step
from aurora.plan.order import find_cycle, in_order, reached, turned_round
from aurora.plan.reliance import FEATURE_OF, REMEDY, relied_on
from aurora.plan.safe import SAFE_TIMEOUT_USEC, check_plan, safe_plan, without_volumes
from aurora.plan.secrets import ENCRYPTED_SUFFIX, Secrets
from aurora.plan.volume import DIRECTORIES, RUNTIME, Volume, runtime_volume, volume_at

__all__ = [
    "DIRECTORIES",
    "ENCRYPTED_SUFFIX",
    "FEATURE_OF",
    "NETWORKS",
    "REMEDY",
    "RUNTIME",
    "SAFE_TIMEOUT_USEC",
    "Action",
    "Facts",
    "Feature",
    "Plan",
    "Running",
    "Secrets",
    "Step",
    "Volume",
    "argv_of",
    "changes",
    "check_plan",
    "find_cycle",
    "in_order",
    "localized",
    "make_plan",
    "needs_groups",
    "needs_networks",
    "reached",
    "relied_on",
    "runtime_volume",
    "safe_plan",
    "turned_round",
    "volume_at",
    "wanted_devices",
    "without_volumes",
]
