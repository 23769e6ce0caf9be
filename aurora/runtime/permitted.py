"""What a version of a module may do, as two of them are compared: by `diff`, and before an update."""

from __future__ import annotations

from pathlib import Path

from aurora.manifest import Manifest
from aurora.paths import Paths
from aurora.plan import Plan
from aurora.plan.permissions import Permitted
from aurora.runtime.control import plan_of
from aurora.runtime.folders import Planner, owner_file, read_module
from aurora.runtime.records import Record

__all__ = ["permitted", "permitted_now"]


def permitted(planner: Planner, manifest: Manifest, plan: Plan) -> Permitted:
    """By a manifest and the plan of it."""
    grants = {grant.name: grant.description for grant in planner.granted(manifest)}
    return Permitted(manifest=manifest, plan=plan, grants=grants)


def permitted_now(paths: Paths, planner: Planner, record: Record) -> Permitted:
    """The version that is active; AuroraError when no plan can be made of it any more."""
    manifest = read_module(Path(record.folder(paths)), owner=owner_file(paths, record.name))
    return permitted(planner, manifest, plan_of(paths, planner, record))
