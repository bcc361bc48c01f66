"""Entry-point plumbing: exit codes, error messages, --help, jobs of a sweep."""

import logging
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ilm.cli.help import CONF, chosen_options, help_text
from ilm.cli.interrupts import imported
from ilm.cli.mistakes import message_of, require_no_dashes
from ilm.cli.sweep import end_sweep, note
from ilm.cli.sweep_table import STOPPED_BY_SIGNAL
from ilm.errors import UserError
from ilm.files import denied
from ilm.hardware import is_first_process, processes_started, started_by
from ilm.tables import printable

log = logging.getLogger("ilm")

EXIT_USER_ERROR = 2


def entry_point(main: Callable[[], Any]) -> None:
    """Run a Hydra main function; a user error is a message on stderr and exit code 2, without a traceback.

    A sweep always ends with its table, and with the exit code of the first failed job.
    """
    # Otherwise Hydra prints its own shortened tracebacks and hides the original exception.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    _print_anything()
    imported()
    try:
        with denials_explained():
            if {"-h", "--help"} & {*sys.argv[1:]}:
                print(help_text(_command(), sys.argv[1:]))
                return
            require_no_dashes(_command())
            _require_one_process(_command())
            try:
                main()
            finally:
                code = end_sweep()
            if code:
                sys.exit(code)
    except (UserError, HydraException, OmegaConfBaseException) as error:
        _exit_with(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def composed(command: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorator: Hydra calls the main function with the configuration of conf/COMMAND.yaml."""
    return hydra.main(version_base="1.3", config_path=str(CONF), config_name=command)


def console_command() -> None:
    """The installed `ilm-train` etc.: runs the script of that name, which is beside conf/ in a wheel too."""
    name = Path(sys.argv[0]).stem.removeprefix("ilm-")
    runpy.run_path(str(CONF.parent / f"{name}.py"), run_name="__main__")


def _require_one_process(command: str) -> None:
    """Raises: UserError if torchrun or srun started several processes of a command that is not parallel."""
    if command != "train" and (started := processes_started()) > 1:
        error = UserError(
            f"{started_by()} started {started} processes of {command}.py, each of which would do all the work: start "
            f"one (srun --ntasks=1), or do not use {started_by()}"
        )
        error.reported = not is_first_process()
        raise error


def _print_anything() -> None:
    """Print characters that the terminal's encoding lacks as escape sequences, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def job() -> Iterator[dict[str, str | None]]:
    """Context for the work of one Hydra job; yields the selected options of Hydra's groups.

    A user error, or a file without room or permission, ends a single run at once. A job of a sweep notes how it ended;
    in a sweep without notes, Hydra continues after an exception and raises the first one at the end.
    """
    single = HydraConfig.get().mode == RunMode.RUN
    note(exit_code=None, error=None)  # overwrites those of a requeued job
    try:
        with denials_explained():
            yield chosen_options(HydraConfig.get())
        note(exit_code=0)
    except SystemExit as stop:
        if stop.code in STOPPED_BY_SIGNAL:
            note(exit_code=stop.code)
        raise
    except UserError as error:
        note(exit_code=EXIT_USER_ERROR, error=str(error))
        if single:
            _exit_with(error)
        log.error("error: %s", error)
        error.reported = True
        raise
    except Exception as error:
        note(exit_code=1, error=" ".join([f"{type(error).__name__}:", *str(error).strip().splitlines()[:1]]))
        raise


@contextmanager
def denials_explained() -> Iterator[None]:
    """Raise a UserError in place of an error for lack of room or permission, or for something in the way."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (why := denied(error)) is None:
            raise
        raise UserError(
            f"{why}. Make room, change the permissions or remove what is in the way, and type the same command again; "
            "or type another paths.data=..., paths.experiments=... or paths.results=..."
        ) from error


def _exit_with(error: Exception) -> None:
    if not (isinstance(error, UserError) and error.reported):
        print(f"error: {printable(message_of(error, _command()))}", file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)


def _command() -> str:
    return Path(sys.argv[0]).stem
