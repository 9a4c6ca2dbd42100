# SPDX-License-Identifier: MIT
"""Finds what a person named: a module, a file or a folder.

`find_target` takes what is typed on a command line, `load_package` a folder laid out as in Convex
(`routes.py`, `schema.py`, `crons.py`, and functions in every other module), `load_module` a name. Every
mistake on the way is one `ConfigurationError`: what was looked for, where, and what is near; an exception
inside the user's code shows the user's frames only. Knows nothing of apps, servers, settings or storage.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, NamedTuple

from ..errors import ConfigurationError, did_you_mean
from ..tracebacks import describe, users_frames

_ROUTES = ("routes", "http")  # http.py shadows Python's own package for whoever works inside the folder
_NAMES = ("app", "http")  # what a target without `:name` is searched for, in this order


class Package(NamedTuple):
    """A backend folder, loaded.

    Attributes:
        http: the router that `routes.py` (or `http.py`) exports.
        schema: the `Schema` of `schema.py`, or None.
        crons: the `Crons` of `crons.py`, or None.
        auth: the list of providers that `auth.py` or `auth_config.py` exports, or ().
        modules: every module by its wire name, such as `items` or `admin/users`.
    """

    http: Any
    schema: Any
    crons: Any
    auth: Any
    modules: dict[str, ModuleType]

    @property
    def options(self) -> dict[str, Any]:
        """Those of `App` that the folder says."""
        return {name: value for name, value in self._asdict().items() if name != "http"}


def find_target(target: str) -> Package | tuple[Any, ModuleType]:
    """What `target` names: a backend folder, or an object and the module that it was found in.

    Args:
        target: `module:name`, `module`, `path/to/file.py` (also with `:name`), or a folder that holds
            `routes.py` or `http.py`. Without a name, an `app` is taken, else an `http` router.

    Raises:
        ConfigurationError: nothing is there, or its code raises when imported.
    """
    place, colon, name = target.partition(":")
    if not colon and os.path.isdir(place):
        return load_package(place)
    module = _import_target(place)
    if colon:
        return _attribute(module, name, target), module
    for name in _NAMES:
        if name in vars(module):
            return vars(module)[name], module
    raise ConfigurationError(f"{_label(module)} has no `app` (an App) and no `http` (an HttpRouter)")


def load_package(folder_or_package: str) -> Package:
    """The modules of a backend folder, imported as one package, so that `from . import items` works in them.

    Args:
        folder_or_package: the path of a folder, or the dotted name of a package that can be imported.

    Raises:
        ConfigurationError: there is no such folder, it has no `routes.py` with an `http`, or its code raises.
    """
    if os.path.isdir(folder_or_package):
        package = _import_folder(os.path.realpath(folder_or_package))
    else:
        package = load_module(folder_or_package)
    folders = list(getattr(package, "__path__", ()))
    if not folders:
        raise ConfigurationError(f"{folder_or_package!r} is a single module, not a folder or a package")
    wire_names = _wire_names(folders[0])
    routes = next((name for name in _ROUTES if name in wire_names), None)
    if routes is None:  # before any is imported: in a folder that is no backend they are scripts
        raise ConfigurationError(f"{folders[0]} has no routes.py (or http.py) with `http = HttpRouter()`")
    modules = {n: load_module(f"{package.__name__}.{n.replace('/', '.')}") for n in wire_names}
    if routes == "routes" and "http" not in vars(modules[routes]) and "http" in wire_names:
        routes = "http"  # routes.py is a module of functions, as an older backend may have one
    http = _export(modules[routes], "http")
    schema, crons = (_export(modules.get(name), name) for name in ("schema", "crons"))
    if http is None:
        raise ConfigurationError(f"{_label(modules[routes])} has no `http = HttpRouter()`")
    auth = next(filter(None, (_providers(modules.get(name)) for name in ("auth", "auth_config"))), ())
    return Package(http, schema, crons, auth, modules)


def _import_target(place: str) -> ModuleType:
    if place.endswith(".py"):
        path = os.path.realpath(place)
        if not os.path.isfile(path):
            folder, name = os.path.split(path)
            files = os.listdir(folder) if os.path.isdir(folder) else []
            raise ConfigurationError(
                f"there is no file {place!r} in {os.getcwd()}{did_you_mean(name, files)}"
            )
        return _import_file(path)
    if not re.fullmatch(r"\w[^./]*(\.[^./]+)*", place):
        raise ConfigurationError(f"{place!r} is no module, no .py file and no folder in {os.getcwd()}")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # `python -m` does this, the console script does not
    return load_module(place)


def _import_file(path: str) -> ModuleType:
    folder, name = os.path.dirname(path), os.path.basename(path)[:-3]
    loaded = sys.modules.get(name)
    if (loaded is not None and getattr(loaded, "__file__", None) != path) or name in sys.stdlib_module_names:
        name = "_" + name  # http.py is the name of a module of the standard library
    if name in sys.modules:
        return sys.modules[name]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    return _execute(spec)


def _import_folder(folder: str) -> ModuleType:
    name = re.sub(r"\W", "_", os.path.basename(folder))
    loaded = sys.modules.get(name)
    if loaded is not None:
        if folder in [os.path.realpath(p) for p in getattr(loaded, "__path__", ())]:
            return loaded
        raise ConfigurationError(f"folder {folder} has the name of another module, {name!r}; rename it")
    init = os.path.join(folder, "__init__.py")
    if os.path.isfile(init):
        spec = spec_from_file_location(name, init, submodule_search_locations=[folder])
        assert spec is not None
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [folder]
    return _execute(spec)


def _execute(spec: ModuleSpec) -> ModuleType:
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        if spec.loader is not None:
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        raise _explained(error, spec.name) from None
    return module


def load_module(name: str) -> ModuleType:
    """The module of this name, imported unless it is already.

    Raises:
        ConfigurationError: there is none (with the places searched), or its code raises.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(_not_found(name, error.name)) from None
        raise _explained(error, name) from None
    except BaseException as error:
        raise _explained(error, name) from None


