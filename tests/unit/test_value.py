"""Frozen values that are cheap to import."""

from __future__ import annotations

import pytest

from aurora.value import Value


class Point(Value):
    """Two fields and a default."""

    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        """No field."""
        return self.x + self.y


def test_fields_are_given_in_order_or_by_name() -> None:
    assert Point(1) == Point(x=1) == Point(1, y=2) == Point(1, 2)
    assert (Point(1).x, Point(1).y, Point(1, 5).sum) == (1, 2, 6)


def test_equal_and_hashed_by_value_within_a_class() -> None:
    class Other(Value):
        x: int
        y: int = 2

    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert len({Point(1), Point(1, 2), Point(2)}) == 2


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1})],
)
def test_a_missing_unknown_or_doubled_field_is_an_error(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point has the fields"):
        Point(*values, **named)


def test_it_is_frozen() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]  # that is what is tested
    with pytest.raises(AttributeError, match="frozen"):
        del point.x
    assert point == Point(1)


def test_it_is_shown_turned_into_a_dict_and_replaced() -> None:
    point = Point(1)
    assert repr(point) == "Point(x=1, y=2)"
    assert point._asdict() == {"x": 1, "y": 2}
    assert (point._replace(y=3), point) == (Point(1, 3), Point(1, 2))
    with pytest.raises(TypeError):
        point._replace(z=3)
