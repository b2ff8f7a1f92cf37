"""The layers of the package: every file is parsed, imports only go down, and names say what things are."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterator

import pytest

import tracestore

PACKAGE = pathlib.Path(tracestore.__file__).parent

#: From the bottom up. A module may import those of lower layers and of its own part; parts of one layer don't
#: know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "beyond"),
    ("arguments",),
    ("settings", "encoding", "ids", "redaction", "display", "progress"),
    ("ui", "answers"),  # ui draws entities, which show themselves by it
    ("entities",),
    ("prices",),
    ("readable", "summary", "difference", "conventions"),
    ("storage",),  # the names of tables and columns, among other things
    ("filters",),
    ("search",),
    ("frame", "assessments", "sessions", "experiments", "upkeep", "figures"),
    ("comparison",),
    ("contents",),
    ("store",),
    ("runtime",),
    ("capture",),
    ("otlp",),
    ("explorer", "following", "notebook"),
    ("client", "evaluation", "testing", "exceptions", "tracing", "openai", "otel", "viewing"),
    ("importing", "autologging", "tracking"),
    (
        "anthropic",
        "bedrock",
        "crewai",
        "dspy",
        "gemini",
        "groq",
        "langchain",
        "litellm",
        "llama_index",
        "mistral",
        "smolagents",
    ),
    ("pytest_plugin",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """Return the part of the package that a dotted name belongs to."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def tree_of(path: pathlib.Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text("utf-8"))


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node, those within functions too, but for what only a type checker sees."""
    yield node
    children = node.orelse if is_for_types_only(node) else ast.iter_child_nodes(node)  # type: ignore[attr-defined]
    for child in children:
        yield from run_time_nodes(child)


def imports_of(path: pathlib.Path) -> Iterator[str]:
    """Yield the dotted names of this package that the file imports when it runs."""
    parts = ("tracestore", *path.with_suffix("").parts)
    for node in run_time_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            # `from tracestore import ids` imports the module tracestore.ids
            names = (
                [f"{module}.{a.name}" for a in node.names] if module == "tracestore" else [module]
            )
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "tracestore")


def part_of_file(path: pathlib.Path) -> str:
    return path.parts[0].removesuffix(".py")


def test_every_part_has_its_layer() -> None:
    assert {part_of_file(path) for path in MODULES} <= set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_only_go_down(path: pathlib.Path) -> None:
    part = part_of_file(path)
    for name in imports_of(path):
        imported = part_of(name)
        if imported == "__version__":
            continue
        assert imported == part or RANK[imported] < RANK[part], f"{path} imports {name}"


def test_the_parser_sees_imports_wherever_they_are() -> None:
    assert "tracestore.display" in set(
        imports_of(pathlib.Path("entities/trace.py"))
    )  # in a function
    assert "tracestore.capture.fluent" in set(imports_of(pathlib.Path("tracing/__init__.py")))
    assert "tracestore.store" not in set(imports_of(pathlib.Path("__init__.py")))  # for types only


def test_package_itself_imports_nothing_of_itself() -> None:
    assert list(imports_of(pathlib.Path("__init__.py"))) == []


def test_nobody_imports_the_command_line() -> None:
    importers = [
        str(path)
        for path in MODULES
        for name in imports_of(path)
        if part_of(name) == "cli" and part_of_file(path) not in ("cli", "__main__")
    ]
    assert importers == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_file_says_what_it_is_for_and_nothing_is_named_for_nothing(path: pathlib.Path) -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "handlers"}
    assert not vague & {part.removesuffix(".py") for part in path.parts}
    tree = tree_of(path)
    assert ast.get_docstring(tree), f"{path} has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(
                ("Manager", "Helper", "Handler", "Mixin", "Util", "Utils")
            )