def _explained(error: BaseException, name: str) -> BaseException:
    """What to raise for an exception that left the user's code: KeyboardInterrupt stays itself."""
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, ConfigurationError):
        return type(error)(f"{_where(error)}{error}")
    return ConfigurationError(f"cannot import {name!r}: {describe(error, libraries=False)}")


def _where(error: BaseException) -> str:
    """`file:line: ` of the user's code that raised `error`, or nothing."""
    frames = users_frames(error)
    return f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""


def _not_found(name: str, missing: str) -> str:
    parent, _, leaf = missing.rpartition(".")
    spec = find_spec(parent) if parent else None
    places = _own_folders() if not parent else list(spec.submodule_search_locations or ()) if spec else []
    known = [f[:-3] if f.endswith(".py") else f for p in places if os.path.isdir(p) for f in os.listdir(p)]
    place = ", ".join(places) or f"{parent}, which is no package,"
    return f"no module named {missing!r} in {place} or in the installed packages{did_you_mean(leaf, known)}"


def _own_folders() -> list[str]:
    """What of `sys.path` is neither the standard library, nor installed packages, nor commands."""
    import sysconfig  # 0.8 ms, for this message only

    library = {os.path.dirname(os.__file__), sysconfig.get_path("scripts")}
    folders = dict.fromkeys(path or os.getcwd() for path in sys.path if path not in library)
    installed = ("lib-dynload", "site-packages", "dist-packages", ".zip")
    return [folder for folder in folders if not folder.endswith(installed)]


def _attribute(module: ModuleType, name: str, target: str) -> Any:
    if name not in vars(module):
        near = did_you_mean(name, vars(module))
        raise ConfigurationError(f"{_label(module)} has no {name!r}, which {target!r} names{near}")
    return vars(module)[name]


def _export(module: ModuleType | None, name: str) -> Any:
    if module is None:
        return None
    if name not in vars(module):
        raise ConfigurationError(f"{_label(module)} does not export `{name}`")
    return vars(module)[name]


def _providers(module: ModuleType | None) -> Any:
    """The list `auth` of a module; nothing where that is no list, as in one that imports `minihttp.auth`."""
    found = getattr(module, "auth", None)
    return found if isinstance(found, (list, tuple)) else ()


def _label(module: ModuleType) -> str:
    return os.path.relpath(module.__file__) if module.__file__ else module.__name__


def _wire_names(folder: str) -> list[str]:
    """The modules below `folder` as `name` or `sub/name`, without those that begin with `_` or `test_`."""
    names = []
    for parent, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(s for s in subfolders if s.isidentifier() and not s.startswith("_"))
        for file in sorted(files):
            stem, extension = os.path.splitext(file)
            if extension == ".py" and stem.isidentifier() and not stem.startswith(("_", "test_")):
                names.append(os.path.relpath(os.path.join(parent, stem), folder).replace(os.sep, "/"))
    return names
