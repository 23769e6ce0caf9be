"""Policy files and grants -> Policy. Pure: bytes in, frozen values out."""

from aurora.policy.model import Catalogue, Grant, Owner, Policy
from aurora.policy.reader import FILE_MAX_BYTES, OWNER_FEATURES, read_catalogue, read_owner
from aurora.policy.resolve import find_policy, resolve
from aurora.policy.rules import lets_capability, lets_file, lets_network

__all__ = [
    "FILE_MAX_BYTES",
    "OWNER_FEATURES",
    "Catalogue",
    "Grant",
    "Owner",
    "Policy",
    "find_policy",
    "lets_capability",
    "lets_file",
    "lets_network",
    "read_catalogue",
    "read_owner",
    "resolve",
]
