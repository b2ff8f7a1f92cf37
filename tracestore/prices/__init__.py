"""What a call of a language model cost: a table of prices, and how usage and a model become US dollars.

    prices.json   a snapshot of genai-prices (its licence: prices.LICENSE); tests/prices_snapshot.py makes it
    table.py      the snapshot and a person's own prices, and which of them a model has at a time
    cost.py       usage times prices

No network and no guess: a model that the table does not know has no cost. Loaded when the first cost is asked
for, on the writing thread.
"""

from tracestore.prices.cost import cost_of

__all__ = ["cost_of"]
