"""`tracestore demo`: runs the program in pipeline.py, recorded, and then searches what it did."""

from __future__ import annotations

import collections
import contextlib
import importlib.resources
import pathlib
import re
import shlex
from collections.abc import Mapping
from typing import NamedTuple

import click
from rich.console import Console
from rich.text import Text

import tracestore
from tracestore.cli import options, pipeline, streams, terminal
from tracestore.cli.terminal import dim, heading
from tracestore.cli.trace import tree
from tracestore.cli.traces import SHORT_ID_DIGITS, traces_table
from tracestore.display.escape import visible
from tracestore.display.layout import tree_rows
from tracestore.display.units import count_text
from tracestore.entities import PagedList, Trace
from tracestore.errors import InvalidArgumentError

EXPERIMENT = "demo"
SESSION = "demo-session"
USER = "ada"

#: Documents that every installation has: the introductions of the package's own modules.
_MODULES = (
    "capture/decorator.py",
    "display/escape.py",
    "display/layout.py",
    "entities/span.py",
    "errors.py",
    "ids.py",
    "settings.py",
    "storage/connection.py",
    "storage/schema.py",
    "storage/writer.py",
)
_INTRODUCTION = re.compile(r'\A\s*r?"""(.*?)"""', re.DOTALL)
_SUFFIXES = frozenset({".txt", ".md", ".rst"})
_MAX_DOCUMENTS = 200
_LONG_WORD = 6  # letters
_MAX_DOCUMENT_CHARACTERS = 50_000

_QUESTIONS = (
    "How are traces kept in the order of time?",
    "What happens to a value that can't be read?",
    "When is a generator's span current?",
)


class Search(NamedTuple):
    """A filter that the demo searches with, and what it asks."""

    filter_string: str
    meaning: str


SEARCHES = (
    Search("status = 'ERROR'", "Which questions could not be answered?"),
    Search(
        "status = 'OK' AND span.type = 'TOOL' AND span.status = 'ERROR'",
        "Where did a tool fail, and the program recover?",
    ),
    Search(
        f"session = '{SESSION}' AND feedback.helpful = true AND tokens.output >= 3",
        "Which answers of this conversation were helpful, and longer than two words?",
    ),
)
_SHOWN = SEARCHES[1]


@click.command(
    epilog=options.examples(
        "tracestore demo", "tracestore demo --db demo.db", "tracestore demo --docs ~/notes"
    )
)
@click.option(
    "--docs",
    "folder",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path),
    help="Answer from the .txt, .md and .rst files in it. Default: tracestore's own documentation.",
)
@options.json_option
@options.db_option
def demo(folder: pathlib.Path | None, as_json: bool, path: str) -> None:
    """Record a small program, then search what it did.

    The program answers questions from documents: it retrieves, calls a tool and has a model (here a stand-in
    that needs no network) answer. A tool fails and the program recovers; a question fails it. Everything goes
    into the experiment "demo". Its source shows how to instrument a program of your own.
    """
    documents = _own_documents() if folder is None else _documents_in(folder)
    questions = _QUESTIONS if folder is None else _questions_about(documents)
    tracestore.set_tracking_uri(path)
    tracestore.set_experiment(EXPERIMENT)
    trace_ids = _run(documents, questions)
    results = {
        search: tracestore.search_traces(filter_string=search.filter_string, return_type="list")
        for search in SEARCHES
    }
    if as_json:
        found = {s.filter_string: [trace.trace_id for trace in results[s]] for s in SEARCHES}
        streams.write_json({"path": path, "recorded": trace_ids, "found": found})
    else:
        _report(documents, trace_ids, results, path)


