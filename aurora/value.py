"""Frozen values for the short verbs: what a frozen dataclass is, without what importing it costs.

`auroractl status` may cost three times the CPU of a Python that does nothing. Importing dataclasses, typing or enum
takes a good part of that, so the values on its path are made of this, and what they import for types alone stands
below TYPE_CHECKING. Everything else uses the standard library's.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs the import of typing; type checkers know the name

if TYPE_CHECKING:
    from typing import ClassVar, NoReturn, Self, dataclass_transform
else:

    def dataclass_transform(**_options: bool) -> object:
        """What typing's does at run time: nothing."""
        return lambda made: made


__all__ = ["Value"]


@dataclass_transform(frozen_default=True, eq_default=True)
class Value:
    """Base of a class whose annotated names are its fields, in order; a default is what the class sets.

    Fields are given in order or by name, as to a dataclass (TypeError when one is missing, unknown or given twice).
    Equal and hashed by value within one class. A subclass of a subclass has the fields of its own alone.
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: object, **named: object) -> None:
        fields = self._fields
        found = dict(zip(fields, values, strict=False))
        wrong = [name for name in named if name in found or name not in fields]
        found.update(named)
        missing = [name for name in fields if name not in found and name not in type(self).__dict__]
        if wrong or missing or len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has the fields {fields}: missing {missing}, wrong {wrong}")
        self.__dict__.update(found)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Value) and other._asdict() == self._asdict()

    def __hash__(self) -> int:
        return hash((type(self), *self._asdict().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def _asdict(self) -> dict[str, object]:
        """The fields by name, in order; values in it stay as they are."""
        return {name: getattr(self, name) for name in self._fields}

    def _replace(self, **changes: object) -> Self:
        """The same with some fields changed; TypeError when there is no such field."""
        return type(self)(**{**self._asdict(), **changes})
