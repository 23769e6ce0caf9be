"""What a module was seen to do -> the smallest grants that let it, each with its evidence."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aurora.plan.evidence import Did, Evidence
from aurora.policy import Grant, Policy, lets_capability, lets_file, lets_network

__all__ = ["Proposal", "Reasoned", "arguments_asked", "propose"]

_TOLERATED = frozenset({"netlink raw", "netlink dgram"})
"""Sockets that the C library opens to look at the machine's addresses, and does without when it may not."""

_EVERY = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasoned:
    """A grant, and what was seen that it lets through."""

    grant: str
    evidence: tuple[Evidence, ...]
    peers: tuple[str, ...]
    """Addresses at the other end of sockets, where the grant is about the network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What to write into the manifest's [sandbox]."""

    policy: str
    grants: tuple[Reasoned, ...]
    unused: tuple[str, ...]
    """Grants that the manifest asks for and that nothing was seen to need."""
    ungranted: tuple[Evidence, ...]
    """What was seen and no grant lets through; enforced, it is refused."""
    unreached: tuple[str, ...]
    """Addresses that it talked to and no grant that is proposed reaches."""

    @property
    def names(self) -> tuple[str, ...]:
        """The grants, by name."""
        return tuple(one.grant for one in self.grants)


def arguments_asked(evidence: Iterable[Evidence], ports: Iterable[int], *, binds: bool) -> tuple[str, ...]:
    """Names of grants with an argument that may let through what was seen; not all need be there, or be taken.

    A program that binds other sockets than those it listens on may need ports that no record names.
    """
    names = []
    for one in evidence:
        did, what = one.deed
        if did is Did.CAPABILITY:
            names.append(f"cap:{what.upper()}")
        elif did is Did.FILE and what.startswith("/dev/"):
            names.append(f"device:{what}")
        elif did is Did.FILE and set(one.access) <= {"r"}:
            names.append(f"read:{what.rstrip('/')}")
        elif did is Did.FILE:
            names.append(f"write:{what.rstrip('/')}")
    return tuple(dict.fromkeys((*names, *(f"listen:{port}" for port in ports if not binds))))


def propose(
    evidence: Sequence[Evidence],
    peers: Iterable[str],
    *,
    ports: Iterable[int] = (),
    networks: Iterable[str] = (),
    policy: Policy,
    grants: Mapping[str, Grant],
    declared: Iterable[str],
    syscall_groups: Mapping[str, frozenset[str]],
) -> Proposal:
    """The proposal for a module under `policy`; `grants` are those there are to choose from.

    A grant is left out when the others let the same through, the widest first. What only a grant for the network
    lets through counts for it only when a socket was seen. `ports` are those it listened on, `networks` those that
    this machine is on, `syscall_groups` tells what is in an @group.
    """
    near = tuple(networks)
    listened = tuple(ports)
    addresses = _addresses(peers)
    network = any(one.deed.did is Did.NETWORK and one.deed.what not in _TOLERATED for one in evidence)
    chosen = {name: grant for name, grant in grants.items() if network or not _is_network(grant)}
    covered = {
        name: {index for index, one in enumerate(evidence) if _lets(policy, grant, one, syscall_groups)}
        for name, grant in chosen.items()
    }
    needed = {index: one for index, one in enumerate(evidence) if not _lets(policy, None, one, syscall_groups)}
    counted = {index for index, one in needed.items() if one.deed.what not in _TOLERATED}
    atoms: dict[str, set[object]] = {
        name: {*(covered[name] & counted), *_reached(grant, addresses, near), *_opened(grant, listened)}
        for name, grant in chosen.items()
    }
    names = _smallest(atoms, sorted(chosen, key=lambda name: _width(chosen[name], near), reverse=True))
    reached = {address for name in names for address in _reached(chosen[name], addresses, near)}
    given = {index for name in names for index in covered[name]}
    return Proposal(
        policy=policy.name,
        grants=tuple(
            Reasoned(
                grant=name,
                evidence=tuple(evidence[index] for index in sorted(covered[name] & needed.keys())),
                peers=tuple(str(address) for address in _reached(chosen[name], addresses, near)),
            )
            for name in sorted(names)
        ),
        unused=tuple(sorted(set(declared) - names)),
        ungranted=tuple(one for index, one in needed.items() if index not in given),
        unreached=tuple(str(address) for address in addresses if address not in reached),
    )


