"""Commands as typed, each in a process forked from one that has already imported the libraries.

Importing them takes seconds in every new Python. A test that needs a fresh process (to interrupt the imports, or as
libraries read its environment on import) uses `tests.conftest.run_command` instead.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from hydra.core.global_hydra import GlobalHydra
from pytorch_lightning.strategies.launchers import subprocess_script

from ilm.cli import sweep
from tests.conftest import REPOSITORY, environment

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.conftest", "tests.preloaded"])  # conftest first: fewer garbage collections


class Forked:
    """An entry point running in its own session, from the folder `cwd`. It prints to files, or to a `terminal`.

    `stdin`: a file or named pipe for it to read; None: empty. `fork_jobs`: the jobs of a sweep, and the other ranks
    that Lightning starts, are forked as well.
    """

    def __init__(
        self,
        cwd: Path,
        script: str,
        *arguments: str,
        terminal: str | None = None,
        stdin: Path | None = None,
        fork_jobs: bool = False,
        **env: str,
    ):
        self._folder = tempfile.TemporaryDirectory()
        files = [terminal or f"{self._folder.name}/{name}" for name in ("out", "err")]
        self.process = _server.Process(
            target=_run, args=(files, stdin, cwd, [str(REPOSITORY / script), *arguments], environment(**env), fork_jobs)
        )
        self.process.start()
        self.pid: int = self.process.pid

    @property
    def returncode(self) -> int | None:
        """As in subprocess: None while it runs, negative if a signal ended it."""
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def line(self, number: int, seconds: float = 60) -> str:
        """Wait for line `number` of its output, from 0."""
        end = time.monotonic() + seconds
        while (text := self._printed("out")).count("\n") <= number:
            if time.monotonic() > end or self.returncode is not None:
                raise TimeoutError(f"no line {number} within {seconds} s: {text}{self._printed('err')}")
            time.sleep(0.01)
        return text.split("\n")[number]

    def wait(self, seconds: float = 240) -> subprocess.CompletedProcess:
        """Wait for its end; returns what it printed."""
        self.process.join(seconds)
        if self.returncode is None:
            self.process.kill()
            raise TimeoutError(f"still running after {seconds} s")
        return subprocess.CompletedProcess(self.process.name, self.returncode, *map(self._printed, ("out", "err")))

    def _printed(self, name: str) -> str:
        file = Path(self._folder.name) / name
        return file.read_text(encoding="utf-8") if file.exists() else ""


def run_forked(cwd: Path, script: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    """Run an entry point as a user would, from the folder `cwd`."""
    return Forked(cwd, script, *arguments, **options).wait()


def _run(
    printed: list[str], stdin: Path | None, cwd: Path, command: list[str], env: dict[str, str], fork_jobs: bool
) -> None:
    os.setsid()
    if stdin is not None:
        os.dup2(os.open(stdin, os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for number, file in enumerate(printed, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY), number)
    os.chdir(cwd)
    if fork_jobs:
        sweep.subprocess = subprocess_script.subprocess = SimpleNamespace(Popen=_ForkedJob)
    _execute(command, env)


def _execute(command: Sequence[str], env: dict[str, str]) -> None:
    """Run a script in this process as a new Python would."""
    os.environ.clear()
    os.environ.update(env)
    torch.set_num_threads(int(env["OMP_NUM_THREADS"]))  # read on import, so too early
    sys.argv, sys.path[:0] = [*command], [str(REPOSITORY), *env["PYTHONPATH"].split(":")]
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):  # nohup ignores some
        signal.signal(number, signal.SIG_DFL)
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


class _ForkedJob:
    """What a sweep and Lightning use of `subprocess.Popen`, for jobs and ranks that print where their parent does."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: dict[str, str],
        cwd: str | None = None,
        start_new_session: bool = False,
        preexec_fn: Callable[[], None] | None = None,
    ):
        self._process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(command, env, cwd or os.getcwd(), start_new_session, preexec_fn)
        )
        self._process.start()
        self.pid: int = self._process.pid
        self.send_signal = partial(os.kill, self.pid)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    @staticmethod
    def _run(
        command: Sequence[str],
        env: dict[str, str],
        cwd: str,
        start_new_session: bool,
        preexec_fn: Callable[[], None] | None,
    ) -> None:
        os.chdir(cwd)
        if start_new_session:
            os.setsid()
        if preexec_fn is not None:
            preexec_fn()
        sweep._sweep = None
        GlobalHydra.instance().clear()
        _execute(command[1:], env)
