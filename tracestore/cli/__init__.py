"""The command line: `tracestore`, also `python -m tracestore`.

Knows which commands there are, what each exit code means and how a program ends; what a command does is in
the module of its group, imported when the command is run. Invariant: no error that this package raises on
purpose shows a traceback, and `tracestore --help` imports neither the store nor rich.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from typing import Any, NamedTuple

import click

from tracestore import __version__
from tracestore.errors import (
    AlreadyExistsError,
    FilterSyntaxError,
    InvalidArgumentError,
    NotFoundError,
    TracestoreError,
)

NOT_FOUND = 1
FOUND = 1  # by `check`: as grep and diff, 1 is the answer that is no error
USAGE = 2
STORE_FAILED = 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
PIPE_CLOSED = 141  # 128 + SIGPIPE, what `tracestore … | head` of any other program gives


class _Command(NamedTuple):
    section: str
    module: str
    summary: str


#: Every command in the order that help lists them.
COMMANDS = {
    "demo": _Command("Try it", "demo", "Record a small program, then search what it did."),
    "search": _Command("Look", "search", "List the traces that meet a filter, newest first."),
    "show": _Command("Look", "show", "Show one trace: its spans, errors and assessments."),
    "view": _Command("Look", "view", "Open traces in the browser, as one file without a server."),
    "sessions": _Command("Look", "sessions", "List sessions, the one with the newest trace first."),
    "tail": _Command("Look", "tail", "Follow traces as they end, from any process."),
    "top": _Command("Look", "top", "Rank names: slowest, most failing, most expensive."),
    "diff": _Command("Look", "diff", "Say what differs between two traces."),
    "count": _Command("Look", "search", "Count the traces that meet a filter."),
    "stats": _Command("Look", "stats", "Say what is in the file, and how it went."),
    "metrics": _Command(
        "Look", "questions", "Compute figures over all traces, by group and by time."
    ),
    "compare": _Command(
        "Look", "questions", "Compare versions, environments or flags side by side."
    ),
    "correlate": _Command(
        "Look", "questions", "Say what distinguishes the traces that meet a filter."
    ),
    "explain": _Command("Look", "search", "Say how a search would run."),
    "import": _Command("Change", "importing", "Read another program's traces into the store."),
    "export": _Command(
        "Change", "export", "Send traces to an OpenTelemetry receiver, or into a file."
    ),
    "tag": _Command("Change", "change", "Set a tag of a trace."),
    "feedback": _Command("Change", "change", "Say how good a trace was."),
    "delete": _Command("Change", "change", "Delete traces for good."),
    "redact": _Command(
        "Change", "redact", "Replace secrets in stored traces, and wipe them from the file."
    ),
    "backup": _Command("Upkeep", "copies", "Copy the file while it is in use."),
    "extract": _Command("Upkeep", "copies", "Copy traces that meet a filter into a new file."),
    "merge": _Command("Upkeep", "copies", "Take the traces of another store into this one."),
    "vacuum": _Command("Upkeep", "copies", "Give back what the file does not need."),
    "check": _Command("Upkeep", "check", "Check the file, or conditions such as 'p95 < 3s'."),
    "repair": _Command("Upkeep", "repair", "Save what a damaged file still holds."),
    "prune": _Command(
        "Upkeep", "prune", "Delete traces that are old or too many, the oldest first."
    ),
    "retention": _Command("Upkeep", "prune", "Say or set what is deleted without being asked."),
}

_EPILOG = """\b
Exit codes:
  0  done; also where no trace meets a filter
  1  there is no such trace, tag or experiment; or `check` found something
  2  the command line or the filter can't be read
  3  the store can't be opened or read

\b
Environment:
  TRACESTORE_DB  the file, where --db is not given
  NO_COLOR       no colours

`tracestore COMMAND --help` has examples."""


class _Group(click.Group):
    """Commands that are imported when they are run."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; see click.Group.main."""
        from tracestore.cli import streams  # noqa: PLC0415 - not needed to import `main`

        streams.prepare()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, None where there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tracestore.cli.{COMMANDS[cmd_name].module}")
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, without importing them."""
        del ctx
        for section in dict.fromkeys(command.section for command in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, c.summary) for name, c in COMMANDS.items() if c.section == section]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors end the program with their exit code."""
        try:
            return super().invoke(ctx)
        except TracestoreError as error:
            click.ClickException(_message(error)).show()
            ctx.exit(exit_code(error))
        except BrokenPipeError:
            # What is still buffered has nowhere to go; without this the interpreter complains at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(PIPE_CLOSED)
        except OSError as error:  # what is printed can't be written: a full disk
            click.ClickException(str(error)).show()
            ctx.exit(STORE_FAILED)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)


def exit_code(error: TracestoreError) -> int:
    """Return the exit code that `error` ends the program with."""
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    if isinstance(error, (FilterSyntaxError, InvalidArgumentError, AlreadyExistsError)):
        return USAGE
    return STORE_FAILED


def _message(error: TracestoreError) -> str:
    from tracestore.display.escape import visible  # noqa: PLC0415 - errors only

    if isinstance(error, FilterSyntaxError) and error.source:
        picture = "\n".join(f"  {line}" for line in visible(error.message).splitlines())
        return f"this can't be read:\n\n{picture}"
    return visible(error.message)


@click.group(
    cls=_Group,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Search and read what programs that call language models did.

    Traces are in one SQLite file on this machine. Programs record into it with
    `import tracestore as mlflow`; `tracestore demo` shows how that looks.
    """
