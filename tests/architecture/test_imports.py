"""Who may import whom, and what no module does merely because it is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
PURE_KERNEL = {f"functions.kernel.{name}" for name in ("codec", "decider", "errors", "ring")}
IMPURE = {
    *("asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid"),
}
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input"}
DOCUMENTED = "openapi.py"
"""What is for the OpenAPI document, which is made at build time."""
NOT_AT_IMPORT = {"boto3", "client", "create_client", "environ", "get_session", "getenv", "resource"}
VAGUE = {"base", "common", "core", "helper", "helpers", "lib", "manager", "misc", "util", "utils"}


def named(path: Path) -> str:
    return str(path.relative_to(FUNCTIONS))


MODULES = sorted(FUNCTIONS.rglob("*.py"))
CAPABILITIES = sorted(
    folder.name for folder in FUNCTIONS.iterdir() if (folder / "handlers").is_dir()
)
DECIDERS = [
    FUNCTIONS / name / file for name in CAPABILITIES for file in ("decider.py", "events.py")
]
PURE = [
    *DECIDERS,
    *(ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in sorted(PURE_KERNEL)),
]
HANDLERS = [
    path for path in MODULES if path.parent.name == "handlers" and path.name != "__init__.py"
]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports(path: Path) -> set[str]:
    """The modules that a module imports when it runs, wherever in it."""
    found: set[str] = set()
    for node in run(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            # "from package import module" names a module as well.
            found.update(_module(node.module or "", alias.name) for alias in node.names)
    return found


def _module(base: str, name: str) -> str:
    inside = ROOT.joinpath(*base.split("."))
    known = (inside / f"{name}.py").exists() or (inside / name).is_dir()
    return f"{base}.{name}" if known else base


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def run(node: ast.AST, *, bodies: bool = True) -> Iterator[ast.AST]:
    """What runs: all but what is for the type checker alone, with functions' bodies or without."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        if bodies or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from run(child, bodies=bodies)
        else:
            yield from run(child.args, bodies=bodies)


def called(nodes: Iterator[ast.AST]) -> set[str]:
    """The names in what is called or subscripted: `os.environ["A"]` gives os and environ."""
    used = [
        node.func if isinstance(node, ast.Call) else node.value
        for node in nodes
        if isinstance(node, ast.Call | ast.Subscript)
    ]
    return {
        part.id if isinstance(part, ast.Name) else part.attr
        for expression in used
        for part in ast.walk(expression)
        if isinstance(part, ast.Name | ast.Attribute)
    }


def test_there_is_something_to_look_at() -> None:
    assert "shortener" in CAPABILITIES
    assert all(path.exists() for path in PURE)
    assert HANDLERS


@pytest.mark.parametrize("path", PURE, ids=named)
def test_what_is_pure_imports_the_standard_library_and_what_is_pure(path: Path) -> None:
    own = {f"functions.{path.parent.name}.{name}" for name in ("decider", "events")}
    allowed = PURE_KERNEL | own
    assert not {
        module
        for module in imports(path) - allowed
        if module.split(".")[0] not in sys.stdlib_module_names
    }


@pytest.mark.parametrize("path", PURE, ids=named)
def test_what_is_pure_has_no_clock_chance_environment_or_io(path: Path) -> None:
    assert not {module for module in imports(path) if within(module, *IMPURE)}
    assert not called(run(tree(path))) & IMPURE_CALLS


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_imports_its_own_layer_and_those_below(path: Path) -> None:
    layer = path.relative_to(FUNCTIONS).parts[0]
    allowed = {
        "__init__.py": (),
        "kernel": ("functions.kernel",),
        "edge": ("functions.kernel", "functions.edge"),
    }.get(layer, ("functions.kernel", "functions.edge", f"functions.{layer}"))
    if path.name == DOCUMENTED:
        allowed = (*allowed, "functions.openapi")
    ours = {module for module in imports(path) if within(module, "functions")}
    assert not {module for module in ours if not within(module, *allowed)}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_nothing_that_runs_imports_what_only_the_document_needs(path: Path) -> None:
    if path.name != DOCUMENTED:
        assert not {module for module in imports(path) if module.endswith(".openapi")}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_no_module_reads_the_environment_or_makes_a_client_at_import(path: Path) -> None:
    assert not called(run(tree(path), bodies=False)) & NOT_AT_IMPORT


@pytest.mark.parametrize("path", HANDLERS, ids=named)
def test_a_handler_module_has_a_builder_and_an_entry_point(path: Path) -> None:
    body = tree(path).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    assigned = {
        ast.unparse(node.targets[0]): ast.unparse(node.value)
        for node in body
        if isinstance(node, ast.Assign)
    }
    assert "build" in functions
    assert assigned.get("handler") in {"entry(build)", "entry(build, hurried=True)"}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_modules_name_says_what_is_in_it(path: Path) -> None:
    assert not VAGUE & {path.stem, *path.relative_to(FUNCTIONS).parts}
