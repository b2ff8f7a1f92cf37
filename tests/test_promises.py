"""The README's promises name tests that exist, and show figures that they printed."""

from __future__ import annotations

import ast
import json
import pathlib

from tests import promises

FOLDER = pathlib.Path(__file__).parent


def _names(file: pathlib.Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_promise_names_tests_that_exist_and_have_run() -> None:
    figures = json.loads(promises.FIGURES.read_text("utf-8"))
    for promise in promises.PROMISES:
        assert promise.tests
        for test in promise.tests:
            file, _, name = test.partition("::")
            assert name in _names(FOLDER / file), test
            assert test in figures, test
