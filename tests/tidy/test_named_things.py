"""Goal: what a document tells its reader to run, open, set, call or watch is there today."""

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from millrace.cli import app
from millrace.commands.routes import rows
from runtime.settings import Settings, variable
from tests.tidy.sources import ROOT, python_sources, text_files

HISTORY = {"CHANGELOG.md"}
"""Tells of what was there at its time."""

DOCUMENTS = sorted(
    name for path in text_files() if path.suffix == ".md" and (name := path.relative_to(ROOT).as_posix()) not in HISTORY
)
MODULES = {
    "bench": "benchmarks",
    "faults": "tests.faults",
    "fuzz": "tests.fuzz",
    "nightly": "tests.faults.nightly",
}
"""What reads the FLAGS of a make target; those of the other targets go to the command `millrace`, or to pytest."""

OTHERS_VARIABLES = {"SSL_CERT_FILE", "ZAP_AUTH_HEADER_VALUE"}
"""What programs of others read."""

_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w./-])(?:\.venv/bin/)?millrace( (?:[^#|&;)`]|(?<=\w)\|(?=\w))*)")
_MODULE = re.compile(r"python3? -m ([\w.]+)((?: (?:[^#|&;)`]|(?<=\w)\|(?=\w))*)?)")
_TARGET = re.compile(r"(?:^|[ =])make ([a-z-]+)(?: FLAGS=\"([^\"]*)\")?")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_PATH = re.compile(r"(?<![\w/.…:~$>@=-])[\w.-]+/[\w./{},*<>-]*")
_SETTING = re.compile(r"\bMILLRACE_[A-Z0-9_]*[A-Z0-9]\b")
_CONSTANT = re.compile(r"(?:^|[ …=])(_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b")
_METRIC = re.compile(r"\bmillrace_[a-z_]+\b")
_ROUTE = re.compile(
    r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(?<![\w:}…])(/(?:v1|console|\.well-known)/(?:\{[^}]*\}|[^\s?`,;)])*)"
)


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


def spans(document: str) -> Iterator[str]:
    """What is set as code: spans of the prose, and the lines of blocks."""
    text = text_of(document)
    yield from _SPAN.findall(_FENCE.sub("", text))
    for block in _FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()


@cache
def source_text(package: str = "") -> str:
    """Of one package or module, by its dotted name; of everything that is no document."""
    if not package:
        return "\n".join(path.read_text(errors="replace") for path in text_files() if path.suffix != ".md")
    folder = package.replace(".", "/")
    return "\n".join(s.text for s in python_sources() if s.path.startswith(folder + "/") or s.path == f"{folder}.py")


@cache
def code_words() -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source_text()))


@cache
def program() -> Any:
    return get_command(app)


def command_faults(line: str) -> Iterator[str]:
    """`line` is what follows `millrace`: names of commands (`list, show` and `run|verify` are several), options."""
    group = program()
    ends: Sequence[Any] = [group]
    siblings = False
    for word in line.split("  ")[0].split():
        names = word.strip("[]").rstrip(",").split("|")
        if not hasattr(group, "commands") or not re.fullmatch(r"[a-z][a-z-]*", names[0]):
            break
        if missing := [name for name in names if name not in group.commands]:
            yield f"no command {missing[0]}"
            return
        found = [group.commands[name] for name in names]
        ends = [*ends, *found] if siblings else found
        siblings = siblings or word.endswith(",")
        group = group if siblings else found[0]
    known = {text for end in ends for option in end.params for text in (*option.opts, *option.secondary_opts)}
    yield from (f"no option {option}" for option in _OPTION.findall(line) if option not in known | {"--help"})


def module_faults(module: str, line: str) -> Iterator[str]:
    """Options, and the first word where it is one, are spelled out in the module."""
    spec = find_spec(module)
    if spec is None or (spec.submodule_search_locations is not None and find_spec(f"{module}.__main__") is None):
        yield f"can't be run: {module}"
        return
    text = source_text(module)
    yield from (f"no option {option}" for option in _OPTION.findall(line) if not spelled_out(option, text))
    first = line.split()[:1]
    if first and re.fullmatch(r"[a-z|]+", first[0]):
        yield from (f"no word {word}" for word in first[0].split("|") if f'"{word}"' not in text)


def spelled_out(option: str, text: str) -> bool:
    """By its name, or as the parameter that typer makes it of."""
    parameter = option.removeprefix("--").replace("-", "_")
    return f'"{option}"' in text or f"    {parameter}: Annotated[" in text


def target_faults(target: str, flags: str) -> Iterator[str]:
    if not re.search(rf"^{target}:.*## ", text_of("Makefile"), re.MULTILINE):
        yield f"no target {target}"
    elif target in MODULES:
        yield from module_faults(MODULES[target], flags)
    elif target in {"demo", "up", "down"}:
        yield from command_faults(f"{target} {flags}")


def run_faults(line: str) -> Iterator[str]:
    line = line.split("  #")[0].split(" # ")[0]
    yield from (fault for found in _COMMAND.findall(line) for fault in command_faults(found))
    yield from (fault for module, rest in _MODULE.findall(line) for fault in module_faults(module, rest))
    yield from (fault for target, flags in _TARGET.findall(line) for fault in target_faults(target, flags))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_to_be_run_is_there(document: str) -> None:
    found = [f"{span}: {fault}" for span in spans(document) for fault in run_faults(span)]
    assert found == []


def test_what_make_prints_of_its_targets_is_there() -> None:
    printed = re.findall(r"^([a-z-]+):.*?## .*?FLAGS=(.*)$", text_of("Makefile"), re.MULTILINE)
    found = [
        f"{target} {flags}: {fault}"
        for target, examples in printed
        for flags in re.findall(r'"([^"]*)"', examples)
        for fault in target_faults(target, flags)
    ]
    assert printed
    assert found == []


def test_commands_that_messages_and_comments_name_are_there() -> None:
    found = [
        f"{source.path}: {line}: {fault}"
        for source in python_sources()
        if not source.is_test
        for line in re.findall(r"`millrace( [^`\n]*)`", source.text)
        for fault in command_faults(re.sub(r"\{[^}]*\}", "…", line))
    ]
    assert found == []


def expanded(path: str) -> Iterator[str]:
    """`a/{b,c}` are two; `<name>` and `*` stand for any name."""
    parts = [part.strip("{}").split(",") if "," in part else [part] for part in re.split(r"(\{[^}]*\})", path)]
    for chosen in product(*parts):
        yield re.sub(r"<[^>]*>", "*", "".join(chosen)).rstrip(".,/")


def named_paths(document: str) -> Iterator[str]:
    """Those that begin with a folder of the project."""
    folders = {path.relative_to(ROOT).parts[0] for path in text_files() if path.parent != ROOT}
    for span in spans(document):
        for path in _PATH.findall(span):
            if path.split("/")[0] in folders:
                yield from expanded(path)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_folders_that_are_named_are_there(document: str) -> None:
    missing = sorted({path for path in named_paths(document) if not any(ROOT.glob(path))})
    assert missing == []


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    missing = []
    for link in _LINK.findall(_FENCE.sub("", text_of(document))):
        name, _, anchor = link.partition("#")
        target = Path(os.path.normpath((ROOT / document).parent / name)) if name else ROOT / document
        if link.startswith(("http://", "https://")):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_and_constants_that_are_named_are_there(document: str) -> None:
    """`_PORT` beside `MILLRACE_SMTP_HOST` is the end of a setting, as is `LDAP_URL` in a table of `MILLRACE_…`."""
    settings = {variable(name) for name in Settings.model_fields}
    named = {name for span in spans(document) for name in (*_SETTING.findall(span), *_CONSTANT.findall(span))}
    missing = {name for name in named if name not in settings | code_words()}
    ends = settings | OTHERS_VARIABLES
    assert {name for name in missing if not any(known.endswith(name) for known in ends)} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_metrics_that_are_named_are_there(document: str) -> None:
    named = {name for span in spans(document) for name in _METRIC.findall(span)}
    assert {name for name in named if name not in code_words()} == set()


@cache
def routes() -> frozenset[tuple[str, str]]:
    """Method and path, of the API and of the console, without the names of parameters."""
    pages = re.findall(r'@router\.(get|post)\("([^"]*)"\)', source_text("console"))
    api = {(row["method"], plain(row["path"])) for row in rows()}
    return frozenset(api | {(method.upper(), plain(f"/console{path}")) for method, path in pages})


def plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def route_is_there(method: str, path: str) -> bool:
    """Without a method, or where it is cut short (`…`), the path may also be the beginning of several."""
    whole, _, cut = path.partition("…")
    ends = [known for known_method, known in routes() if method in {"", known_method}]
    if method and path == whole:
        return any(re.fullmatch(known.replace("{}", "[^/]+"), path) for known in ends)
    return any(known == whole or known.startswith(f"{whole.rstrip('/')}/") for known in ends) or bool(cut)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_routes_that_are_named_are_there(document: str) -> None:
    missing = [
        f"{method} {path}"
        for span in spans(document)
        for method, cited in _ROUTE.findall(span)
        for path in expanded(cited)
        if not route_is_there(method, plain(path))
    ]
    assert missing == []
