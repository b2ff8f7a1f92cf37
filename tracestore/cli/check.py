"""`tracestore check`: whether the file is what it should be."""

from __future__ import annotations

import click
import msgspec
from rich.table import Table
from rich.text import Text

from tracestore.cli import FOUND, options, progress, streams, terminal
from tracestore.cli.terminal import safe, safe_block
from tracestore.upkeep.findings import DAMAGE, LEFTOVER, Finding

_STYLES = {DAMAGE: "bold red", LEFTOVER: "dim"}


@click.command(epilog=options.examples("tracestore check", "tracestore check --json"))
@options.json_option
@options.db_option
@click.pass_context
def check(context: click.Context, as_json: bool, path: str) -> None:
    """Check the file: pages, rows, JSON and indexes.

    Only reads; programs go on recording. Exit code 1 where something is wrong; leftovers, which change no answer,
    are not.
    """
    with options.open_store(path) as store, progress.bar() as show:
        findings = store.check(progress=show)
    wrong = any(finding.severity != LEFTOVER for finding in findings)
    if as_json:
        streams.write_json({"ok": not wrong, "findings": msgspec.to_builtins(findings)})
    else:
        _print(findings)
    context.exit(FOUND if wrong else 0)


def _print(findings: list[Finding]) -> None:
    console = terminal.console()
    if not findings:
        console.print("nothing is wrong")
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        severity = Text(finding.severity, _STYLES.get(finding.severity, "red"))
        places = "; ".join(finding.places) + ("; …" if finding.count > len(finding.places) else "")
        table.add_row(severity, f"{finding.count:,}", safe_block(finding.message), safe(places))
    console.print(table)
    if any(finding.severity == DAMAGE for finding in findings):
        console.print("`tracestore repair` saves what can be read into a new file")
