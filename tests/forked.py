"""Commands as they are typed, each in a process forked from one that has imported the libraries already.

Importing them takes seconds in every new Python. A test whose command must begin with that (it is interrupted then, or
the libraries read its environment) starts one instead: `tests.conftest.run_command`.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import REPOSITORY, environment

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["ilm.training.fit", "ilm.training.dry_run", "ilm.infilling.browse", "tensorboard"])


class Forked:
    """An entry point under way in a session of its own, from the folder `cwd`; it prints to files."""

    def __init__(self, cwd: Path, script: str, *arguments: str, **env: str):
        self._folder = tempfile.TemporaryDirectory()
        self.process = _server.Process(
            target=_run, args=(self._folder.name, cwd, REPOSITORY / script, arguments, environment(**env))
        )
        self.process.start()
        self.pid: int = self.process.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess tells it: None while it runs, negative if a signal ended it."""
        return self.process.exitcode

    def wait(self, seconds: float = 240) -> subprocess.CompletedProcess:
        """Its end, with all that it printed."""
        self.process.join(seconds)
        if self.returncode is None:
            self.process.kill()
            raise TimeoutError(f"not ended within {seconds} s")
        printed = [(Path(self._folder.name) / name).read_text(encoding="utf-8") for name in ("out", "err")]
        return subprocess.CompletedProcess(self.process.name, self.returncode, *printed)


def run_forked(cwd: Path, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    """Run an entry point as a user would, from the folder `cwd`."""
    return Forked(cwd, script, *arguments, **env).wait()


def _run(folder: str, cwd: Path, script: Path, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv, sys.path[:0] = [str(script), *arguments], [str(script.parent), *env["PYTHONPATH"].split(":")]
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_path(str(script), run_name="__main__")
