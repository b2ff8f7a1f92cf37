"""Secrets in what is recorded: found by name and by shape, and replaced before anything is kept or sent.

Works on a span's record as the recording thread makes it, so that neither the queue, nor the recorder's spool,
nor the file ever sees what was taken out. Ordinary payloads cost a look for a few fragments that every secret
has; only text with one of them is read. Every pattern is linear in the text's length: classes that exclude what
follows them, and upper bounds.

Sources of the shapes: https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml and the providers'
documentation; of the names: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (headers that are
sensitive by default).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

#: What stands in the place of a secret.
REDACTED = "[redacted]"

#: What the payload columns of a record are: its last five, in this order.
#: attributes, events, links, inputs, outputs. Before them: error (9) and status_message (6).
_MESSAGE, _ERROR, _ATTRIBUTES, _EVENTS, _LINKS, _INPUTS, _OUTPUTS = 6, 9, 10, 11, 12, 13, 14


# What is looked for first, in UTF-8: a character that a kind of secret has, and what tells the place from ordinary
# text. Asking for one character takes 0.03 ns for each byte that is passed over, a fragment of several 0.7 ns, a regular
# expression that begins with one character 0.3 ns and 40 ns for each place where it is, any other 3 ns and more.
# Of the first two the last two letters before it come early, as classes: most other places end there.
_DASH = re.compile(
    rb"-(?:(?<=[saxplP][ktabeoprsixyX]-)(?=[A-Za-z0-9_-]{10})"
    rb"(?:(?<=sk-)[A-Za-z0-9_-]{16}|(?<=glpat-)|(?<=xox[abeoprs]-)|(?<=xapp-)"
    rb"|(?:(?<=xai-)|(?<=pplx-)|(?<=nvapi-)|(?<=tvly-)|(?<=pypi-)|(?<=GOCSPX-))[A-Za-z0-9_-]{20})"
    rb"|(?i:key|token|secret)[ ]?[:=])"
)
_UNDERSCORE = re.compile(
    rb"_(?:(?<=[srhpaev][kfpousr8mct2]_)(?=[A-Za-z0-9_]{10})"
    rb"(?:(?<=[sr]k_)(?:live|test)_|(?<=github_pat_)|(?<=lsv2_)(?:pt|sk)_"
    rb"|(?:(?<=(?:hf|h[pousr]|r8)_)|(?<=(?:gsk|npm)_)|(?<=pcsk_)|(?<=whsec_))[A-Za-z0-9_]{20})"
    rb"|(?i:key|token|secret)[ ]?[:=])"
)
_J = re.compile(rb"J(?<=eyJ)[\w-]{10}")
_I = re.compile(rb"I(?:(?<=A[KS]I)A[0-9A-Z]{16}|(?<=AI)za[\w-]{30}|(?<=PRI)VATE KEY)")
_B = re.compile(rb"B(?:earer|asic|EARER)[ ]{1,4}[^ ]{12}")

_LOGIN = re.compile(rb"://[^\s/@:\"'\\]{0,100}:[^\s/@\"'\\]{1,200}@")

_LONG = re.compile(rb'[:=][ ]?\\*"[^" ]{17}')

#: How names of secrets end, and how they do where JSON text is within JSON text.
_ENDS = "key|ret|ord|swd|pwd|ken|kie|als|ase"
_ANY_CASE = f"{_ENDS}|{_ENDS.upper()}|{_ENDS.title()}"
_ESCAPED = "|".join(end[1:] for end in _ANY_CASE.split("|"))

#: How "authorization" ends: longer than the others, because ordinary names, such as "question", end in "ion" too.
_LONG_END = "zation|ZATION"

#: How those names end that are looked for in prose too, see `named` of _SHAPES.
_IN_PROSE = "word|sswd|ikey|oken|cret"

#: Their last three characters by classes: fails most other names at the first one.
_END = "[krospiaKROSPIA][erwoilsERWOILS][ytdnesYTDNES]"

# Where a name ends that may be a secret's: in quotes, or as it is; and in quotes of JSON text within JSON text.
_COLON = re.compile(
    (
        r':(?<=[krospiatwcKROSPIATWC][erwoilskERWOILSK][ytdnesorwYTDNESORW]["ndtyNDTY ]:)'
        rf'(?:(?<=(?:{_ANY_CASE})":)|(?<=(?:{_LONG_END})":)|(?<=(?i:tion|{_IN_PROSE}):)|(?<=(?i:{_IN_PROSE})[ ]:))'
    ).encode()
)
# The backslashes before a quote of JSON text within JSON text, and two and three levels down, as arguments of tools are in
# messages: each level doubles them and adds one. Two of them: it is further down than one level.
_ONE_DOWN, _TWO_DOWN, _THREE_DOWN = (re.escape("\\" * (2**level - 1)) for level in (1, 2, 3))
_FURTHER_DOWN = re.escape("\\" * 2)
_ESCAPED_COLON = re.compile(
    (
        rf'{_ONE_DOWN}":(?:(?<=(?:{_ESCAPED}){_ONE_DOWN}":)|(?<=(?:{_LONG_END}){_ONE_DOWN}":)|(?<={_FURTHER_DOWN}":)'
        rf'(?:(?<=(?:{_ESCAPED}|ON|on){_TWO_DOWN}":)|(?<=(?:{_ESCAPED}|ON|on){_THREE_DOWN}":)))'
    ).encode()
)
_EQUALS = re.compile(
    (
        rf"=(?:(?<={_END}=)(?:(?<=(?:{_ANY_CASE})=)|(?<=(?:{_LONG_END})=))"
        rf"|(?<=(?i:{_IN_PROSE})[ ]=))"
    ).encode()
)

#: Characters before the end of a name that are looked at.
_BEFORE = 48

#: The shapes of well-known keys and tokens.
_SHAPES = re.compile(
    r"""
    \bsk-[A-Za-z0-9_-]{16,400}                                  # OpenAI, Anthropic and who follow them
  | \b[sr]k_(?:live|test)_[A-Za-z0-9]{16,200}                   # Stripe
  | \bgh[pousr]_[A-Za-z0-9]{20,255} | \bgithub_pat_\w{20,255}   # GitHub
  | \bglpat-[\w-]{16,100}                                       # GitLab
  | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                               # AWS
  | \bAIza[\w-]{30,45}                                          # Google
  | \bxox[abeoprs]-[A-Za-z0-9-]{10,255}                         # Slack
  | \bhf_[A-Za-z0-9]{20,100}                                    # Hugging Face
  | \b(?:gsk|r8|npm|whsec)_[A-Za-z0-9]{20,200}                  # Groq, Replicate, npm, webhooks
  | \b(?:xai|pplx|nvapi|tvly|pypi|GOCSPX)-[A-Za-z0-9_-]{20,400} # xAI, Perplexity, NVIDIA, Tavily, PyPI, Google
  | \bpcsk_\w{20,200} | \blsv2_(?:pt|sk)_\w{20,200}            # Pinecone, LangSmith
  | \bxapp-[A-Za-z0-9-]{10,255}                                 # Slack's applications
  | \beyJ[\w-]{10,8000}\.[\w-]{10,8000}\.[\w-]{5,8000}          # a signed web token
  | -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----[^-]{0,20000}(?:-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----)?
    # The password in the address of a database; what stands for one in a template is none.
  | (?P<login>\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s/@:"'\\]{0,100}:)(?![{$<%*])[^\s/@"'\\]{1,200}(?=@)
    # "basic understanding" is none: what is encoded nearly always has a digit or ends in "=".
  | (?P<scheme>\b(?:[Bb]earer|[Bb]asic|BEARER)[ ]{1,4})(?=[A-Za-z._~+/-]{0,200}[0-9=])[A-Za-z0-9._~+/=-]{12,8000}
    # Of a program's text only what is no call and no item: `password = getpass(…)`.
  | (?P<named>(?<![A-Za-z0-9])(?i:
        api[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|password|passwd|secret[_-]?(?:access[_-]?)?key
      )[ ]?[=:][ ]?)(?![\w.]{0,100}[(\[])[^\s"'&,;\\]{6,400}
  | (?P<header>(?<![A-Za-z0-9])(?i:authorization)[ ]?[=:][ ]?(?:[A-Za-z]{2,10}[ ])?)
    (?![\w.]{0,100}[(\[])(?=[A-Za-z._~+/-]{0,200}[0-9=])[A-Za-z0-9._~+/=-]{12,8000}
    """,
    re.VERBOSE | re.ASCII,
)

#: Names whose values are secrets, without case, dashes and underscores: how they end.
_ENDINGS = (
    "apikey", "secret", "secretkey", "accesskey", "privatekey", "password", "passwd", "passphrase", "accesstoken",
    "refreshtoken", "authtoken", "bearertoken", "sessiontoken", "authorization", "secretaccesskey", "apitoken",
    "githubtoken", "hftoken", "idtoken", "bottoken", "securitytoken", "subscriptionkey", "accountkey", "signingkey",
    "encryptionkey",
)  # fmt: skip
_NAMES = frozenset({"cookie", "setcookie", "credentials", "pwd"})

_SEPARATORS = re.compile(r"[-_. ]")

#: Levels of a payload that are looked into; what is deeper is replaced.
_MAX_DEPTH = 200

Extra = Sequence[re.Pattern[str]]


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether values of this name are secrets, whatever they look like."""
    if len(name) > 100:
        return False
    plain = _SEPARATORS.sub("", name).lower()
    return plain in _NAMES or plain.endswith(_ENDINGS)


def may_hold_secret(data: bytes) -> bool:
    """Whether a closer look at a text, in UTF-8, is needed: False is certain. 2 ns a byte of ordinary text."""
    # Numbers: to look for one takes a tenth of the time that a text of one character does.
    return bool(
        (0x3A in data and _names_a_secret(_COLON, data))
        or (0x5C in data and _names_a_secret(_ESCAPED_COLON, data))
        or (0x3D in data and _names_a_secret(_EQUALS, data))
        or (0x2D in data and _DASH.search(data))
        or (0x5F in data and _UNDERSCORE.search(data))
        or (0x4A in data and _J.search(data))
        or (0x49 in data and _I.search(data))
        or (0x42 in data and _B.search(data))
        or (0x40 in data and _LOGIN.search(data))
    )


def _names_a_secret(ends: re.Pattern[bytes], data: bytes) -> bool:
    """Whether one of the names that end at such a place is a secret's."""
    found = ends.search(data)
    while found is not None:
        if _is_named(data, found.end() - 1):
            return True
        found = ends.search(data, found.end())
    return False


def _is_named(data: bytes, at: int) -> bool:
    """Whether what stands before `at`, a colon or an equals sign, is the name of a secret."""
    name = _name_before(data[max(0, at - _BEFORE) : at])
    if name.lower() == "token":
        return _LONG.match(data, at) is not None
    return is_secret_name(name)


@functools.lru_cache(maxsize=1024)  # a program records the same few shapes again and again
def _name_before(head: bytes) -> str:
    text = head.decode("utf-8", "replace").rstrip('\\" ')
    return text[max(map(text.rfind, '" {,&?;')) + 1 :]


def _unless_empty(found: re.Match[str]) -> str:
    r"""Leave what matches without a text, as `\b` does, alone: nothing secret is there."""
    return REDACTED if found[0] else ""


def clean_plain(text: str, extra: Extra = ()) -> str:
    """Return plain text with the secrets in it replaced.

    Example:
        >>> clean_plain("Authorization: Bearer Abc123Def456Ghi789")
        'Authorization: Bearer [redacted]'
    """
    text = _SHAPES.sub(_replacement, text)
    for pattern in extra:
        text = pattern.sub(_unless_empty, text)
    return text


def _replacement(match: re.Match[str]) -> str:
    before = match["scheme"] or match["named"] or match["header"] or match["login"] or ""
    return f"{before}{REDACTED}"


def clean_json(data: bytes, extra: Extra = (), names: frozenset[str] = frozenset()) -> bytes:
    """Return JSON with the secrets in its strings and under telling names replaced; itself where there are none."""
    try:
        value = msgspec.json.decode(data)
        cleaned = _cleaned(value, extra, names, _MAX_DEPTH)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.json.encode(clean_plain(data.decode("utf-8", "replace"), extra))
    return data if cleaned == value else msgspec.json.encode(cleaned)


def clean_json_text(text: str, extra: Extra = (), names: frozenset[str] = frozenset()) -> str:
    """Return what `clean_json` does, of a text."""
    return clean_json(text.encode("utf-8", "surrogatepass"), extra, names).decode()


def _cleaned(value: Any, extra: Extra, names: frozenset[str], depth: int) -> Any:
    if isinstance(value, str):
        if value[:1] in ("{", "[") and depth:  # JSON as text, as many attributes are
            return _cleaned_text(value, extra, names, depth - 1)
        return clean_plain(value, extra)
    if depth == 0 and isinstance(value, (dict, list)):
        return REDACTED
    if isinstance(value, list):
        return [_cleaned(item, extra, names, depth - 1) for item in value]
    if isinstance(value, dict):
        return {
            clean_plain(key, extra): REDACTED
            if _is_secret(key, item, names)
            else _cleaned(item, extra, names, depth - 1)
            for key, item in value.items()
        }
    return value


def _cleaned_text(text: str, extra: Extra, names: frozenset[str], depth: int) -> str:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return clean_plain(text, extra)
    cleaned = _cleaned(value, extra, names, depth)
    return text if cleaned == value else msgspec.json.encode(cleaned).decode()


def _is_secret(name: str, value: Any, names: frozenset[str]) -> bool:
    if value is None or isinstance(value, bool) or value in ("", REDACTED):
        return False
    if name in names or is_secret_name(name):
        return True
    # A piece of a model's answer is called a token too.
    return (
        name.lower() == "token" and isinstance(value, str) and len(value) > 16 and " " not in value
    )


def clean_texts(values: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of tags or metadata, which another thread may be changing, with secrets replaced."""
    values = dict(values)  # at once: what follows runs for a while
    looks_clean = not may_hold_secret("\n".join(values.values()).encode())
    if looks_clean and not any(map(is_secret_name, values)):
        return values
    return {
        key: REDACTED
        if _is_secret(key, value, frozenset())
        else (value if looks_clean else clean_plain(value))
        for key, value in values.items()
    }


def clean_record(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a span's record with secrets replaced; the record itself where there are none, in 2 to 3 µs a KB."""
    data = b"\n".join(filter(None, record[_ATTRIBUTES:]))
    if record[_ERROR] is not None or record[_MESSAGE] is not None:
        data = b"%b\n%b" % (data, f"{record[_ERROR]}\n{record[_MESSAGE]}".encode())
    return redact_record(record) if data and may_hold_secret(data) else record


def redact_record(
    record: tuple[Any, ...], extra: Extra = (), names: frozenset[str] = frozenset()
) -> tuple[Any, ...]:
    """Return a span's record with secrets, further patterns and the values of further names replaced."""
    return (
        *record[:_MESSAGE],
        None if record[_MESSAGE] is None else clean_plain(record[_MESSAGE], extra),
        *record[_MESSAGE + 1 : _ERROR],
        None if record[_ERROR] is None else clean_plain(record[_ERROR], extra),
        *(
            None if data is None else clean_json(data, extra, names)
            for data in record[_ATTRIBUTES:]
        ),
    )


#: Attributes that are content, by how they begin; the rest says what happened, not what was said.
_CONTENT = (
    "input.", "output.", "llm.input_messages", "llm.output_messages", "llm.prompts", "llm.tools",
    "llm.prompt_template", "llm.function_call", "llm.invocation_parameters", "retrieval.documents",
    "reranker.input_documents", "reranker.output_documents", "reranker.query", "embedding.embeddings", "embedding.text",
    "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.system_instructions", "gen_ai.tool.", "tool.parameters", "tool_arguments", "tool_response",
    "traceloop.entity.", "ai.prompt", "ai.response.", "ai.result.", "ai.toolCall.", "ai.value", "ai.embedding",
    "request_data", "response_data", "final_result", "pydantic_ai.all_messages", "all_messages_events", "mlflow.chat.tools",
    "mlflow.chat.messages", "metadata", "messages", "prompt", "tools", "functions", "suffix", "stop",
)  # fmt: skip


def without_content(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a span's record without inputs, outputs, messages and texts of errors: the no-content mode."""
    attributes, events = record[_ATTRIBUTES], record[_EVENTS]
    if attributes is not None:
        kept = msgspec.json.decode(attributes)
        kept = {key: value for key, value in kept.items() if not key.startswith(_CONTENT)}
        attributes = msgspec.json.encode(kept)
    if events is not None:
        events = msgspec.json.encode([_bare(e) for e in msgspec.json.decode(events)])
    error = record[_ERROR]
    return (
        *record[:_MESSAGE],
        None if record[_MESSAGE] is None else str(record[_MESSAGE]).partition(":")[0][:100],
        *record[_MESSAGE + 1 : _ERROR],
        None if error is None else str(error).partition(":")[0][:100],
        attributes,
        events,
        record[_LINKS],
        None,
        None,
    )


def _bare(event: Mapping[str, Any]) -> dict[str, Any]:
    kind = (event.get("attributes") or {}).get("exception.type")
    attributes = {} if kind is None else {"exception.type": kind}
    return {**event, "attributes": attributes}


class Policy:
    """What is done to every record in this process; read on the hot path.

    Attributes:
        clean: Applied to each span's record; None: nothing is.
        keeps_content: False in the no-content mode.
        is_on: Whether secrets are replaced.
    """

    __slots__ = ("clean", "is_on", "keeps_content")

    def __init__(self) -> None:
        self.set(redact=True, content=True)

    def set(self, *, redact: bool, content: bool) -> None:
        """Decide what is done from now on."""
        self.is_on, self.keeps_content = redact, content
        self.clean: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = (
            clean_record if redact else None
        )
        if not content:
            self.clean = _without_content_or_secret if redact else without_content

    def clean_payload(self, data: bytes | None) -> bytes | None:
        """Return one payload's JSON as this policy has it."""
        if data is None or not self.keeps_content:
            return None
        return clean_json(data) if self.is_on and may_hold_secret(data) else data

    def clean_text(self, text: str | None) -> str | None:
        """Return plain text as this policy has it."""
        return clean_plain(text) if self.is_on and text else text

    def clean_preview(self, text: str | None) -> str | None:
        """Return a preview that came from elsewhere: it is content."""
        return self.clean_text(text) if self.keeps_content else None

    def clean_json(self, text: str | None) -> str | None:
        """Return JSON text that somebody said of a trace; it is kept where content is not."""
        if not (self.is_on and text):
            return text
        data = text.encode("utf-8", "surrogatepass")
        return clean_json(data).decode() if may_hold_secret(data) else text

    def clean_texts(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return tags or metadata as this policy has them."""
        return clean_texts(values) if self.is_on and values else dict(values)

    def clean_both(
        self, tags: Mapping[str, str], metadata: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return tags and metadata as this policy has them, looked through together: 3 µs for 9 texts."""
        tags, metadata = dict(tags), dict(metadata)
        if not self.is_on or not (
            may_hold_secret("\n".join([*tags.values(), *metadata.values()]).encode())
            or any(map(is_secret_name, tags))
            or any(map(is_secret_name, metadata))
        ):
            return tags, metadata
        return clean_texts(tags), clean_texts(metadata)


def _without_content_or_secret(record: tuple[Any, ...]) -> tuple[Any, ...]:
    return clean_record(without_content(record))


#: What this process does.
policy = Policy()
