"""What `pip install` of a built wheel brings: the package, conf/, the data files, the sweeper, the commands."""

import subprocess
import sys
import zipfile
from email.parser import Parser

import pytest

from ilm.cli.help import help_text
from tests.conftest import CONF, REPOSITORY, environment

COMMANDS = ("prepare", "train", "evaluate", "infill")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel of the files that git knows, built without network."""
    source, folder = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("ilm", "hydra_plugins", "conf"):
        (source / name).symlink_to(REPOSITORY / name)
    for path in [*REPOSITORY.glob("*.py"), *(REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE"))]:
        (source / path.name).symlink_to(path)
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=source,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(*folder.glob("*.whl"))


def test_it_carries_every_file_of_the_package_and_of_the_configuration(wheel):
    ignored = ("__pycache__",)
    package = {
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "ilm").rglob("*")
        if path.is_file() and not any(part in ignored for part in path.parts)
    }
    configuration = {f"ilm/commands/conf/{path.relative_to(CONF)}" for path in CONF.rglob("*.yaml")}
    commands = {f"ilm/commands/{name}.py" for name in COMMANDS}
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    plugins = {f"hydra_plugins/{path.name}" for path in (REPOSITORY / "hydra_plugins").glob("*.py")}
    assert found == package | configuration | commands | plugins


def test_it_has_a_command_for_each_script_and_the_licence(wheel):
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    entries = wheel.read(f"{info}/entry_points.txt").decode().splitlines()
    assert {line.partition(" = ")[0] for line in entries if " = " in line} == {f"ilm-{name}" for name in COMMANDS}
    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "MIT"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_an_installed_command_is_the_script(wheel, tmp_path):
    """In an empty folder, from the unpacked wheel alone: --help and the message of a mistake are the script's."""
    wheel.extractall(tmp_path / "site")
    code = "import sys; sys.argv[0] = '/bin/ilm-train'; from ilm.cli.main import console_command; console_command()"

    def typed(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(tmp_path / "site")),
            capture_output=True,
            text=True,
            check=False,
        )

    assert typed("--help").stdout == help_text("train", []) + "\n"
    mistaken = typed("cefr=A9")
    assert mistaken.returncode == 2
    assert "A9" in mistaken.stderr
    assert "Traceback" not in mistaken.stderr
