"""House rules that no single module can keep: who may import whom, what is loaded when, how long a module may be."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

import ilm
from tests.conftest import REPOSITORY, environment

PACKAGE = REPOSITORY / "ilm"
MODULES = sorted(PACKAGE.rglob("*.py"))
ENTRY_POINTS = [REPOSITORY / name for name in ("prepare.py", "train.py", "evaluate.py", "infill.py")]
ENTRY_POINTS = [path for path in ENTRY_POINTS if path.exists()]

# In the order in which data flows: a room imports from those before it, and from the foundation.
ROOMS = ("config", "cli", "corpus", "masking", "examples", "reference", "models", "runs", "training", "infilling")
ROOMS = (*ROOMS, "evaluation")
FOUNDATION = ("errors", "files", "hashing", "hardware", "progress", "tables")
# Rooms that meet only through finished runs.
APART = {"infilling": {"training"}, "evaluation": {"training"}}
HEAVY = ("torch", "transformers", "pytorch_lightning")
WITHOUT_HEAVY = (*FOUNDATION, "config", "cli", "corpus", "masking", "reference")
# In a room without: models need it, and what prepare.py uses of the room does not.
HEAVY_MODULES = ("reference/models.py",)

NAMES = {
    ".".join(("ilm", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in MODULES
}
LONGEST = 300


def test_the_python_api_has_its_names():
    """Imported only on use: the tests below import `ilm` with the entry points, and find no torch."""
    for name in ilm._MODULES:
        assert getattr(ilm, name).__name__ == name
    with pytest.raises(AttributeError):
        ilm.nothing  # noqa: B018


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(*paths: Path) -> Iterator[tuple[Path, ast.AST]]:
    return ((path, node) for path in paths for node in ast.walk(tree(path)))


@cache
def imports(path: Path, *, top_level_only: bool = False) -> frozenset[str]:
    """The dotted names of all that a module imports, anywhere in it or on its top level only."""
    return frozenset(_imports(path, top_level_only))


def _imports(path: Path, top_level_only: bool) -> Iterator[str]:
    inner = {
        id(node)
        for function in ast.walk(tree(path))
        if top_level_only and isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree(path)):
        if id(node) in inner:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from ilm import runs` names a module, `from ilm.runs.folder import log` a name in one.
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (part if part in NAMES else node.module for part in parts)


def rooms_of(names: Iterable[str]) -> set[str]:
    return {parts[1] for name in names if len(parts := name.split(".")) > 1 and parts[0] == "ilm"} - {"__version__"}


def test_every_module_stands_in_a_known_room():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert rooms <= {*ROOMS, *FOUNDATION}


def allowed_rooms(room: str) -> set[str]:
    if room not in ROOMS:
        return {*FOUNDATION} if room in FOUNDATION else set()
    return ({*FOUNDATION, *ROOMS[: ROOMS.index(room) + 1]} - APART.get(room, set())) | (
        {"examples"} if room == "config" else set()
    )


def test_imports_point_downwards_only():
    upwards = {
        name_of(path): rooms_of(imports(path)) - allowed_rooms(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
        for path in MODULES
    }
    assert not {name: sorted(rooms) for name, rooms in upwards.items() if rooms}


def test_no_module_imports_itself_in_a_circle():
    graph = {name: {*imports(path, top_level_only=True)} & set(NAMES) - {name} for name, path in NAMES.items()}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def light_modules() -> list[str]:
    return [
        name
        for name, path in NAMES.items()
        if name != "ilm" and name.split(".")[1] in WITHOUT_HEAVY and name_of(path) not in HEAVY_MODULES
    ]


def test_no_torch_below_examples():
    """Not even inside a function."""
    assert not [
        name for name in light_modules() if {other.split(".")[0] for other in imports(NAMES[name])} & set(HEAVY)
    ]


def test_light_modules_load_no_torch_transitively():
    code = (
        f"import importlib, sys\nfor name in {[*light_modules(), 'prepare']!r}: importlib.import_module(name)\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_typing_mistakes_are_told_without_libraries_that_take_seconds():
    scripts = ", ".join(path.stem for path in ENTRY_POINTS)
    code = f"import sys, {scripts}; print(*sorted({{'nltk', 'numpy', 'pandas', 'scipy', 'torch'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, env=environment(), check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", ENTRY_POINTS, ids=lambda path: path.name)
def test_entry_points_read_as_a_sentence(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 62


def test_modules_are_short():
    long = {name_of(p) for p in MODULES if len(p.read_text(encoding="utf-8").splitlines()) > LONGEST}
    assert not long


def test_every_package_folder_is_a_package():
    assert {path.parent for path in MODULES} == {path.parent for path in PACKAGE.rglob("__init__.py")}


def test_no_data_file_can_run_code():
    """No pickle, and no torch.load, np.load or Lightning checkpoint that would unpickle anything."""
    for path, node in nodes(*MODULES, *ENTRY_POINTS):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        where = f"{path.name}:{node.lineno}"
        assert (module, node.func.attr) not in {("pickle", "load"), ("pickle", "loads"), ("marshal", "loads")}, where
        assert (module, node.func.attr) not in {("yaml", "unsafe_load"), ("joblib", "load")}, where
        if (module, node.func.attr) == ("yaml", "load"):
            assert "SafeLoader" in ast.unparse(given["Loader"]), where
        if (module, node.func.attr) == ("torch", "load"):
            assert "weights_only" in given, where
            assert given["weights_only"].value is True, where
        if (module, node.func.attr) == ("np", "load"):
            assert "allow_pickle" not in given or given["allow_pickle"].value is False, where
        # A Trainer reads a checkpoint. Evaluation has none, and estimators of scikit-learn read no file.
        if node.func.attr == "fit" and "evaluation" not in path.parts:
            assert given["weights_only"].value is True, where


def test_no_error_is_swallowed():
    """No bare `except:`, and none whose body is `pass` alone."""
    for path, node in nodes(*MODULES):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path.name}:{node.lineno}"
            assert not all(isinstance(part, ast.Pass) for part in node.body), f"{path.name}:{node.lineno}"


def test_configuration_stays_at_the_door():
    """No `cfg` is passed around inside the package: DictConfig is known to ilm.config and ilm.cli alone."""
    others = [path for path in MODULES if not name_of(path).startswith(("config", "cli/"))]
    assert not [name_of(path) for path in others if "omegaconf" in {name.split(".")[0] for name in imports(path)}]


def test_nothing_names_this_workplace():
    """No path of the machine that this was written on."""
    files = [*MODULES, *ENTRY_POINTS, *(REPOSITORY / "conf").rglob("*.yaml")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "/work/" not in text, path
        assert "/root/" not in text, path
