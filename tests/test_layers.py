# SPDX-License-Identifier: MIT
"""The import law of ARCHITECTURE.md, held by reading every import of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

import minihttp
import storage_backends
from tests.conftest import SLOW

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(minihttp.__file__).parent  # of the tree, or of the installed wheel
STORAGE = Path(storage_backends.__file__).parent

# From the ground up: each room, and those below it that it imports. Edges that are here are edges that are
# used; a new one is a line in the diff, and one that nothing uses any more goes.
EDGES = {
    "errors": "",
    "shown": "",
    "hashing": "",
    "tracebacks": "errors",
    "limits": "errors",
    "json_numbers": "",
    "loopback": "",
    "loggers": "",
    "logs": "errors shown tracebacks",
    "watchdog": "errors loggers",
    "settings": "errors",
    "values": "errors json_numbers shown",
    "http": "errors hashing json_numbers loggers limits values",
    "webhooks": "errors hashing json_numbers",
    "data": "errors hashing shown limits watchdog values",
    "files": "errors hashing shown limits values http data",
    "auth": "errors hashing json_numbers loopback",
    "functions": "errors loggers shown limits watchdog values http data files auth",
    "key_store": "errors http data functions",
    "rate_limit": "errors hashing data functions",
    "jobs": "errors hashing tracebacks limits watchdog values data functions",
    "snapshot": "errors values data files",
    "inbox": "errors hashing shown limits values http webhooks data functions jobs",
    "app": "errors hashing loggers loopback shown tracebacks limits logs watchdog values http data "
    "files auth functions key_store rate_limit jobs snapshot inbox",
    "testing": "app",
    "server": "errors hashing loopback limits logs http",
    "dashboard": "errors logs values auth http data key_store inbox app",
    "cli": "errors hashing loopback shown limits logs watchdog settings values http webhooks data "
    "files auth functions key_store jobs snapshot inbox app server dashboard",
    "__main__": "cli",
}
ROOMS: dict[str, set[str]] = {room: set(below.split()) for room, below in EDGES.items()}

WAITRESS_ROOM = "server"
# Packages that may be missing, each imported in one file of a room.
EXTRAS = {"auth/crypto.py": "cryptography", "webhooks/ed25519.py": "cryptography"}
_OBJECT_STORES = {name: {"obstore"} for name in ("object_store", "s3", "gs", "az")}
DRIVERS = {"postgresql_libpq": {"psycopg"}, **_OBJECT_STORES}
# Files that several schemes have in common.
SHARED_BY_BACKENDS = {
    "object_store": {"s3", "gs", "az"},
    "group_commit": {"sqlite_writers", "postgresql_writers"},
    "postgresql": {"postgres"},
}
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_TESTED_ELSEWHERE = 20  # modules of tests/tested_elsewhere.txt; the number only goes down


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def room_of(path: Path) -> str:
    """The room of a file: the folder or module right below minihttp/."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, int, str, str]]:
    """(line, level, module, name) of every import in a file, wherever it stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, node.level, node.module or "", alias.name


def target_room(path: Path, level: int, module: str, name: str) -> str:
    """The room that a relative import reaches; "" for the package itself."""
    base = path.relative_to(PACKAGE).parts[:-1]
    parts = [*base[: len(base) - (level - 1)], *filter(None, module.split(".")), name]
    return parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in ROOMS, f"{room} has no place in the house: add it to ROOMS and to ARCHITECTURE.md"
    for line, level, module, name in imports(path):
        if level == 0:
            top = module.partition(".")[0]
            extra = EXTRAS.get(path.relative_to(PACKAGE).as_posix())
            allowed = (
                top in sys.stdlib_module_names or top == extra or (top, room) == ("waitress", WAITRESS_ROOM)
            )
            # tomllib is stdlib from 3.11 on, _sha256 is _sha2 from 3.12 on; type checkers bring
            # typing_extensions, nothing else loads it
            others = ("tomllib", "_sha2", "_sha256", "typing_extensions")
            assert allowed or top in others, f"{path}:{line} imports {module}"
        else:
            reached = target_room(path, level, module, name)
            if reached == "__version__":
                continue
            assert reached == room or reached in ROOMS[room], (
                f"{path}:{line}: {room} may not import {reached}"
            )


def test_the_law_knows_every_room() -> None:
    there = {room_of(path) for path in FILES} - {"__init__"}
    assert there <= set(ROOMS)
    drawing = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    for room in there - {"__main__"}:
        assert f"{room}/" in drawing or f"{room}.py" in drawing, f"ARCHITECTURE.md does not show {room}"


def used_edges() -> dict[str, set[str]]:
    edges: dict[str, set[str]] = {room_of(path): set() for path in FILES}
    for path in FILES:
        reached = {target_room(path, *where) for _, *where in imports(path) if where[0]}
        edges[room_of(path)] |= reached - {room_of(path), "__version__"}
    del edges["__init__"]
    return edges


def test_every_listed_edge_is_used_and_goes_down() -> None:
    floors = list(ROOMS)
    assert used_edges() == ROOMS
    for room, below in ROOMS.items():
        assert all(floors.index(other) < floors.index(room) for other in below), room


def test_a_class_name_means_one_thing() -> None:
    """A Protocol and what fits it may have the same name."""
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
                rooms.setdefault(node.name, set()).add(room_of(path))
    twice = {name for name, where in rooms.items() if len(where) > 1 and name[0] != "_"}
    assert not twice


def own_names(paths: Iterable[Path]) -> set[str]:
    """What is defined in these files: functions, classes, attributes of self, names that are assigned."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def test_no_room_reads_the_private_names_of_another() -> None:
    rooms: dict[str, list[Path]] = {}
    for path in FILES:
        rooms.setdefault(room_of(path), []).append(path)
    private = {
        room: {n for n in own_names(paths) if n[0] == "_" and n[:2] != "__"} for room, paths in rooms.items()
    }
    for room, paths in rooms.items():
        foreign = set().union(*(names for other, names in private.items() if other != room)) - private[room]
        for path in paths:
            for node in ast.walk(tree(path)):
                read = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
                if read and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                    assert node.attr not in foreign, f"{path}:{node.lineno} reads {node.attr} of another room"
            for line, level, module, name in imports(path):
                is_private = level and name[:1] == "_" and name[:2] != "__"
                same = is_private and target_room(path, level, module, name) == room
                assert not is_private or same, f"{path}:{line} imports {name} of another room"


