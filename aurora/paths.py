"""Every location that is read or written, in one relocatable value.

On the path of `auroractl status`: pathlib is imported when the first location is asked for as a Path, since that costs
half as much as Python itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Paths"]

_RECORDS = "var/lib/aurora-core/records"
_MODULES = "var/lib/aurora-core/modules"
_DAMAGED = "var/lib/aurora-core/damaged"
_CORE = "var/lib/aurora-core/core"
_SHARED = "usr/share/aurora"
_CODE = __file__.removesuffix("/aurora/paths.py")
"""The folder that holds what runs here: a slot of the core, dpkg's, or a checkout."""


class Paths:
    """The locations below `root` ("/" on a real machine, a temporary folder in tests). Immutable."""

    __slots__ = ("prefix",)

    prefix: str
    """What stands before /etc, /usr and all else: nothing on a real machine."""

    def __init__(self, root: str | Path = "/") -> None:
        object.__setattr__(self, "prefix", str(root).rstrip("/"))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Paths is immutable: {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Paths) and self.prefix == other.prefix

    def __hash__(self) -> int:
        return hash(self.prefix)

    def __repr__(self) -> str:
        return f"Paths({self.prefix or '/'!r})"

    def _at(self, location: str) -> Path:
        from pathlib import Path  # noqa: PLC0415  # see above

        return Path(f"{self.prefix}/{location}")

    def _own(self, name: str) -> Path:
        """A folder that belongs to the code."""
        in_slot = _CODE.startswith(f"{self.prefix}/{_CORE}/")
        return self._at(f"{_CODE[len(self.prefix) + 1 :] if in_slot else _SHARED}/{name}")

    @property
    def root(self) -> Path:
        """What all is below."""
        return self._at("")

    @property
    def policies(self) -> Path:
        """Policies and grants of the package; the owner's are in `owner_policies`.

        Code in a slot of the core goes by those that came with it.
        """
        return self._own("policies")

    @property
    def owner(self) -> Path:
        """The owner's configuration: /etc/aurora."""
        return self._at("etc/aurora")

    @property
    def owner_core(self) -> Path:
        """The owner's settings for the core itself."""
        return self.owner / "core.toml"

    @property
    def owner_policies(self) -> Path:
        """Policies of the owner; one of the same name replaces the package's."""
        return self.owner / "policies"

    @property
    def owner_modules(self) -> Path:
        """One file a module, NAME.toml, kept by dpkg as a configuration file."""
        return self.owner / "modules"

    @property
    def owner_credentials(self) -> Path:
        """One folder a module, one file a credential, for root alone; NAME.cred where it is encrypted."""
        return self.owner / "credentials"

    @property
    def owner_keyring(self) -> Path:
        """The keys that the owner trusts to sign packages: one file each, NAME.toml."""
        return self.owner / "keyring"

    @property
    def owner_trust(self) -> Path:
        """The owner's rules: who must sign which packages."""
        return self.owner / "trust.toml"

    @property
    def package_modules(self) -> Path:
        """Where module packages put their payload: one folder a module."""
        return self._at("usr/lib/aurora/modules")

    @property
    def apt_archives(self) -> Path:
        """Where apt keeps packages that it fetched, as long as its owner lets it."""
        return self._at("var/cache/apt/archives")

    @property
    def dpkg(self) -> Path:
        """What dpkg notes of all packages."""
        return self._at("var/lib/dpkg")

    @property
    def dpkg_info(self) -> Path:
        """What dpkg notes of each package: PACKAGE.list is there until the package is purged."""
        return self.dpkg / "info"

    @property
    def template(self) -> Path:
        """The module that `auroractl new` copies; where the policies are."""
        return self._own("template")

    @property
    def state(self) -> Path:
        """What must be remembered: records and staged modules."""
        return self._at("var/lib/aurora-core")

    @property
    def records(self) -> Path:
        """One file for each installed module, of its name."""
        return self._at(_RECORDS)

    @property
    def modules(self) -> Path:
        """Staged modules: NAME/a and NAME/b, and beside each slot its inventory, NAME/a.list."""
        return self._at(_MODULES)

    @property
    def records_text(self) -> str:
        """The path of `records`, for the short verbs."""
        return f"{self.prefix}/{_RECORDS}"

    @property
    def modules_text(self) -> str:
        """The path of `modules`, for the short verbs."""
        return f"{self.prefix}/{_MODULES}"

    @property
    def damaged_text(self) -> str:
        """Which modules' slots were found damaged, and could not be mended: one file a module."""
        return f"{self.prefix}/{_DAMAGED}"

    @property
    def package_code(self) -> Path:
        """The core's own code as dpkg has it."""
        return self._at("usr/lib/python3/dist-packages/aurora")

    @property
    def package_shared(self) -> Path:
        """What dpkg has beside the code: policies, the template, examples."""
        return self._at(_SHARED)

    @property
    def core(self) -> Path:
        """The core's own code: slots a and b, `active` that points to one of them, and what is known of trials."""
        return self._at(_CORE)

    @property
    def core_text(self) -> str:
        """The path of `core`, for the short verbs."""
        return f"{self.prefix}/{_CORE}"

    @property
    def core_active(self) -> Path:
        """A link to the slot that runs, swapped by one rename: its name alone. debian/rollback swaps it back."""
        return self.core / "active"

    @property
    def core_wanted(self) -> Path:
        """The version that dpkg has and that is not active yet, as dpkg calls it; there while that is so."""
        return self.core / "wanted"

    @property
    def core_again(self) -> Path:
        """The digest of a version that its owner has tried again though it did not stay; there until it is tried."""
        return self.core / "again"

    @property
    def core_trial(self) -> Path:
        """The trial of a version that has not ended; debian/rollback writes it, too."""
        return self.core / "trial.json"

    @property
    def core_ended(self) -> Path:
        """Trials that have ended: one file each."""
        return self.core / "ended"

    @property
    def core_lock(self) -> Path:
        """Held while slots of the core or its trial are changed, by debian/rollback, too."""
        return self.runtime / "core-lock"

    @property
    def boot_id(self) -> Path:
        """The kernel's id of this boot."""
        return self._at("proc/sys/kernel/random/boot_id")

    @property
    def accepted(self) -> Path:
        """Which package was accepted last for its signatures: one file a module."""
        return self.state / "accepted"

    @property
    def incidents(self) -> Path:
        """What was known of the last failures: one file a module."""
        return self.state / "incidents"

    @property
    def safe_runs(self) -> Path:
        """When each module was last brought into its safe state: one file a module."""
        return self.state / "safe-state"

    @property
    def updates(self) -> Path:
        """One file a transaction, those that have ended among them, and the folder below."""
        return self.state / "updates"

    @property
    def update_reserve(self) -> Path:
        """Room on the disk that updates are ended by."""
        return self.updates / "reserve"

    @property
    def known_versions(self) -> Path:
        """What is known of each module's versions: one file a module."""
        return self.updates / "modules"

    @property
    def snapshots(self) -> Path:
        """Copies of modules' state while an update is tried: one folder for the update, in it one for each module."""
        return self.state / "snapshots"

    @property
    def volumes(self) -> Path:
        """Disk images of directories that have a budget: DIRECTORY/PARENT/NAME.ext4 (`aurora.plan.volume`)."""
        return self.state / "volumes"

    @property
    def cache(self) -> Path:
        """AppArmor profiles, as text and compiled, and downloads; all of it can be had again."""
        return self._at("var/cache/aurora-core")

    @property
    def downloads(self) -> Path:
        """What has arrived of packages from the web, until they are whole."""
        return self.cache / "downloads"

    @property
    def profile_sources(self) -> Path:
        """The AppArmor profiles that were compiled, as text."""
        return self.cache / "profiles"

    @property
    def runtime(self) -> Path:
        """What is true until reboot."""
        return self._at("run/aurora")

    @property
    def applied(self) -> Path:
        """One JSON file for each plan that systemd was given since boot."""
        return self.runtime / "applied"

    @property
    def shared_limits(self) -> Path:
        """What each slice was held to before commands of `auroractl exec` ran in it."""
        return self.runtime / "exec"

    @property
    def profiles(self) -> Path:
        """The AppArmor profiles that were loaded since boot, as text."""
        return self.runtime / "apparmor"

    @property
    def profiles_lock(self) -> Path:
        """Held while profiles are loaded or removed, by the parser, too."""
        return self.runtime / "apparmor.lock"

    @property
    def safe_decisions(self) -> Path:
        """For which run of a module its safe state was started: one file a module, and the lock of each."""
        return self.runtime / "safe-state"

    @property
    def snapshots_lock(self) -> Path:
        """Held while a module's state is copied or put back, by the program that copies, too."""
        return self.runtime / "snapshots.lock"

    @property
    def repeated(self) -> Path:
        """Modules whose last failure was like the one before it: one file a module, which holds systemd's result."""
        return self.runtime / "repeated"

    @property
    def lock(self) -> Path:
        """Held while something is being changed, so that two commands never interleave."""
        return self.runtime / "lock"

    @property
    def update_lock(self) -> Path:
        """Held by the command that updates modules, from the beginning of the transaction to its end."""
        return self.runtime / "update-lock"

    def learning_lock(self, module: str) -> Path:
        """Held by the command that learns what a module does."""
        return self.runtime / f"aurora-learn-{module}.lock"

    @property
    def update_begun(self) -> Path:
        """Which transaction was begun in this boot."""
        return self.runtime / "update"

    @property
    def link_socket(self) -> Path:
        """AuroraLink's unix socket."""
        return self.runtime / "link.sock"

    @property
    def link_rules(self) -> Path:
        """What each module may do on AuroraLink: one JSON file for each that is there, which the hub reads."""
        return self.runtime / "link"

    @property
    def link_state(self) -> Path:
        """What AuroraLink keeps on disk, once there is anything: StateDirectory= of aurora-link.service."""
        return self._at("var/lib/private/aurora-link")

    def private_text(self, directory: str, module: str) -> str:
        """Where systemd keeps the directory (state, cache or logs) of a module, which has a user of its own."""
        kind = {"state": "lib", "cache": "cache", "logs": "log"}[directory]
        return f"{self.prefix}/var/{kind}/private/aurora/{module}"

    def below(self, place: str) -> Path:
        """An absolute path of the machine, as plans hold them."""
        return self._at(place.lstrip("/"))

    def module_state(self, module: str) -> tuple[Path, ...]:
        """What is left of a removed module until it is purged.

        Its state, cache and logs where systemd keeps them, each private and public path; when its timer ran last
        (systemd.timer(5), Persistent=); its credentials; which package of it was accepted.
        """
        return (
            *(
                self.root / "var" / kind / middle / module
                for kind in ("lib", "cache", "log")
                for middle in ("private/aurora", "aurora")
            ),
            self.root / "var/lib/systemd/timers" / f"stamp-aurora@{module}.timer",
            self.owner_credentials / module,
            self.accepted / module,
        )
