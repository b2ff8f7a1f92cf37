"""A small program that answers questions from documents: what `tracestore demo` records.

Read it as an example of how to instrument a program of your own: it uses the public API only, under MLflow's
name. In place of a language model there is a stand-in that picks the sentence which fits a question best, so
it needs no network and always says the same; everything around it is as with a real one.
"""

from __future__ import annotations

import math
import operator
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import tracestore as mlflow
from tracestore.entities import AssessmentSource, SpanType

MODEL = "extractive-1"

#: How long the stand-in takes for a word, so that the time axis has something to show.
_SECONDS_PER_WORD = 0.001

#: An answer's length, as `max_tokens` limits it.
_MAX_WORDS = 60

_ARITHMETIC = re.compile(r"(\d+(?:\.\d+)?) *([-+*/]) *(\d+(?:\.\d+)?)")
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about an and are as at be by can do does for from has have how in is it its not of on or "
        "said so that the then there they this to was what when where which who why with",
    )
)


class Assistant:
    """Answers questions from documents, and sums by itself.

    Args:
        documents: Text by name.
        session: The conversation that all questions belong to.
        user: Who asks.
    """

    def __init__(self, documents: Mapping[str, str], session: str, user: str) -> None:
        self.session = session
        self.user = user
        self._passages = list(_passages(documents))
        self._words = [frozenset(words_of(passage["page_content"])) for passage in self._passages]
        self._passages_with = Counter(word for words in self._words for word in words)

    # Recorded always, also where TRACESTORE_SAMPLING_RATIO says to record a part.
    @mlflow.trace(span_type=SpanType.CHAIN, sampling_ratio_override=1.0)
    def answer(self, question: str) -> str:
        """Return the answer to a question; LookupError where no document has one."""
        # What this call belongs to, to be found again by: session = 'demo-session' AND user = 'ada'.
        mlflow.update_current_trace(session_id=self.session, user=self.user)
        sources = self._calculated(question) or self._retrieve(question)
        with mlflow.start_span("build_prompt", span_type=SpanType.PARSER) as span:
            span.set_inputs({"question": question, "sources": len(sources)})
            messages = _messages(question, sources)
            span.set_outputs(messages)
        return "".join(complete(messages))

    @mlflow.trace(name="retrieve", span_type=SpanType.RETRIEVER, attributes={"top_k": 3})
    def _retrieve(self, question: str) -> list[dict[str, Any]]:
        """Return the three passages that have the most, and the rarest, words of the question."""
        wanted = frozenset(words_of(question))
        scores = [self._score(wanted & words) for words in self._words]
        best = sorted(range(len(scores)), key=lambda index: -scores[index])[:3]
        found = [self._passages[index] for index in best if scores[index] > 0]
        if not found:
            raise LookupError(f"no document answers {question!r}")
        return found

    def _score(self, shared: frozenset[str]) -> float:
        return sum(math.log(1 + len(self._passages) / self._passages_with[word]) for word in shared)

    def _calculated(self, question: str) -> list[dict[str, Any]]:
        """Return the sum in the question, worked out, as a source; nothing where there is none."""
        sum_ = _ARITHMETIC.search(question)
        if sum_ is None:
            return []
        mlflow.update_current_trace(tags={"topic": "arithmetic"})
        try:
            text = f"{sum_[0]} is {calculate(sum_[0]):g}."
        except ZeroDivisionError:
            # The failed call stays in the trace, in red; the trace as a whole goes on, and well.
            text = f"{sum_[0]} has no result, because nothing can be divided by zero."
        return [{"page_content": text, "metadata": {"doc_uri": "calculator"}}]


@mlflow.trace(span_type=SpanType.TOOL)
def calculate(expression: str) -> float:
    """Return the value of two numbers with + - * / between them."""
    match = _ARITHMETIC.fullmatch(expression)
    if match is None:
        raise ValueError(f"{expression!r} is no sum of two numbers")
    left, sign, right = match.groups()
    return float(_OPERATORS[sign](float(left), float(right)))


def _as_message(chunks: list[str]) -> dict[str, str]:
    return {"role": "assistant", "content": "".join(chunks)}


@mlflow.trace(span_type=SpanType.CHAT_MODEL, output_reducer=_as_message)
def complete(messages: list[dict[str, str]], temperature: float = 0.0) -> Iterator[str]:
    """Yield the stand-in's answer word by word, as a model streams it."""
    del temperature  # it is never in doubt
    sources, question = messages[0]["content"], messages[-1]["content"]
    words = _best_sentence(sources, question).split()[:_MAX_WORDS]
    for index, word in enumerate(words):
        time.sleep(_SECONDS_PER_WORD)
        yield word if index == 0 else f" {word}"
    span = mlflow.get_current_active_span()
    if span is not None:  # None while tracing is switched off
        usage = {"input_tokens": sum(len(m["content"].split()) for m in messages)}
        usage |= {"output_tokens": len(words)}
        span.set_attributes({"mlflow.llm.model": MODEL, "mlflow.chat.tokenUsage": usage})


def judge(trace_id: str, *, is_helpful: bool, rationale: str, expected: str | None = None) -> None:
    """Store what a person thinks of an answer, and what would have been right."""
    reader = AssessmentSource("HUMAN", "ada")
    mlflow.log_feedback(
        trace_id=trace_id, name="helpful", value=is_helpful, source=reader, rationale=rationale
    )
    if expected is not None:
        mlflow.log_expectation(trace_id=trace_id, name="answer", value=expected, source=reader)


def _messages(question: str, sources: list[dict[str, Any]]) -> list[dict[str, str]]:
    texts = "\n\n".join(source["page_content"] for source in sources)
    return [
        {"role": "system", "content": f"Answer from these sources only.\n\n{texts}"},
        {"role": "user", "content": question},
    ]


def _passages(documents: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the paragraphs of the documents in the form that retrievers have in MLflow."""
    for name, text in documents.items():
        for paragraph in re.split(r"\n\s*\n", text):
            if paragraph.strip():
                content = " ".join(paragraph.split())
                yield {"page_content": content, "metadata": {"doc_uri": name}}


def words_of(text: str) -> list[str]:
    """Return the words of a text that say what it is about, in lower case."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in _STOP_WORDS]


def _best_sentence(sources: str, question: str) -> str:
    """Return the sentence with the most words of the question, the first of equal ones."""
    wanted = set(words_of(question))
    _, _, texts = sources.partition("\n\n")
    sentences = [s for s in re.split(r"(?<=[.!?:])\s+", texts) if s.strip()]
    return max(sentences, key=lambda sentence: len(wanted & set(words_of(sentence))))
