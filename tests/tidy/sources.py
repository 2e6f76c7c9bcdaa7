"""Every Python file of the project, parsed once."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "payments",
    "schemas",
    "runtime",
    "ingest_api",
    "streams",
    "connectors",
    "sinks",
    "reconciliation",
    "screening",
    "console",
    "millrace",
    "benchmarks",
)


@dataclass(frozen=True, eq=False)
class Source:
    """One file: where it lies, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def is_test(self) -> bool:
        return self.package == "tests"

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Also methods and nested ones."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return total
    docstring = function.body[0]
    return total - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


@cache
def python_sources() -> tuple[Source, ...]:
    """Packages and tests, in path order."""
    paths = sorted(path for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py"))
    return tuple(_parsed(path) for path in paths)


def _parsed(path: Path) -> Source:
    text = path.read_text()
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text, str(path)))


@cache
def text_files() -> tuple[Path, ...]:
    """What is under version control and is text; in an unpacked archive, the Python sources."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return tuple(ROOT / source.path for source in python_sources())
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096])


def docstrings(source: Source) -> set[int]:
    """Identities of the string constants that are documentation, not values."""
    found = set()
    for node in ast.walk(source.tree):
        for body in (value for name, value in ast.iter_fields(node) if name == "body" and isinstance(value, list)):
            found |= {id(item.value) for item in body if isinstance(item, ast.Expr)}
    return found
