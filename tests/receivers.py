"""Exports traces to real receivers, MLflow's server and Arize Phoenix on loopback, and counts what arrived.

    python -m tests.receivers --mlflow PYTHON --phoenix PYTHON

Each PYTHON is the interpreter of a virtual environment with that package. The receivers keep what they get in
SQLite files of their own, which are read here: every span, attribute, status, event, tag, session and user that
was sent is looked for. Exits with 1 where anything is missing. `.ci/receivers` makes the environments.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tracestore
from tracestore.entities import Trace
from tracestore.importing import import_into
from tracestore.otlp.outgoing import traces_data
from tracestore.otlp.values import plain_attributes
from tracestore.store import Store

TRACES = 40

#: What the README says arrived; `--write` renews it.
WRITTEN = pathlib.Path(__file__).parent / "receivers.json"

#: How long a receiver may take to answer a request, in milliseconds: on a busy machine the first takes a while.
ANSWER_MS = "120000"

#: How long a receiver may take to start, and to store what it accepted, in seconds.
START_S, STORE_S = 600.0, 60.0


class Arrived(NamedTuple):
    """One span as a receiver keeps it."""

    name: str
    status: str
    attributes: Mapping[str, Any]
    events: tuple[str, ...]


def record_traces() -> None:
    """Record traces of every kind: nested, failed, with events, tags, sessions, users, odd texts."""
    for number in range(TRACES):
        with (
            contextlib.suppress(RuntimeError),
            tracestore.start_span(f"answer {number} é", span_type="CHAIN") as root,
        ):
            tracestore.update_current_trace(
                tags={"environment": "test", "number": number},
                session_id=f"s-{number % 5}",
                user=f"user-{number % 3}",
            )
            root.set_inputs({"question": f"why {number}?"})
            with tracestore.start_span("call", span_type="CHAT_MODEL") as span:
                span.set_attributes(
                    {"temperature": 0.5, "stop": ["a", "b"], "nested": {"k": [1, None]}}
                )
                span.set_attribute(
                    "mlflow.chat.tokenUsage", {"input_tokens": 3, "output_tokens": 4}
                )
                span.set_attribute("mlflow.llm.model", "m-1")
                span.set_outputs(
                    {"choices": [{"message": {"role": "assistant", "content": "x" * 500}}]}
                )
            if number % 4 == 0:
                with tracestore.start_span("tool", span_type="TOOL"):
                    raise RuntimeError(f"failed {number}")
            root.set_outputs("because")
    tracestore.flush()


# ------------------------------------------------------------------------------------------ the receivers


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], url: str, folder: pathlib.Path, **variables: str) -> Iterator[None]:
    """Run a server until the block ends, once it answers at `url`."""
    with (folder / "log.txt").open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=os.environ | variables
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / "log.txt").read_text("utf-8", "replace")[-4000:])
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def rows(path: pathlib.Path, sql: str) -> list[tuple[Any, ...]]:
    uri = f"file:{path}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        return connection.execute(sql).fetchall()


def check_mlflow(python: str, folder: pathlib.Path, traces: list[Trace]) -> Counter[str]:
    port, path = free_port(), folder / "mlflow.db"
    command = [
        *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{path}"),
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", folder):
        done = tracestore.otel.export(url, headers={"x-mlflow-experiment-id": "0"})
        wait_for(lambda: rows(path, "SELECT count(*) FROM spans")[0][0] >= done.spans)
    arrived = {}
    for trace_id, span_id, content in rows(path, "SELECT trace_id, span_id, content FROM spans"):
        span = json.loads(content)
        values = {key: _decoded(value) for key, value in span["attributes"].items()}
        events = tuple(event["name"] for event in span["events"])
        status = span["status"]["code"].removeprefix("STATUS_CODE_")
        arrived[trace_id, span_id] = Arrived(span["name"], status, values, events)
    found = compare(traces, arrived, lambda trace_id: trace_id, decode=True)
    found["accepted spans"] = done.spans
    tags = set(rows(path, "SELECT request_id, key, value FROM trace_tags"))
    wanted = {
        (t.trace_id, k, v) for t in traces for k, v in t.info.tags.items() if k[:7] != "mlflow."
    }
    found["tags"], found["missing tags"] = len(wanted & tags), len(wanted - tags)
    columns = "request_id, session_id" if _has_column(path, "trace_info", "session_id") else ""
    sessions = set(rows(path, f"SELECT {columns} FROM trace_info")) if columns else set()
    metadata = set(rows(path, "SELECT request_id, key, value FROM trace_request_metadata"))
    for what, key in (("sessions", "mlflow.trace.session"), ("users", "mlflow.trace.user")):
        there = [
            t
            for t in traces
            if (t.trace_id, key, t.info.trace_metadata[key]) in metadata
            or (t.trace_id, t.info.trace_metadata[key]) in sessions
        ]
        found[what], found[f"missing {what}"] = len(there), len(traces) - len(there)
    return found


def _has_column(path: pathlib.Path, table: str, column: str) -> bool:
    return any(row[1] == column for row in rows(path, f"PRAGMA table_info({table})"))


def check_phoenix(python: str, folder: pathlib.Path, traces: list[Trace]) -> Counter[str]:
    port = free_port()
    url, path = f"http://127.0.0.1:{port}", folder / "phoenix.db"
    variables = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_SQL_DATABASE_URL": f"sqlite:///{path}",
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    with running(
        [python, "-m", "phoenix.server.main", "serve"], f"{url}/healthz", folder, **variables
    ):
        done = tracestore.otel.export(url)
        wait_for(lambda: rows(path, "SELECT count(*) FROM spans")[0][0] >= done.spans)
    arrived = {}
    sql = """SELECT t.trace_id, s.span_id, s.name, s.status_code, s.attributes, s.events
             FROM spans s JOIN traces t ON t.id = s.trace_rowid"""
    for trace_id, span_id, name, status, attributes, events in rows(path, sql):
        names = tuple(event["name"] for event in json.loads(events))
        arrived[f"tr-{trace_id}", span_id] = Arrived(name, status, json.loads(attributes), names)
    found = compare(traces, arrived, lambda trace_id: trace_id, decode=False)
    found["accepted spans"] = done.spans
    sessions = set(
        rows(
            path,
            "SELECT t.trace_id, s.session_id FROM traces t JOIN project_sessions s ON s.id = t.project_session_rowid",
        )
    )
    wanted = {(t.trace_id[3:], t.info.trace_metadata["mlflow.trace.session"]) for t in traces}
    found["sessions"], found["missing sessions"] = len(wanted & sessions), len(wanted - sessions)
    with Store(folder / "back.db") as back:
        import_into(back, str(path))
        whole = {(t.trace_id, t.info.name, str(t.info.state), len(t.data.spans)) for t in traces}
        again = back.search_traces(max_results=None)
        there = {(t.trace_id, t.info.name, str(t.info.state), len(t.data.spans)) for t in again}
    found["imported back"], found["missing imported back"] = len(whole & there), len(whole - there)
    return found


# ------------------------------------------------------------------------------------------ comparing


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STORE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.Error):
            if condition():
                return
        time.sleep(0.2)


def _decoded(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def compare(
    traces: list[Trace],
    arrived: Mapping[tuple[str, str], Arrived],
    key: Callable[[str], str],
    *,
    decode: bool,
) -> Counter[str]:
    """Count what of the traces' messages arrived, and what is missing."""
    found: Counter[str] = Counter()
    for trace in traces:
        [resource] = traces_data([trace])["resourceSpans"]
        for message in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            span = arrived.get((key(f"tr-{message['traceId']}"), message["spanId"]))
            found["missing spans"] += span is None
            if span is None:
                continue
            found["spans"] += 1
            status = ("UNSET", "OK", "ERROR")[message["status"]["code"]]
            for what, same in (
                ("names", span.name == message["name"]),
                ("statuses", span.status == status),
                ("events", span.events == tuple(e["name"] for e in message.get("events", ()))),
            ):
                found[what if same else f"missing {what}"] += 1
            for name, value in plain_attributes(message["attributes"]).items():
                got = span.attributes.get(name, _nested(span.attributes, name))
                same = (
                    got == value
                    or (decode and _decoded(got) == _decoded(value))
                    or _json(got) == _json(value)
                )
                found["attributes" if same else "missing attributes"] += 1
                if not same:
                    found[f"  missing: {name}"] += 1
    return found


