"""Loading the user's script or module.

A script becomes a module with its stem as name, and its folder comes first on ``sys.path``: so a
worker process can import it under the same name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from taskgraph.errors import ScriptLoadError, ScriptNotFoundError


def load_script(script: str) -> ModuleType:
    """Load a script by its path, or a module by its dotted name.

    Raises:
        ScriptNotFoundError: There is neither a file nor a module of this name.
        ScriptLoadError: It raised an exception, or its name is that of another module.
    """
    path = Path(script)
    if path.suffix == ".py" or path.is_file():
        return _load_file(script, path)
    if path.is_dir() and (script.endswith("/") or not _is_module(script)):
        raise ScriptNotFoundError(script, "it is a folder. Name a Python file in it, or a module.")
    if "/" in script:
        raise ScriptNotFoundError(script, "there is no such file.")
    if not _is_module(script):
        raise ScriptNotFoundError(script, "that is the name of no file and of no module.")
    return _load_module(script)


def _is_module(name: str) -> bool:
    """Tell whether a module can be called so: the names before and after each dot are there."""
    return "/" not in name and all(each.strip() for each in name.split("."))


def _load_file(script: str, path: Path) -> ModuleType:
    if not path.is_file():
        import difflib

        nearest = difflib.get_close_matches(path.name, _scripts_in(path.parent), n=1)
        hint = f" Did you mean {str(path.parent / nearest[0])!r}?" if nearest else ""
        raise ScriptNotFoundError(script, f"there is no such file.{hint}")
    path = path.absolute()
    name = path.stem
    _check_name(script, name, path)
    if path.suffix != ".py":
        raise ScriptLoadError(script, "it is not a Python file: its name must end in .py.")
    if sys.path[0:1] != [str(path.parent)]:
        sys.path.insert(0, str(path.parent))
    loader = _FreshLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        # Left in place, half a module would be what a second import finds.
        sys.modules.pop(name, None)
        raise _load_error(script, error) from error
    return module


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time.

    Cached bytecode is told from stale one by size and second: a script that is edited and run
    again at once, as people do, could run as it was and be recorded as it is.
    """

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        code: CodeType = self.source_to_code(source, self.path)
        return code


def _scripts_in(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir() if each.suffix == ".py"]
    except OSError:
        return []


def _check_name(script: str, name: str, path: Path) -> None:
    """Refuse a script that would stand in the way of a module that others import."""
    loaded = sys.modules.get(name)
    is_same = loaded is not None and getattr(loaded, "__file__", None) == str(path)
    if (loaded is not None and not is_same) or name in sys.stdlib_module_names:
        raise ScriptLoadError(
            script, f"a module {name!r} exists already. Give the script another name."
        )
    if "." in name:
        raise ScriptLoadError(script, "a dot in its name cannot be imported. Rename it.")


def _load_module(name: str) -> ModuleType:
    if sys.path[0:1] != [str(Path.cwd())]:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Missing is only what was asked for; what that one misses is an error inside of it.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            hint = f" Did you mean {name}.py?" if Path(name + ".py").is_file() else ""
            raise ScriptNotFoundError(name, f"there is no such file or module.{hint}") from error
        raise _load_error(name, error) from error
    except (Exception, SystemExit) as error:
        raise _load_error(name, error) from error


def _load_error(script: str, error: BaseException) -> ScriptLoadError:
    reason = traceback.format_exception_only(error)[-1].strip()
    return ScriptLoadError(script, reason, format_user_traceback(error))


def format_user_traceback(error: BaseException) -> str:
    """Return a traceback without the frames of taskgraph and of Python's import machinery."""
    shown = traceback.TracebackException.from_exception(error)
    _keep_user_frames(shown)
    return "".join(shown.format())


def _keep_user_frames(shown: traceback.TracebackException) -> None:
    own = str(Path(__file__).parent.parent)
    shown.stack = traceback.StackSummary.from_list(
        [
            frame
            for frame in shown.stack
            if not frame.filename.startswith((own, "<frozen "))
            and not frame.filename.endswith("/importlib/__init__.py")
        ]
    )
    for inner in (shown.__cause__, shown.__context__):
        if inner is not None:
            _keep_user_frames(inner)


__all__ = ["format_user_traceback", "load_script"]
