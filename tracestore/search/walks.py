"""Traces in an order that an index has already: those with a value from the index, those without one beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tracestore.filters import orders
from tracestore.filters.sql import Fragment, build
from tracestore.search.order import Order, Position
from tracestore.search.reading import Reading
from tracestore.search.statements import ID, by_order

#: Values of an index that are searched one by one before all others at once.
VALUES_ONE_BY_ONE = 16


@dataclass(frozen=True)
class WalkedOrder:
    """An order whose first item an index walks by.

    Attributes:
        walk: The way.
        order: The whole order.
        where: What holds of the traces that are wanted.
        position: Where the page before ended.
    """

    walk: orders.Walk
    order: Order
    where: list[Fragment]
    position: Position | None

    def statements(self, reading: Reading) -> Iterator[Fragment]:
        """Yield the SELECTs of the traces that have a value of the first key, and those of no value before or after."""
        in_values = self.position is not None and self.position.keys[0] is not None
        in_none = self.position is not None and self.position.keys[0] is None
        nulls_first = self.order.items[0].nulls_first
        if nulls_first and not in_values:
            yield self._without_value()
        if nulls_first or not in_none:
            yield from self._with_value(reading)
        if not nulls_first:
            yield self._without_value()

    def _keys(self, first: Fragment) -> list[Fragment]:
        return [first, *self.order.keys()[1:]]

    def _checks(self, keys: list[Fragment]) -> list[Fragment]:
        """Return what is checked on each trace on the way."""
        if self.position is None:
            return self.where
        return [*self.where, self.order.after(keys, self.position)]

    def _without_value(self) -> Fragment:
        """Return the SELECT of the traces that have no value of the first key."""
        keys = self._keys(Fragment("NULL"))
        absent = build("{} IS NULL", orders.key_of(self.order.items[0]))
        ordered = [*self.order.rest(keys), self.order.by_id(ID)]
        return by_order(self.walk.of_none, keys, [absent, *self._checks(keys)], ordered)

    def _with_value(self, reading: Reading) -> Iterator[Fragment]:
        """Yield the SELECTs of the traces that have a value.

        Where the index has the ids of each value in the other direction, the first values one by one: SQLite would
        sort all traces of a value to find the first of them.
        """
        walk, first = self.walk, self.order.items[0]
        keys = self._keys(walk.key)
        rest, by_id = self.order.rest(keys), self.order.by_id(walk.trace)
        checks = self._checks(keys)
        reached = None if self.position is None else self.position.keys[0]
        upwards = not first.descending
        present = build("{} IS NOT NULL", walk.key)
        if reached is not None:
            present = build(f"{{}} {'>=' if upwards else '<='} ?", walk.key, reached)
        if walk.values is not None and not rest and first.descending != self.order.descending:
            for _ in range(VALUES_ONE_BY_ONE):
                found = reading.execute(_next_value(walk, present, upwards=upwards))
                value = found[0][0]
                if value is None:
                    return
                yield by_order(
                    walk.source, keys, [build("{} = ?", walk.key, value), *checks], [by_id]
                )
                present = build(f"{{}} {'>' if upwards else '<'} ?", walk.key, value)
        ordered = [build(f"{{}} {'ASC' if upwards else 'DESC'}", walk.key), *rest, by_id]
        yield by_order(walk.source, keys, [present, *checks], ordered)


def _next_value(walk: orders.Walk, present: Fragment, *, upwards: bool) -> Fragment:
    """Return the SELECT of the first value among those present, NULL where there is none."""
    extreme = Fragment("min" if upwards else "max")
    return build("SELECT {}({}) {} AND {}", extreme, walk.key, walk.values or ID, present)
