"""How a search would run, as text."""

from __future__ import annotations

from tracestore.filters import plan
from tracestore.filters.sql import Fragment


def plan_text(made: plan.Plan, walked: str | None) -> str:
    """Return which condition drives, and what the probes found."""
    lines = []
    for item in made.considered:
        drives = walked is None and item in made.driving
        verb = "drives" if drives else "checked"
        lines.append(f"{verb:8} {item.condition}  ({_explain_choice(item.choice)})")
    if walked is not None:
        lines.append(f"drives   all traces in the order of {walked}")
    elif made.driver is None:
        lines.append("drives   all traces in the order of time")
    lines.append(f"ids      {made.low} to {made.high}")
    return "\n".join(lines)


def statement_text(statement: Fragment, steps: list[tuple[int, ...]]) -> list[str]:
    """Return the lines of one statement: its SQL, what is bound, and SQLite's plan."""
    return [
        "",
        statement.text.strip(),
        "",
        f"values: {list(statement.values)!r}",
        "",
        "SQLite's plan:",
        *_indent_steps(steps),
    ]


def _explain_choice(choice: plan.Choice | None) -> str:
    if choice is None:
        return "no index helps, or it holds too many to sort"
    indexes = ", ".join(sorted({leg.index for leg in choice.stream.legs}))
    about = "" if choice.measure.is_complete else "about "
    rows = f"{choice.measure.rows:,.0f}" if choice.measure.rows < 1e18 else "many"
    return f"{about}{rows} in {indexes}"


def _indent_steps(steps: list[tuple[int, ...]]) -> list[str]:
    """Return SQLite's plan as a tree."""
    depth = {0: 0}
    lines = []
    for step, parent, _, text in steps:
        depth[step] = depth.get(parent, 0) + 1
        lines.append(f"{'  ' * depth[step]}{text}")
    return lines
