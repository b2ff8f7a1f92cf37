"""Large texts kept once: cut into messages, documents and long strings, each of them once in the file by its hash.

Agents send their whole history again at every turn. So the text of a large `spans.inputs` or `spans.outputs` is cut
where values of its JSON begin and end; the parts go into `payloads`, and in the column stands MARK and a JSON array:
what is between the parts as texts, the parts as `payloads.id`. Joined they are the text, character for character,
wherever the cuts are: a cut is never a question of what a text means.

A text is cut only if a part of it was there before: the first time, it stays in its column. What never comes again
costs no space so, and a conversation one text more.

`payload_traces` says which traces have a part. A trace's rows there are written with its spans and deleted with it,
and a part goes with the last of them, in the same transaction. It never lacks a trace that has the part; it may name
one that had it, in a span written while it was open: `forget_unused` takes that out.

Pure SQL over a connection that somebody else opened, within a transaction that somebody else began.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from tracestore.storage.schema import PAYLOAD_MARK, SHARED_COLUMNS, whole
from tracestore.storage.statements import Insert, chunks, insert

#: Characters, or bytes, from which a text is cut. Below, what a reference costs and the work of cutting are not repaid: the spans
#: of a retrieval with one answer stay as they are, a conversation is cut from its third or fourth turn on.
LARGE = 4_096

#: Bytes from which a part is kept by itself. Smaller values are put together with their neighbours in a list.
_PART = 512

#: Bytes below which the values of a list are not looked at one by one: numbers of a vector, rows of a table.
_MEAN = 64

#: Values within values that are cut.
_DEPTH = 8

#: hashlib gives the interpreter lock away for more bytes at once, see record_rows._CRC_BYTES.
_HASHED = 2_047

_MARK = PAYLOAD_MARK.encode()

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode

_PAYLOADS = Insert("INSERT INTO payloads (id, hash, text)", 3)
_TRACES = Insert("INSERT OR IGNORE INTO payload_traces (payload, trace)", 2)


def is_large(text: str | bytes | None) -> bool:
    """Whether a text, or its UTF-8, is stored in another form. 0.1 µs."""
    if text is None:
        return False
    mark = PAYLOAD_MARK if isinstance(text, str) else _MARK
    return len(text) >= LARGE or text[:1] == mark


def stored(connection: sqlite3.Connection, texts: Sequence[tuple[int, str]]) -> list[str]:
    """Return what stands in the columns of spans for large texts, given with the keys of their traces.

    A text of which no part was there before stays as it is. About 2.5 µs for 1 KB.
    """
    found = [(trace, text, list(_parts(text))) for trace, text in texts]
    hashes = {part: _hash(part) for *_, parts in found for part in parts if type(part) is bytes}
    keys = _known(connection, hashes)
    shared = [_comes_again(*each, hashes, keys) for each in found]
    wanted = [parts for (*_, parts), is_shared in zip(found, shared, strict=True) if is_shared]
    _add(connection, {part: hashes[part] for parts in wanted for part in parts if part in hashes}, keys)  # fmt: skip
    uses: set[tuple[int, int]] = set()
    columns = []
    for (trace, text, parts), is_shared in zip(found, shared, strict=True):
        if not is_shared:
            columns.append(text)
            continue
        references = [keys[part] if type(part) is bytes else part for part in parts]
        uses.update((key, trace) for key in references if type(key) is int)
        columns.append(PAYLOAD_MARK + msgspec.json.encode(references).decode())
    insert(connection, _TRACES, sorted(uses))
    return columns


#: Hashes of parts that this process has written lately, at most about _MOST_SEEN, 4 MB: with the trace and the length
#: of the text, so that a span that is written while it is open and again when it ends is no repetition.
_seen: dict[bytes, tuple[int, int]] = {}
_MOST_SEEN = 16_384


def _comes_again(
    trace: int,
    text: str,
    parts: Sequence[str | bytes],
    hashes: Mapping[bytes, bytes],
    keys: Mapping[bytes, int],
) -> bool:
    """Whether a part was there before, or the text could be taken for references."""
    own = [part for part in parts if type(part) is bytes]
    place = (trace, len(text))
    again = any(part in keys or _seen.get(hashes[part], place) != place for part in own)
    if len(_seen) > _MOST_SEEN:
        _seen.clear()
    _seen.update((hashes[part], place) for part in own)
    return again or text[:1] == PAYLOAD_MARK


def _parts(text: str) -> Iterator[str | bytes]:
    """Yield the text in pieces: as bytes those that are kept once, as text what is between them."""
    data = text.encode()
    cuts: list[tuple[int, int]] = []
    try:
        _cut(data, 0, data, cuts, _DEPTH)
    except (msgspec.DecodeError, ValueError, RecursionError):  # no JSON, or not as we write it
        cuts = [(0, len(data))] if len(data) >= _PART else []
    done = 0
    for start, end in cuts:
        if start > done:
            yield data[done:start].decode()
        yield data[start:end]
        done = end
    if done < len(data):
        yield data[done:].decode()


def _cut(data: bytes, start: int, value: bytes, cuts: list[tuple[int, int]], depth: int) -> None:
    """Add the parts of a JSON value, which begins at `start`."""
    kind = value[:1]
    if kind == b"{" and len(value) >= LARGE and depth:
        _cut_members(data, start, value, cuts, depth - 1)
    elif kind == b"[" and len(value) >= LARGE and value[1:2] in (b"{", b'"') and depth:
        elements = _elements(value)
        if len(elements) * _MEAN > len(value):
            cuts.append((start, start + len(value)))
        else:
            _cut_elements(data, start, elements, cuts, depth - 1)
    else:
        cuts.append((start, start + len(value)))


def _cut_members(
    data: bytes, start: int, value: bytes, cuts: list[tuple[int, int]], depth: int
) -> None:
    for member in map(bytes, _members(value).values()):
        if len(member) >= _PART:
            start = data.index(member, start)
            _cut(data, start, member, cuts, depth)
            start += len(member)


def _cut_elements(
    data: bytes,
    start: int,
    elements: Sequence[msgspec.Raw],
    cuts: list[tuple[int, int]],
    depth: int,
) -> None:
    """Add the elements of a list, small ones together: from the first on, so that a longer list begins with the same."""
    first = start = start + 1
    for element in map(bytes, elements):
        if not data.startswith(element, start):
            raise ValueError("spaces between the values")
        end = start + len(element)
        if len(element) >= _PART:
            if start - 1 - first >= _PART:
                cuts.append((first, start - 1))
            _cut(data, start, element, cuts, depth)
            first = end + 1
        elif end - first >= _PART:
            cuts.append((first, end))
            first = end + 1
        start = end + 1


def _known(connection: sqlite3.Connection, hashes: Mapping[bytes, bytes]) -> dict[bytes, int]:
    """Return `payloads.id` of each part that is there."""
    parts = {found: part for part, found in hashes.items()}
    keys: dict[bytes, int] = {}
    for chunk in chunks(list(parts), 500):
        marks = ",".join("?" * len(chunk))
        sql = f"SELECT hash, id FROM payloads WHERE hash IN ({marks})"
        keys.update((parts[found], key) for found, key in connection.execute(sql, chunk).fetchall())
    return keys


def _add(
    connection: sqlite3.Connection, hashes: Mapping[bytes, bytes], keys: dict[bytes, int]
) -> None:
    """Write the parts that are not there, and their ids into `keys`."""
    missing = [part for part in hashes if part not in keys]
    if missing:
        last = connection.execute("SELECT ifnull(max(id), 0) FROM payloads").fetchone()[0]
        keys.update((part, last + number) for number, part in enumerate(missing, 1))
        insert(connection, _PAYLOADS, [(keys[p], hashes[p], p.decode()) for p in missing])


def _hash(part: bytes) -> bytes:
    found = hashlib.blake2b(part[:_HASHED], digest_size=16)
    for start in range(_HASHED, len(part), _HASHED):
        found.update(part[start : start + _HASHED])
    return found.digest()


_WHOLE = f"SELECT {whole('form')} FROM (SELECT ? AS form)"


def whole_text(connection: sqlite3.Connection, column: str | None) -> str | None:
    """Return the text that a column of a span stands for."""
    if column is None or column[:1] != PAYLOAD_MARK:
        return column
    found: str = connection.execute(_WHOLE, (column,)).fetchone()[0]
    return found


def delete_traces(connection: sqlite3.Connection, keys: str) -> None:
    """Delete what no other trace has than those of these keys, given as a JSON array."""
    sql = "DELETE FROM payload_traces WHERE trace IN (SELECT value FROM json_each(?)) RETURNING payload"
    _delete_unused(connection, {row[0] for row in connection.execute(sql, (keys,)).fetchall()})


_USED = " UNION ".join(
    f"""SELECT p.value FROM spans AS s INDEXED BY spans_trace, json_each(substr(s.{column}, 2)) AS p
        WHERE s.trace = :trace AND substr(s.{column}, 1, 1) = '{PAYLOAD_MARK}' AND p.type = 'integer'"""
    for column in SHARED_COLUMNS
)


def forget_unused(connection: sqlite3.Connection, trace: int) -> int:
    """Delete what no span of the trace has any more, and return from how many parts the trace was taken."""
    sql = f"DELETE FROM payload_traces WHERE trace = :trace AND payload NOT IN ({_USED}) RETURNING payload"
    unused = [row[0] for row in connection.execute(sql, {"trace": trace}).fetchall()]
    _delete_unused(connection, unused)
    return len(unused)


def count_anew(connection: sqlite3.Connection) -> None:
    """Make `payload_traces` of what the spans refer to, and delete the payloads that none refers to."""
    connection.execute("DELETE FROM payload_traces")
    for column in SHARED_COLUMNS:
        connection.execute(
            f"""INSERT OR IGNORE INTO payload_traces
                SELECT p.value, s.trace FROM spans AS s, json_each(substr(s.{column}, 2)) AS p
                WHERE substr(s.{column}, 1, 1) = '{PAYLOAD_MARK}' AND p.type = 'integer'"""
        )
    connection.execute("DELETE FROM payloads WHERE id NOT IN (SELECT payload FROM payload_traces)")


def _delete_unused(connection: sqlite3.Connection, payloads: Collection[int]) -> None:
    if payloads:
        connection.execute(
            """DELETE FROM payloads WHERE id IN (SELECT value FROM json_each(?))
               AND NOT EXISTS (SELECT 1 FROM payload_traces WHERE payload = payloads.id)""",
            (msgspec.json.encode(sorted(payloads)).decode(),),
        )