def _run(documents: Mapping[str, str], questions: tuple[str, ...]) -> list[str]:
    """Ask everything there is to ask; return the ids of the traces."""
    assistant = pipeline.Assistant(documents, SESSION, USER)
    trace_ids = []

    def ask(question: str) -> str:
        with contextlib.suppress(LookupError):  # the trace has it, and that is what it is for
            assistant.answer(question)
        trace_ids.append(tracestore.get_last_active_trace_id() or "")
        return trace_ids[-1]

    for question in questions:
        pipeline.judge(ask(question), is_helpful=True, rationale="to the point")
    pipeline.judge(
        ask("How many hours are 90 / 60?"), is_helpful=True, rationale="right", expected="1.5"
    )
    pipeline.judge(ask("And what is 7 / 0?"), is_helpful=False, rationale="a trick question")
    ask("What is a frumious bandersnatch?")
    return trace_ids


# Documents ------------------------------------------------------------------------------------------------


def _own_documents() -> dict[str, str]:
    package = importlib.resources.files("tracestore")
    sources = {name: package.joinpath(name).read_text("utf-8") for name in _MODULES}
    found = {name: _INTRODUCTION.search(source) for name, source in sources.items()}
    return {name: match[1] for name, match in found.items() if match is not None}


def _documents_in(folder: pathlib.Path) -> dict[str, str]:
    """Return the text files directly in `folder` by name, in the order of names."""
    try:
        files = sorted(f for f in folder.iterdir() if f.suffix in _SUFFIXES and f.is_file())
        documents = {file.name: _text_of(file) for file in files[:_MAX_DOCUMENTS]}
    except OSError as error:
        raise InvalidArgumentError(f"--docs: {error.filename}: {error.strerror}") from error
    if not any(pipeline.words_of(text) for text in documents.values()):
        suffixes = ", ".join(sorted(_SUFFIXES))
        raise InvalidArgumentError(
            f"--docs: {folder} has no text file ({suffixes}) with words in it"
        )
    return documents


def _text_of(file: pathlib.Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(_MAX_DOCUMENT_CHARACTERS)


def _questions_about(documents: Mapping[str, str]) -> tuple[str, ...]:
    """Return questions about the three words that the documents use most, longer ones first."""
    words = collections.Counter(
        word for text in documents.values() for word in pipeline.words_of(text)
    )
    topics = sorted(words, key=lambda word: (len(word) < _LONG_WORD, -words[word]))[:3]
    return tuple(f"What is said about {topic}?" for topic in topics)


# Report ---------------------------------------------------------------------------------------------------


def _report(
    documents: Mapping[str, str],
    trace_ids: list[str],
    results: Mapping[Search, PagedList[Trace]],
    path: str,
) -> None:
    console, where = terminal.console(), _db_option(path)
    said = f"asked {count_text(len(trace_ids), 'question')} of {count_text(len(documents), 'document')}"
    console.print(dim(f"{said}; {count_text(len(trace_ids), 'trace')} recorded"))
    for search, found in results.items():
        console.print()
        console.print(heading(search.meaning))
        console.print(_command(f'search "{search.filter_string}"{where}'), soft_wrap=True)
        console.print()
        console.print(traces_table(found, console.width) if found else dim("no traces match"))
    for trace in results[_SHOWN][:1]:
        console.print()
        console.print(heading("What the program did there"))
        short_id = trace.trace_id[3 : 3 + SHORT_ID_DIGITS]
        console.print(_command(f"show {short_id}{where}"), soft_wrap=True)
        console.print()
        console.print(tree(tree_rows(trace), console.width))
    _say_what_next(console, path)


def _say_what_next(console: Console, path: str) -> None:
    where = _db_option(path)
    console.print()
    console.print(heading("Next"))
    for arguments in (f"show last --full{where}", f"stats{where}", "search --help"):
        console.print(_command(arguments), soft_wrap=True)
    console.print()
    console.print(dim(f"traces    {pathlib.Path(path).absolute()}"), soft_wrap=True)
    console.print(dim(f"program   {pipeline.__file__}"), soft_wrap=True)


def _command(arguments: str) -> Text:
    return Text(visible(f"tracestore {arguments}"), "cyan")


def _db_option(path: str) -> str:
    """Return what names the store on a command line, nothing where it is the default one."""
    return "" if path == options.resolve_path(None) else f" --db {shlex.quote(path)}"