def _smallest(atoms: Mapping[str, set[object]], widest_first: Sequence[str]) -> set[str]:
    """Grants that let through all that any lets through, none of which could be left out."""
    kept = {name for name in atoms if atoms[name]}
    for name in widest_first:
        others = set().union(*(atoms[other] for other in kept if other != name))
        if name in kept and atoms[name] <= others:
            kept.discard(name)
    return kept


def _lets(policy: Policy, grant: Grant | None, one: Evidence, syscall_groups: Mapping[str, frozenset[str]]) -> bool:
    """Whether the grant, on top of the policy, lets it through."""
    rules = policy.apparmor if grant is None else (*grant.apparmor, *policy.apparmor)
    match one.deed.did:
        case Did.FILE | Did.RUN:
            return lets_file(rules, one.deed.what, one.access)
        case Did.NETWORK:
            return lets_network(rules, *_family_and_type(one.deed.what))
        case Did.CAPABILITY:
            return lets_capability(rules, one.deed.what)
        case Did.SYSCALL:
            return grant is not None and _adds_call(grant, one.deed.what, syscall_groups)
        case Did.OTHER:
            return False


def _family_and_type(what: str) -> tuple[str, str]:
    family, _, kind = what.partition(" ")
    return family, kind


def _adds_call(grant: Grant, name: str, syscall_groups: Mapping[str, frozenset[str]]) -> bool:
    added = grant.add.get("SystemCallFilter", ())
    taken = grant.remove.get("SystemCallFilter", ())
    return any(
        name == word or name in syscall_groups.get(word, frozenset())
        for word in (*(w for w in added if not w.startswith("~")), *(w[1:] for w in taken if w.startswith("~")))
    )


type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _addresses(texts: Iterable[str]) -> tuple[_Address, ...]:
    found = set()
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if not (mapped or address).is_unspecified:
            found.add(mapped or address)
    return tuple(sorted(found, key=lambda one: (one.version, int(one))))


type _Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(grant: Grant, near: Sequence[str] = ()) -> list[_Network]:
    """The networks that a grant reaches; "lan" among them stands for those that the machine is on."""
    meant = {"any": _EVERY, "lan": tuple(near)}
    words = grant.add.get("IPAddressAllow", ())
    return [ipaddress.ip_network(network) for word in words for network in meant.get(word, (word,))]


def _reached(grant: Grant, addresses: Iterable[_Address], near: Sequence[str]) -> list[_Address]:
    networks = _networks(grant, near)
    return [one for one in addresses if any(net.version == one.version and one in net for net in networks)]


def _opened(grant: Grant, ports: Iterable[int]) -> set[object]:
    """The ports, of those given, on which the grant lets a module listen."""
    if grant.set.get("PrivateNetwork") is not False or not lets_network(grant.apparmor, "inet", "stream"):
        return set()
    named = grant.add.get("SocketBindAllow", ())
    return {("port", port) for port in ports if "SocketBindDeny" not in grant.add or str(port) in named}


def _is_network(grant: Grant) -> bool:
    return bool(grant.add.get("IPAddressAllow")) or any(rule.startswith("network") for rule in grant.apparmor)


def _width(grant: Grant, near: Sequence[str]) -> tuple[int, bool, int, str]:
    """How much a grant opens: addresses first, then ports, rules and directives; the name settles a draw."""
    space = sum(2 ** (net.max_prefixlen - net.prefixlen) for net in _networks(grant, near))
    changes = sum(len(words) for words in grant.add.values()) + len(grant.set) + len(grant.remove)
    return space, "SocketBindDeny" not in grant.add, changes + len(grant.apparmor), grant.name
