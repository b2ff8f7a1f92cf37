"""Guide 003, deployment: the program of the container, `app.py`; everything else is in variables.

Records as many traces as its first argument says (default 1).
"""
# mypy: ignore-errors
# ruff: noqa: I001

import tracestore as mlflow
import os
import sys


@mlflow.trace
def answer(question: str) -> str:
    mlflow.update_current_trace(tags={"app_version": os.getenv("APP_VERSION", "unknown")})
    return question.upper()


for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
    answer(f"question {number}")
