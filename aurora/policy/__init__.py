"""Policy files and grants -> Policy. Pure: bytes in, frozen values out."""

from aurora.policy.arguments import ARGUMENTS, argument_of
from aurora.policy.ceiling import exposure_problems, forbidden
from aurora.policy.model import (
    SIGNATURE_MODES,
    SIGNATURES_OFF,
    SIGNATURES_REQUIRED,
    SIGNATURES_WARN,
    Catalogue,
    Grant,
    Owner,
    Policy,
)
from aurora.policy.reader import FILE_MAX_BYTES, OWNER_FEATURES, read_catalogue, read_owner
from aurora.policy.resolve import find_grants, find_policy, loosened, resolve
from aurora.policy.rules import lets_capability, lets_file, lets_network
from aurora.policy.values import LAN
from aurora.policy.window import Local, Window, next_opening
from aurora.policy.words import DEFAULT_POLICY, Change, Difference, Reach, difference, reach

__all__ = [
    "ARGUMENTS",
    "DEFAULT_POLICY",
    "FILE_MAX_BYTES",
    "LAN",
    "OWNER_FEATURES",
    "SIGNATURES_OFF",
    "SIGNATURES_REQUIRED",
    "SIGNATURES_WARN",
    "SIGNATURE_MODES",
    "Catalogue",
    "Change",
    "Difference",
    "Grant",
    "Local",
    "Owner",
    "Policy",
    "Reach",
    "Window",
    "argument_of",
    "difference",
    "exposure_problems",
    "find_grants",
    "find_policy",
    "forbidden",
    "lets_capability",
    "lets_file",
    "lets_network",
    "loosened",
    "next_opening",
    "reach",
    "read_catalogue",
    "read_owner",
    "resolve",
]
