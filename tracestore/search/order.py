"""What traces are sorted by, the id at last; and where a page of that order ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracestore.errors import InvalidArgumentError
from tracestore.filters import ast, meaning, orders, parser
from tracestore.filters.parser import OrderItem
from tracestore.filters.sql import Bindable, Fragment, build

#: The most items of an order.
MAX_ORDER_ITEMS = 16

_TIME = ast.Reference(None, "timestamp_ms")


@dataclass(frozen=True)
class Position:
    """Where a page ended: the order's values and the id of its last row."""

    keys: tuple[Bindable, ...]
    trace: int


@dataclass(frozen=True)
class Order:
    """What traces are sorted by; those that are the same in all of it, by id."""

    items: tuple[OrderItem, ...]

    @property
    def is_of_ids(self) -> bool:
        """Whether it is the order of the ids, which is that of time."""
        return len(self.items) == 1 and self.items[0].field == _TIME

    @property
    def descending(self) -> bool:
        """Whether the id, the last of every order, goes downwards."""
        last = self.items[-1]
        return last.field != _TIME or last.descending

    def keys(self) -> list[Fragment]:
        """Return the expressions that are sorted by, without the id."""
        return [orders.key_of(item) for item in self.items]

    def terms(self, keys: list[Fragment], trace: Fragment) -> list[Fragment]:
        """Return the items of ORDER BY, with these expressions for keys and id."""
        ordered = [orders.term(item, key) for item, key in zip(self.items, keys, strict=True)]
        return [*ordered, self.by_id(trace)]

    def rest(self, keys: list[Fragment]) -> list[Fragment]:
        """Return the items of ORDER BY between the first and the id."""
        return [
            orders.term(item, key)
            for item, key in zip(self.items[1:], keys[1:], strict=True)
            if item is not self.items[-1] or item.field != _TIME  # which the id says too
        ]

    def by_id(self, trace: Fragment) -> Fragment:
        """Return the last item of ORDER BY."""
        return build(f"{{}} {'DESC' if self.descending else 'ASC'}", trace)

    def after(self, keys: list[Fragment], position: Position) -> Fragment:
        """Return the condition that a row comes after `position`."""
        after = build(f"t.id {'<' if self.descending else '>'} ?", position.trace)
        for item, key, value in reversed(list(zip(self.items, keys, position.keys, strict=True))):
            after = build("(({} AND {} IS ?) OR {})", after, key, value, _beyond(item, key, value))
        return after

    def ids_after(self, position: Position, low: int, high: int) -> tuple[int, int]:
        """Return what is left after `position` of a range of ids, where they are the order."""
        if self.descending:
            return low, min(high, position.trace - 1)
        return max(low, position.trace + 1), high


def read_order(order_by: Sequence[str] | str | None) -> Order:
    """Return an order, the default where none is given."""
    texts = [order_by] if isinstance(order_by, str) else list(order_by or ())
    items: list[OrderItem] = []
    for text in texts:
        if not isinstance(text, str):
            raise InvalidArgumentError(
                f"order_by is a list of texts such as 'duration DESC', not {text!r}"
            )
        item = meaning.normalise_order(parser.parse_order(text), text)
        if any(item.field == earlier.field for earlier in items):
            raise InvalidArgumentError(f"order_by names {item.field} twice")
        items.append(item)
    if len(items) > MAX_ORDER_ITEMS:
        raise InvalidArgumentError(f"order_by has {len(items)} items: at most {MAX_ORDER_ITEMS}")
    return Order(tuple(items) or (OrderItem(_TIME, descending=True),))


def _beyond(item: OrderItem, key: Fragment, value: Bindable) -> Fragment:
    """Return the condition that one key alone puts a row after the position."""
    if value is None:
        return build("{} IS NOT NULL", key) if item.nulls_first else Fragment("0")
    further = build(f"{{}} {'<' if item.descending else '>'} ?", key, value)
    return further if item.nulls_first else build("({} OR {} IS NULL)", further, key)
