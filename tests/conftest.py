"""What tests share: the process-wide runtime, recording into a store of the test's own."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import pytest

from tracestore.capture import threads
from tracestore.capture.context import current, last_trace_id
from tracestore.runtime import runtime
from tracestore.store import Store

# An example's time is the machine's: its first one pays for imports, and others run beside it.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would the programs that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def recording(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The active store, a fresh file. Whatever a test does, each span must end and none stay current."""
    for variable in list(os.environ):
        if variable.startswith(("TRACESTORE_", "MLFLOW_")):
            monkeypatch.delenv(variable)
    runtime.reset()
    runtime.configure(path=str(tmp_path / "traces.db"))
    last_trace_id.set(None)
    store = runtime.store
    try:
        yield store
        left_current, left_open = current.get(), dict(store.live)
    finally:
        current.set(None)
        runtime.reset()
    assert left_current is None
    assert left_open == {}


@pytest.fixture(scope="session", autouse=True)
def _ipython_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """IPython and its kernels warn where the home directory can't be written, and warnings are errors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


@pytest.fixture(autouse=True)
def _no_global_tracer_provider() -> Iterator[None]:
    """A global tracer provider can't be unset, and FastAPI and `anthropic` make spans for it unasked."""
    yield
    api = sys.modules.get("opentelemetry.trace")
    assert api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


@pytest.fixture(autouse=True)
def _threads_as_python_made_them() -> Iterator[None]:
    """The switch that nests threads is the process's: left on, it changes what tests that follow record."""
    yield
    left_on = threading.Thread.start, ThreadPoolExecutor.submit
    threads.nest_threads(False)
    assert left_on == (threading.Thread.start, ThreadPoolExecutor.submit)
