"""Benchmarks: what tracestore costs, each against a floor or a peer that is measured in the same run.

Run from the project's root: `python -m benchmarks` for a quick form of all, `python -m benchmarks.overhead` and so on
for one. Figures and how to read them: README.md beside this file. Nothing here is part of the package.
"""
