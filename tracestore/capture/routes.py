"""Routes that FastAPI registered before their function was traced.

`@app.post(…)` registers the function it is given and returns that same function, so a `@trace` above it comes
too late: requests would call what is not traced. MLflow's guides show that order, so the route is turned to
the traced function. Only applications and routers that are named where the decorator stands are looked at.
It does not import FastAPI: where it is not loaded there is no route.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from tracestore.runtime import runtime


def turn_routes(function: Any, traced: Any, frame: FrameType) -> None:
    """Have routes that call `function` call `traced`, in applications that `frame` has a name for."""
    if "fastapi.routing" not in sys.modules:
        return
    try:
        for route in _routes(frame):
            if getattr(route, "endpoint", None) is function and route.dependant.call is function:
                route.endpoint = route.dependant.call = traced
    except Exception as error:  # noqa: BLE001 - another version of FastAPI may be built differently
        runtime.failed(f"the route of {getattr(function, '__name__', function)!r}", error)


def _routes(frame: FrameType) -> Iterator[Any]:
    """Yield the routes of FastAPI applications and routers among the names of a frame."""
    kinds = (sys.modules["fastapi"].FastAPI, sys.modules["fastapi.routing"].APIRouter)
    named = [*frame.f_globals.values(), *frame.f_locals.values()]
    for value in {id(value): value for value in named if isinstance(value, kinds)}.values():
        yield from value.routes
