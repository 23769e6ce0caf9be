"""A module's manifest: bytes -> Manifest. Pure: no file is opened here.

In:   the bytes of module.toml, or of the older module.json, and the name that errors shall show.
Out:  a `Manifest`: frozen, complete, every value within its bounds, in bytes and microseconds; or one
      InputError with every problem of the file, each with line, key and remedy.

`KEYS` is the table that all of it reads: a row for each key. What a machine can enforce and what its owner
allows is not known here (`plan`), nor which policies and grants there are (`policy`).

    document   bytes -> tables: size, encoding, syntax
    located    the lines of keys, for errors
    key        what a row of the table of keys is
    keys_…     the rows
    schema     the table of keys
    values     one value -> what the model holds
    faults     what is wrong with one value
    checks     contradictions between keys
    suggest    what was probably meant by an unknown key
    patch      another [sandbox] in a manifest's text
    reader     all of these, and the errors
    model      the outcome
"""

from aurora.manifest.model import (
    Directories,
    Limits,
    Link,
    Manifest,
    ModuleKind,
    Order,
    Readiness,
    Restart,
    RestartPolicy,
    SafeState,
    Sandbox,
    Schedule,
    Start,
    Stop,
    StopSignal,
    Update,
    to_json,
)
from aurora.manifest.patch import with_sandbox
from aurora.manifest.reader import MANIFEST_FILE, OLDER_FILE, find_manifest, read_manifest
from aurora.manifest.schema import KEYS, MANIFEST_MAX_BYTES, OLDER_KEYS, REQUIRED, Key, TomlType

__all__ = [
    "KEYS",
    "MANIFEST_FILE",
    "MANIFEST_MAX_BYTES",
    "OLDER_FILE",
    "OLDER_KEYS",
    "REQUIRED",
    "Directories",
    "Key",
    "Limits",
    "Link",
    "Manifest",
    "ModuleKind",
    "Order",
    "Readiness",
    "Restart",
    "RestartPolicy",
    "SafeState",
    "Sandbox",
    "Schedule",
    "Start",
    "Stop",
    "StopSignal",
    "TomlType",
    "Update",
    "find_manifest",
    "read_manifest",
    "to_json",
    "with_sandbox",
]