def _nested(attributes: Any, name: str) -> Any:
    """Return an attribute that a receiver keeps as a tree of the name's parts."""
    for part in name.split("."):
        if not isinstance(attributes, Mapping) or part not in attributes:
            return None
        attributes = attributes[part]
    return attributes


def _json(value: Any) -> str:
    value = _decoded(value)
    return json.dumps(value, sort_keys=True)


def main() -> None:
    """Export to each receiver that is given, print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.receivers")
    parser.add_argument("--mlflow", help="interpreter of an environment with mlflow")
    parser.add_argument("--phoenix", help="interpreter of an environment with arize-phoenix")
    parser.add_argument("--write", action="store_true", help=f"write {WRITTEN.name}")
    options = parser.parse_args()
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", ANSWER_MS)
    missing = 0
    counts: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_name:
        folder = pathlib.Path(folder_name)
        tracestore.set_tracking_uri(str(folder / "traces.db"))
        record_traces()
        traces = tracestore.search_traces(return_type="list")
        for name, python, check in (
            ("mlflow", options.mlflow, check_mlflow),
            ("phoenix", options.phoenix, check_phoenix),
        ):
            if python:
                (folder / name).mkdir()
                started = time.monotonic()
                found = check(python, folder / name, list(traces))
                print(f"{name}: {len(traces)} traces, {time.monotonic() - started:.0f} s")
                for what, count in found.items():
                    print(f"  {what}: {count}")
                missing += sum(count for what, count in found.items() if what[:7] == "missing")
                release = version_of(name, python)
                counts.append(
                    {"receiver": name, "release": release, "traces": len(traces), **found}
                )
    if options.write:
        WRITTEN.write_text(json.dumps(counts, indent=1) + "\n", "utf-8")
    sys.exit(1 if missing else 0)


def table() -> str:
    """Return what `--write` kept as a Markdown table: what arrived, and how much of anything did not."""
    rows = json.loads(WRITTEN.read_text("utf-8"))
    counted = [key for key in rows[0] if f"missing {key}" in rows[0] or key in _ALWAYS]
    head = ["receiver", "release", *counted, "missing"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        missing = sum(count for what, count in row.items() if what.startswith("missing"))
        cells = [row["receiver"], row["release"], *(row.get(key, "") for key in counted), missing]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


#: What is counted also where none of it can be missing by itself.
_ALWAYS = ("traces", "spans", "names", "statuses", "events", "attributes")


def version_of(name: str, python: str) -> str:
    """Return the release of a receiver's package in the environment of an interpreter."""
    package = {"phoenix": "arize-phoenix"}.get(name, name)
    program = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.run(
        [python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
