"""Statements that run for long, ended by what the handler of a signal raises: Ctrl-C.

Python runs such handlers on the main thread, between two of its own instructions. There Ctrl-C would wait until SQLite
has its answer, minutes for a large file; or be raised within a function that SQLite calls, which makes of any exception
"user-defined function raised exception". So the main thread waits, and the statement runs on another one.
"""

from __future__ import annotations

import _thread
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_Answers = queue.SimpleQueue[tuple[object, "BaseException | None"]]


def heeding_signals(connection: sqlite3.Connection, action: Callable[[], T]) -> T:
    """Return what `action` returns, which runs a statement of the connection and takes its rows.

    About 20 µs on the main thread, nothing on another one.

    Raises:
        BaseException: What `action` raises; or what the handler of a signal raised meanwhile: the statement was ended
            then, and its thread is done with the connection.
    """
    if threading.current_thread() is not threading.main_thread():
        return action()
    claims = [action]
    answers: _Answers = queue.SimpleQueue()
    interruption: BaseException | None = None
    try:
        # Not threading.Thread, whose `start` waits: Ctrl-C in there leaves a thread that nobody knows.
        _thread.start_new_thread(_answer, (claims, answers))
    except BaseException as error:
        if _withdrawn(claims):
            if isinstance(error, RuntimeError):  # no more threads, or the interpreter shuts down
                return action()
            raise
        interruption = error
        connection.interrupt()
    while True:
        try:
            value, failure = answers.get()
            break
        except BaseException as error:  # noqa: BLE001 - raised when the statement has ended
            interruption = interruption or error
            connection.interrupt()
    if interruption is not None:
        raise interruption
    if failure is not None:
        raise failure
    return value  # type: ignore[return-value]  # what `action` returned


def _withdrawn(claims: list[Callable[[], T]]) -> bool:
    """Whether the action will not be run by the other thread: it was not begun."""
    try:
        claims.pop()
    except IndexError:  # the thread was quicker
        return False
    return True


def _answer(claims: list[Callable[[], T]], answers: _Answers) -> None:
    try:
        action = claims.pop()
    except IndexError:
        return
    try:
        answers.put((action(), None))
    except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
        answers.put((None, error))
