"""The interactive front end in a notebook: what the kernel answers, and the widget that carries it.

`Explorer` answers the questions that ui/static/sources.js asks, from a store, and knows no notebook. `widget`
puts it into an anywidget (extra `notebook`), which Jupyter Lab, VS Code, Colab and marimo show. Answers stay
below what a Jupyter server lets through (1 MB/s by default): payloads come when they are looked at, and long
answers are compressed.
"""

from __future__ import annotations

import functools
import getpass
import gzip
from collections.abc import Callable, Mapping
from typing import Any

from tracestore import display
from tracestore.entities import AssessmentSource, PagedList, Trace
from tracestore.errors import InvalidArgumentError, TracestoreError
from tracestore.readable import readable
from tracestore.store import Store
from tracestore.ui.module import script, style
from tracestore.ui.records import PAYLOADS, json_text, payload_texts, span_records, trace_record

#: Traces that one answer lists.
PAGE_TRACES = 100

#: Characters of payloads that come with a trace; the others come one by one.
OPENED_CHARACTERS = 400_000

#: A payload of more characters is not sent: a Jupyter server would drop it.
MAX_PAYLOAD_CHARACTERS = 1_000_000

#: Answers of more characters are compressed.
COMPRESSED_FROM = 50_000

#: Traces of a session that an answer lists.
MAX_SESSION = 200

#: Traces in the picture that a saved notebook keeps.
SAVED_TRACES = 50


