"""Benchmarks: what tracestore costs, each against a floor or a peer that is measured in the same run.

Run from the project's root: `python -m benchmarks.overhead`, `.ingest`, `.search`, `.import_time`. Figures and
how to read them: README.md beside this file. Nothing here is part of the package.
"""
