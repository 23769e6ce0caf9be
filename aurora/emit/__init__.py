"""Plan -> unit properties, unit file text, AppArmor text. Pure."""

from aurora.emit.apparmor import apparmor_text
from aurora.emit.mount import mount_properties, mount_text
from aurora.emit.unit import (
    Property,
    directive_lines,
    service_properties,
    slice_properties,
    timer_properties,
    timer_text,
    unit_text,
)

__all__ = [
    "Property",
    "apparmor_text",
    "directive_lines",
    "mount_properties",
    "mount_text",
    "service_properties",
    "slice_properties",
    "timer_properties",
    "timer_text",
    "unit_text",
]