@pytest.mark.parametrize("path", sorted(STORAGE.glob("*.py")), ids=lambda p: p.name)
def test_backends_know_nobody(path: Path) -> None:
    for line, level, module, name in imports(path):
        top = module.partition(".")[0]
        scheme = path.stem.partition("_")[0]
        family = level == 1 and (
            module.partition("_")[0] == scheme  # several files, one backend
            or path.stem in SHARED_BY_BACKENDS.get(module or name, ())
        )
        assert level == 0 or family, f"{path}:{line}: a backend imports no other backend"
        allowed = family or top in sys.stdlib_module_names or top in DRIVERS.get(path.stem, set())
        assert allowed, f"{path}:{line} imports {module}"


def test_nothing_asks_which_engine_it_is() -> None:
    """The Protocols say what an engine can; only what opens one, and the command line, read its name."""
    schemes = {path.stem for path in STORAGE.glob("*.py")}
    for path in FILES:
        if room_of(path) == "cli" or path == PACKAGE / "app" / "backends.py":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Compare):
                compared = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                assert not compared & schemes, f"{path}:{node.lineno} asks for {compared & schemes}"


def test_no_circles_between_modules() -> None:
    """No module knows itself by way of others, not by the names of types either (imports inside functions
    are deferred on purpose).
    """
    names = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in FILES}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = set()
        body = tree(path).body
        for node in [*body, *(inner for top in body if isinstance(top, ast.If) for inner in top.body)]:
            if isinstance(node, ast.ImportFrom) and node.level:
                base = path.relative_to(PACKAGE).parts[:-1]
                parts = [*base[: len(base) - (node.level - 1)], *filter(None, (node.module or "").split("."))]
                for alias in node.names:
                    for candidate in (".".join([*parts, alias.name]), ".".join(parts)):
                        if candidate in names:
                            graph[name].add(candidate)
                            break
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circle: {' -> '.join([*trail, name])}"
        if name in done:
            return
        for other in graph[name]:
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_the_package_by_itself_imports_nothing() -> None:
    program = "import sys; before = set(sys.modules); import minihttp; print(*set(sys.modules) - before)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"minihttp", "__future__"}


def test_the_router_alone_imports_no_database() -> None:
    program = """
import sys
before = set(sys.modules)  # what this machine's Python loads on its own
import minihttp
minihttp.HttpRouter()
minihttp.Response.json({})
print(*set(sys.modules) - before)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "minihttp.http.router" in loaded
    unwanted = {"sqlite3", "waitress", "asyncio", "email", "urllib.request", "http.client", "minihttp.data"}
    assert not unwanted & set(loaded)


def test_a_request_that_is_only_routed_loads_little() -> None:
    program = """
