"""Support: where programs observe something else under tracestore than under MLflow, and why that is meant.

The one place where they are written: the conformance suite takes its leave from here, and the README's table is
made from here. Knows no observations. Invariant: each occurs; the suite fails where one does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Intended(NamedTuple):
    """One thing that is otherwise here.

    Attributes:
        id: Its name.
        where: Regular expression of `program | label/path`, matched at the beginning.
        mlflow: What MLflow does.
        here: What tracestore does, and why.
        holds: Whether two different observations are this difference; default: any two are.
    """

    id: str
    where: str
    mlflow: str
    here: str
    holds: Callable[[Any, Any], bool] = lambda _theirs, _own: True


def _same_json(theirs: Any, own: Any) -> bool:
    """Whether both are JSON texts of the same value."""
    try:
        return isinstance(theirs, str) and bool(json.loads(theirs) == json.loads(own))
    except (TypeError, ValueError):
        return False


#: The first that fits is the reason.
INTENDED: tuple[Intended, ...] = (
    Intended(
        "json-spacing", r".*", "JSON text with a blank after `,` and `:`", "without: the same value in fewer bytes",
        _same_json,
    ),
    Intended(
        "base-exceptions", r"failures\.base_exceptions|flows\.a_cancelled_task",
        "`KeyboardInterrupt`, `SystemExit` and cancelled tasks end a span as OK, without an event",
        "as ERROR, with the event: what was interrupted did not succeed",
    ),
    Intended(
        "last-status", r"failures\.an_error_after_ok|spans\.status_changes \| OK then ERROR",
        "OK set by hand hides a later ERROR, also an exception's", "the last status counts: a failure is never hidden",
    ),
    Intended(
        "arguments-that-fail", r"failures\.an_argument_",
        "an argument whose text fails, or that contains itself, raises into the program: the function is not called",
        "a note stands for the argument, the function is called",
    ),
    Intended(
        "generator-errors", r"flows\.a_generator_that_fails", "an error in a generator drops its outputs and has no description",
        "outputs are what it yielded, the description is the error",
    ),
    Intended(
        "generator-left", r"flows\.a_generator_that_is_left", "a generator that is left early has no trace",
        "it has, with what it yielded",
    ),
    Intended(
        "generator-protocol", r"flows\.what_a_generator_is_sent", "`send()` and return values of a traced generator are lost",
        "they work as without tracing",
    ),
    Intended(
        "event-limit", r"flows\.many_chunks", "the last 128 events of a span are kept", "all are kept",
    ),
    Intended(
        "chunk-values", r"flows\.a_generator \| values", "the chunk of a generator's event is JSON text", "the chunk itself",
    ),
    Intended(
        "callables", r"decorators\.a_partial|decorators\.a_callable_object",
        "`trace` of a partial or a callable object raises AttributeError", "it is traced by its name or its class's",
    ),
    Intended(
        "no-signature", r"usage\.library_functions \| max inputs", "arguments of a builtin without a signature are not recorded",
        "they are, as `args`",
    ),
    Intended(
        "stop-iteration", r"usage\.errors_of_all_kinds \| StopIteration", "a `StopIteration` of a traced function becomes a RuntimeError",
        "it goes on as it is",
    ),
    Intended(
        "self-that-is-false", r"decorators\.an_object_that_is_false", "`self` is recorded where the object counts as false",
        "`self` is never recorded",
    ),
    Intended(
        "late-children", r"spans\.a_child_after", "a child that starts after its root ended is dropped", "it is recorded",
    ),
    Intended(
        "bad-options", r"spans\.a_wrong_attributes", "a wrong `attributes=` or `log_level=` drops the whole span, silently",
        "only what is wrong is left out, with a warning",
    ),
    Intended(
        "errors-by-type", r"spans\.setters_misused \| event|spans\.status_by_hand|assessments\.logged_as_entities",
        "an argument of a wrong type raises whatever happens to: AttributeError", "InvalidArgumentError that says what to pass",
    ),
    Intended(
        "no-op-setters", r"switches\.spans_that_are_not_recorded \| set_span_type",
        "a span that is not recorded lacks some of a span's methods", "it takes every call",
    ),
    Intended(
        "token-totals", r"updates\.odd_token_usage", "an empty usage of a parent hides its children's; a missing total is 0",
        "it hides nothing; a missing total is the sum",
    ),
    Intended(
        "preview-of-messages", r"updates\.previews_of_", "a bare list of messages, or one message, is previewed as JSON",
        "its last text is the preview, as within `messages`",
    ),
    Intended(
        "preview-of-calls", r"usage\.previews_of_calls", "a message of tool calls, and a chat within `input`, is previewed as JSON",
        "the calls as code, the chat's last text",
    ),
    Intended(
        "preview-length", r"updates\.custom_previews_win", "previews that programs set are not cut in SQLite",
        "1,000 characters, as the others",
    ),
    Intended(
        "tags-that-are-no-text", r"updates\.a_boolean_tag|updates\.a_tag_of_none",
        "True becomes `'1'`, None a tag without a value", "True becomes `'True'`, None is left out",
    ),
    Intended(
        "metadata-that-is-an-object", r"updates\.metadata_that_is_an_object",
        "the trace loses its name, tags and metadata", "the object becomes JSON text",
    ),
    Intended(
        "tag-limits", r"updates\.keys_of_tags|updates\.a_long_tag", "`set_trace_tag` refuses some characters in keys, cuts values to 8,000",
        "any key of 1 to 250 characters, any value: as `update_current_trace` takes them in both",
    ),
    Intended(
        "unknown-trace", r"updates\.unknown_traces", "a tag on an unknown trace fails with BAD_REQUEST",
        "with RESOURCE_DOES_NOT_EXIST, as feedback does",
    ),
    Intended(
        "search-limits", r"searches\.limits", "a page has at most 50,000 traces", "any number",
    ),
    Intended(
        "last-page", r"searches\.a_page_that", "a page that is exactly full has a token, and an empty page follows",
        "the last page has no token",
    ),
    Intended(
        "filter-language", r"searches\.filters|searches\.a_blank_filter", "no OR, no numbers beside tags, no blank filter", "taken",
    ),
    Intended(
        "list-with-a-token", r"searches\.return_types", "a list", "a PagedList, which is one",
    ),
    Intended(
        "odd-floats", r"values\.odd_floats", "NaN and the infinities are not JSON, which other programs refuse to read",
        "the texts `NaN`, `Infinity`, `-Infinity`",
    ),
    Intended(
        "values-by-meaning", r"values\.(containers|times|library_values|numpy_values|pandas_values)",
        "sets, dates, bytes, enumerations, arrays and data frames are `str()` of them; a dictionary with a tuple as key is one text",
        "a list, ISO 8601, base64, the enumeration's value, numbers, shape and sample; only the key becomes text",
    ),
    Intended(
        "json-in-text", r"values\.text_that_looks|values\.as_outputs_and_attributes", "text that is JSON comes back decoded",
        "text comes back as text",
    ),
    Intended(
        "ratio-typo", r"switches\.a_ratio_that_is_none", "a sampling ratio that is no number switches tracing off, silently",
        "a warning, and the default",
    ),
    Intended(
        "failing-processor", r"switches\.a_processor_that_fails", "a span whose processor fails is kept as it was",
        "without its contents: a processor that was to redact them must not leak them by failing",
    ),
    Intended(
        "trace-flags", r"switches\.headers \| parts/3", "trace flags 03 of W3C's second level", "01: sampled",
    ),
    Intended(
        "errors-of-arguments", r"clients\.older_keywords \| both|searches\.of_other_experiments \| both|switches\.chat_tools \| no list",
        "TypeError, ValueError or BAD_REQUEST for arguments that don't fit", "one error for all, which is an MlflowException and a ValueError",
    ),
    Intended(
        "representation", r"entities\.representations|usage\.entities_as_dataclasses \| status as text",
        "spans show no names when printed, a status is `SpanStatusCode.OK`", "they do, it is `OK`",
    ),
    Intended(
        "feedback-fields", r"usage\.entities_as_dataclasses \| feedback",
        "`dataclasses.asdict` of feedback has empty fields for other kinds of assessment", "its own fields, `value` among them",
    ),
    Intended(
        "start-time-attribute", r"entities\.a_span_as_a_dictionary \| attributes", "a start that was given is also an attribute",
        "it is the span's start and nothing else",
    ),
    Intended(
        "dictionary-details", r"assessments\.entities_as_dictionaries|assessments\.sources \| CODE None|entities\.trace_infos_by_hand",
        "empty fields are left out or empty texts, whole seconds have no decimals, a source id may be None",
        "what MLflow reads too: always three decimals, `default` as the source",
    ),
    Intended(
        "experiment-ids", r"searches\.of_other_experiments \| old name", "`experiment_ids=` warns that it is the older name of `locations=`",
        "both names are taken",
    ),
    Intended(
        "older-names", r"clients\.names_beyond_tracing", "some names of MLflow 2 are gone", "they work: `get_last_active_trace`, `set_span_chat_messages`",
    ),
    Intended(
        "client-in-a-span", r"clients\.inside_a_span", "`start_trace` is refused inside a span", "it starts a trace of its own",
    ),
)  # fmt: skip


def reference_table() -> str:
    """Return all intended differences as a Markdown table, the rows in the order of the list."""
    rows = [f"| {each.mlflow} | {each.here} |" for each in INTENDED]
    return "\n".join(["| MLflow 3.17 | tracestore |", "|---|---|", *rows])


def reason_of(where: str, theirs: Any, own: Any) -> Intended | None:
    """Return the intended difference that explains two observations, None where they must be the same."""
    found = (each for each in INTENDED if re.match(each.where, where) and each.holds(theirs, own))
    return next(found, None)
