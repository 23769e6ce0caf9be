"""Where a module's credentials are: a fact of the machine, as a plan needs it. Their content never comes here."""

from __future__ import annotations

from typing import NamedTuple

from aurora.directives import Value

__all__ = ["ENCRYPTED_SUFFIX", "Secrets"]

ENCRYPTED_SUFFIX = ".cred"
"""A file that systemd-creds(1) has encrypted."""


class Secrets(NamedTuple):
    """The credentials that a module's owner has set."""

    folder: str
    """Absolute path of the folder that has them, or would have them."""
    encrypted: frozenset[str] = frozenset()
    """Names of those that are there in encrypted form; every other is, or would be, a plain file."""

    def file(self, name: str) -> str:
        """The file of the credential."""
        return f"{self.folder}/{name}{ENCRYPTED_SUFFIX if name in self.encrypted else ''}"

    def settings(self, names: tuple[str, ...]) -> dict[str, Value]:
        """The directives that hand over these credentials (systemd.exec(5), CREDENTIALS)."""
        plain = tuple(f"{name}:{self.file(name)}" for name in names if name not in self.encrypted)
        encrypted = tuple(f"{name}:{self.file(name)}" for name in names if name in self.encrypted)
        found: dict[str, Value] = {}
        if plain:
            found["LoadCredential"] = plain
        if encrypted:
            found["LoadCredentialEncrypted"] = encrypted
        return found
