"""Policy files and grants -> Policy. Pure: bytes in, frozen values out."""

from aurora.policy.model import Catalogue, Grant, Owner, Policy
from aurora.policy.reader import FILE_MAX_BYTES, OWNER_FEATURES, read_catalogue, read_owner
from aurora.policy.resolve import find_policy, resolve

__all__ = [
    "FILE_MAX_BYTES",
    "OWNER_FEATURES",
    "Catalogue",
    "Grant",
    "Owner",
    "Policy",
    "find_policy",
    "read_catalogue",
    "read_owner",
    "resolve",
]