import sys
before = set(sys.modules)  # what this machine's Python loads on its own
from minihttp import App, HttpRouter, Response
http = HttpRouter()
http.route(path="/x", method="GET", handler=lambda ctx, request: Response("ok"))
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "HTTP_HOST": "a"}
assert b"".join(App(http)(environ, lambda status, headers: None)) == b"ok"
print(*set(sys.modules) - before)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "minihttp.app.system_routes" in loaded, "the check of taken paths comes before the first reply"
    unwanted = [f"minihttp.{name}" for name in ("app.function_api", "app.loader", "app.services", "values")]
    unwanted += [
        "hashlib",
        "random",
        "difflib",
        "http",
        "math",
        "pathlib",
        "logging",
        "traceback",
        "urllib.parse",
        "tempfile",
        "dataclasses",
        "sqlite3",
        "encodings.utf_16_be",
    ]
    assert not loaded.intersection(unwanted)


def test_nothing_makes_requests_to_the_outside() -> None:
    """SSRF by construction: no HTTP client below the command line (webhooks send and --forward are the user's
    wish).
    """
    for path in FILES:
        if room_of(path) == "cli" or path.relative_to(PACKAGE).as_posix() == "auth/fetch.py":
            continue
        for line, level, module, name in imports(path):
            called = f"{module}.{name}"
            assert level or not called.startswith(("urllib.request", "http.client")), f"{path}:{line}"


def test_every_file_says_its_licence() -> None:
    for path in [*FILES, *STORAGE.glob("*.py")]:
        assert path.read_text("utf-8").startswith("# SPDX-License-Identifier: MIT\n"), path


def test_what_is_called_slow_is_there() -> None:
    for named in SLOW:
        file, _, function = named.partition("::")
        text = (ROOT / file).read_text("utf-8")
        assert not function or f"def {function}(" in text, named


def modules_elsewhere() -> dict[str, str]:
    lines = (ROOT / "tests" / "tested_elsewhere.txt").read_text("utf-8").splitlines()
    rows = [line.split() for line in lines if line and line[0] != "#"]
    return dict(rows)


def own_test(module: str) -> str:
    """The name of its own test file, wherever below the tests of its room."""
    path = Path(module)
    return f"test_{(path.parent if path.stem == '__init__' else path).stem.strip('_')}.py"


def own_tests(module: str) -> list[Path]:
    package, *folders = Path(module).parts[:-1]
    room = ROOT.joinpath("tests", *folders[:1] if package == "minihttp" else [package])
    found = room.rglob(own_test(module)) if room != ROOT / "tests" else room.glob(own_test(module))
    return list(found)


def needs_tests(path: Path) -> bool:
    """A provider or a backend that somebody adds breaks no test; a package may say only what it is."""
    body = tree(path).body
    is_provider = any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SCHEME" for node in body
    )
    is_backend = path.parent == STORAGE and "_" not in path.stem
    return len(body) > 1 and not is_provider and not is_backend


def test_every_module_has_its_own_tests_or_says_where_they_are() -> None:
    modules = {f"minihttp/{path.relative_to(PACKAGE).as_posix()}": path for path in FILES}
    modules |= {f"storage_backends/{path.name}": path for path in STORAGE.glob("*.py")}
    elsewhere = modules_elsewhere()
    for name, path in modules.items():
        assert own_tests(name) or name in elsewhere or not needs_tests(path), (
            f"{name} has no tests: write {own_test(name)}"
        )
    for name, test in elsewhere.items():
        assert name in modules and (ROOT / test).is_file(), f"tests/tested_elsewhere.txt: {name} {test}"
        assert not own_tests(name), f"{name} has tests of its own: strike it from tests/tested_elsewhere.txt"
    assert len(elsewhere) <= MAX_TESTED_ELSEWHERE, "the list shrinks: give the new module a test file"


CITED = re.compile(r"[\w./-]*\w\.md\b")  # a document; what begins with a host is a page elsewhere


def test_documents_that_are_cited_are_here() -> None:
    """In docstrings, comments and pages; CHANGELOG.md tells of what was."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for path in [*FILES, *STORAGE.glob("*.py"), *pages]:
        if path.name == "CHANGELOG.md":
            continue
        for cited in CITED.findall(path.read_text("utf-8")):
            elsewhere = (
                "." in cited.removeprefix("./").split("/")[0].removesuffix(".md") and "//" not in cited
            )
            places = (ROOT / cited.lstrip("/"), ROOT / "docs" / cited, path.parent / cited)
            assert any(place.is_file() for place in places) or elsewhere, f"{path} cites {cited}"


# Pages whose lines are still longer; the set only shrinks.
LONG_LINES = {
    "CHANGELOG.md",
    "docs/backup.md",
}


def prose(text: str) -> Iterator[str]:
    """The lines of a page without code, tables and what cannot be broken."""
    in_code = False
    for line in text.splitlines():
        in_code ^= line.lstrip().startswith("```")
        if not in_code and line[:1] != "|" and " " in line.strip():
            yield line


def test_lines_of_pages_are_short() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        long = [line for line in prose(path.read_text("utf-8")) if len(line) > 120]
        assert not long or path.relative_to(ROOT).as_posix() in LONG_LINES, f"{path}: {long[0]}"
