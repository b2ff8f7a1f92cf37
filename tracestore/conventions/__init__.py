"""Semantic conventions of other libraries, read: what a span's foreign attributes say in this package's terms.

`rules.py` is the table, `messages.py` reads chat messages in the shapes they come in, `translation.py` applies
both. Pure functions of plain values; nothing in here raises because of what a span holds.
"""