class Explorer:
    """Answers a front end's questions about a store. Use it from one thread.

    Args:
        store: What is looked at.
        experiment_ids: Only traces of these experiments; None: of all.
        filter_string: Holds for every search, besides what is typed.
        user: Who assesses.
    """

    def __init__(
        self,
        store: Store,
        experiment_ids: list[str] | None = None,
        filter_string: str | None = None,
        user: str | None = None,
    ) -> None:
        self.store = store
        self.experiment_ids = experiment_ids
        self.filter_string = (filter_string or "").strip()
        self.source = AssessmentSource("HUMAN", user or _user())
        self._opened: Trace | None = None

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Return the answer to a question, a JSON value.

        Args:
            request: `verb`, one of `search`, `open`, `payload`, `find`, `session` and `assess`, and what that
                needs; see sources.js.

        Raises:
            TracestoreError: What was asked can't be answered; the message is for the person who asked.
        """
        verb = _VERBS.get(str(request.get("verb")))
        if verb is None:
            raise InvalidArgumentError(f"unknown request {request.get('verb')!r}")
        try:
            return verb(self, request)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, TracestoreError):
                raise
            raise InvalidArgumentError(f"request {request.get('verb')} lacks {error}") from error

    def traces(self, most: int) -> list[Trace]:
        """Return the newest traces, without their spans."""
        return self._search(None, max_results=most)

    def _search(self, typed: str | None, **search: Any) -> PagedList[Trace]:
        return self.store.search_traces(
            self._both(typed), experiment_ids=self.experiment_ids, include_spans=False, **search
        )

    def _both(self, typed: str | None) -> str:
        """Return the filter that holds always and what was typed, joined by AND."""
        parts = [part for part in (self.filter_string, (typed or "").strip()) if part]
        return " AND ".join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = self._search(
            request["filter"],
            order_by=list(request["order_by"]),
            max_results=PAGE_TRACES,
            page_token=request["page"],
        )
        total = self.store.count_traces(
            self._both(request["filter"]), experiment_ids=self.experiment_ids
        )
        ids = [trace.trace_id for trace in found]
        counts, failures = self.store.span_counts(ids), self.store.failures(ids)
        records = [
            trace_record(trace, span_count=counts.get(id_), error=failures.get(id_))
            for id_, trace in zip(ids, found, strict=True)
        ]
        return {"records": records, "next": found.token, "total": total, "note": self.filter_string}

    def _open(self, request: Mapping[str, Any]) -> dict[str, Any]:
        trace = self._trace(str(request["id"]), is_new=True)
        spans = span_records(trace, payload_characters=OPENED_CHARACTERS)
        return {"record": trace_record(trace), **spans}

    def _trace(self, trace_id: str, *, is_new: bool = False) -> Trace:
        """Return a trace, the one that was opened last from memory."""
        if is_new or self._opened is None or self._opened.trace_id != trace_id:
            self._opened = self.store.get_trace(trace_id)
        return self._opened

    def _payload(self, request: Mapping[str, Any]) -> str | None:
        if request["name"] not in PAYLOADS:
            raise InvalidArgumentError(f"there is no payload {request['name']!r}")
        spans = self._trace(str(request["id"])).search_spans(span_id=str(request["span"]))
        text = payload_texts(spans[0]).get(request["name"]) if spans else None
        return text if text is None or len(text) <= MAX_PAYLOAD_CHARACTERS else None

    def _find(self, request: Mapping[str, Any]) -> list[int]:
        """Return the places, in tree order, of the spans in which all words occur."""
        words = str(request["words"]).lower().split()
        rows = display.tree_rows(self._trace(str(request["id"])))
        texts = (_text(row.span) for row in rows)
        return [place for place, text in enumerate(texts) if all(word in text for word in words)]

    def _session(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        name = str(request["name"]).replace("'", "''")
        found = self.store.search_traces(
            f"session = '{name}'",
            max_results=MAX_SESSION,
            order_by=["timestamp_ms ASC"],
            include_spans=False,
        )
        return [trace_record(trace) for trace in found]

    def _assess(self, request: Mapping[str, Any]) -> dict[str, Any]:
        trace_id, name, value = str(request["id"]), request["name"], request["value"]
        if not isinstance(name, str) or not name.strip():
            raise InvalidArgumentError("an assessment needs a name")
        span_id = request.get("span")
        if request["kind"] == "expectation":
            self.store.log_expectation(trace_id, name, value, source=self.source, span_id=span_id)
        else:
            self.store.log_feedback(
                trace_id, name, value, self.source, None, request.get("rationale"), span_id=span_id
            )
        return trace_record(self._trace(trace_id, is_new=True))


_VERBS: dict[str, Callable[[Explorer, Mapping[str, Any]], Any]] = {
    "search": Explorer._list,  # noqa: SLF001 - the table of what may be asked
    "open": Explorer._open,  # noqa: SLF001
    "payload": Explorer._payload,  # noqa: SLF001
    "find": Explorer._find,  # noqa: SLF001
    "session": Explorer._session,  # noqa: SLF001
    "assess": Explorer._assess,  # noqa: SLF001
}


def _text(span: Any) -> str:
    texts = payload_texts(span)
    found = readable(span.name, *(texts.get(name) for name in PAYLOADS[:-1]))
    return f"{found}\n{span.span_type or ''}".lower()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id, as in some containers
        return "default"


# The widget ------------------------------------------------------------------------------------------------


def widget(explorer: Explorer, title: str, height_px: int) -> Any:
    """Return an anywidget that shows `explorer`.

    Raises:
        InvalidArgumentError: anywidget is not installed, or the height is no whole number from 200.
    """
    if not isinstance(height_px, int) or height_px < 200:
        raise InvalidArgumentError(f"height_px is {height_px!r}; it must be a number from 200")
    made = _widget_class()(title=title, height_px=height_px)
    made.explorer = explorer
    made.on_msg(_receive)
    return made


@functools.cache
def _widget_class() -> type[Any]:
    try:
        import anywidget  # noqa: PLC0415 - the extra `notebook`
        import traitlets  # noqa: PLC0415
    except ImportError as error:
        raise InvalidArgumentError(
            'explore() needs anywidget: pip install "tracestore[notebook]"; '
            "report() writes the same interface as a file without it"
        ) from error

    class TraceExplorer(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """Traces of a store, to be searched, opened and assessed."""

        _esm = script("widget")
        _css = style()
        title = traitlets.Unicode("").tag(sync=True)
        height_px = traitlets.Int(640).tag(sync=True)
        explorer: Explorer

        def _repr_mimebundle_(self, **asked: Any) -> Any:
            """Show the widget, and where there is no kernel, as in a saved notebook, a table."""
            bundle = super()._repr_mimebundle_(**asked)
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            if data is not None:
                traces = self.explorer.traces(SAVED_TRACES)
                data["text/html"] = display.traces_html(traces)
                data["text/plain"] = display.traces_text(traces)
            return bundle

    return TraceExplorer


def _receive(made: Any, request: Any, _buffers: Any) -> None:
    """Answer one message of the front end."""
    number = request.get("number") if isinstance(request, dict) else None
    try:
        answer = made.explorer.answer(request if isinstance(request, dict) else {})
    except TracestoreError as error:
        made.send({"number": number, "error": display.visible(error.message)})
        return
    text = json_text(answer)
    if len(text) < COMPRESSED_FROM:
        made.send({"number": number, "answer": answer})
    else:
        made.send({"number": number}, [gzip.compress(text.encode(), compresslevel=5)])
