"""Auto-tracing of Anthropic's client, as `mlflow.anthropic.autolog()`; see `tracestore.autologging`.

Where no instrumentor is installed the client traces itself, if its release can (2.11.0 does): then only clients that
are made from now on, and of a raw stream (`create(stream=True)`) the tokens and not the text, which
`messages.stream` has.
"""

from tracestore.autologging import autolog_of

autolog = autolog_of("anthropic", "Anthropic's client")
