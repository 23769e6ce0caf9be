"""What the kernel shows of each budget of what a module stores. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator

from aurora.host.mounts import Mount, mount_of, size_in_memory
from aurora.plan import Feature, Plan, Volume
from aurora.quantity import format_size
from aurora.runtime.readback import Readback
from aurora.runtime.verdict import Held, Row, Seen, Verdict, judge

__all__ = ["budget_rows", "lacking_rows"]

LOOP_SOURCE = "/proc/PID/mountinfo, /sys/dev/block/*/loop/backing_file"
MEMORY_SOURCE = "/proc/PID/mountinfo"


def budget_rows(evidence: Readback) -> Iterator[Row]:
    """A row for each volume of the plan, and one where the owner goes without them."""
    for volume in evidence.plan.volumes:
        state = evidence.volume_states.get(volume.unit, "")
        held = Held(state == "active" if evidence.running else True, f"{volume.unit} {state or 'not loaded'}")
        seen = _seen(volume, evidence) if evidence.running else None
        yield judge(f"{volume.directory} size", format_size(volume.size_bytes), seen, held, running=evidence.running)
    yield from lacking_rows(evidence.plan)


def lacking_rows(plan: Plan) -> Iterator[Row]:
    """The row of a plan whose budgets are not enforced, as its owner accepts."""
    if Feature.LOOP in plan.unenforced:
        why = f"this machine lacks {Feature.LOOP}, which its owner accepts"
        yield Row("disk budgets", "as the manifest says", "no limit", Verdict.NOT_ENFORCED, why, "")


def _seen(volume: Volume, evidence: Readback) -> Seen:
    source = LOOP_SOURCE if volume.image else MEMORY_SOURCE
    mounts = evidence.process.mounts if evidence.process is not None else None
    if mounts is None:
        return Seen(None, "", source, "it takes root to read this: sudo")
    mount = mount_of(mounts, volume.place)
    if mount is None or mount.point != volume.place:
        return Seen(False, "no limit", source, f"nothing is mounted on {volume.place}")
    fault = _image_fault(volume, mount, evidence) if volume.image else _memory_fault(volume, mount)
    if fault:
        return Seen(False, "another size", source, fault)
    return Seen(True, format_size(volume.size_bytes), source)


def _image_fault(volume: Volume, mount: Mount, evidence: Readback) -> str:
    """What is not as declared of a volume that is in an image; empty when nothing is."""
    loop = evidence.loops.get(mount.device)
    if mount.kind != "ext4" or loop is None:
        return f"{volume.place} is on no loop device of its own"
    image, length_bytes = loop
    if image != volume.image:
        return f"{volume.place} is in {image}"
    # Whole sectors of 512 bytes; an image is made of blocks of 4096.
    return "" if length_bytes == volume.image_bytes else f"{image} has {length_bytes} bytes, not {volume.image_bytes}"


def _memory_fault(volume: Volume, mount: Mount) -> str:
    size_bytes = size_in_memory(mount) if mount.kind == "tmpfs" else None
    if size_bytes == volume.size_bytes:
        return ""
    return f"{volume.place} holds {'any amount' if size_bytes is None else format_size(size_bytes)}"
