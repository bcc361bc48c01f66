"""Run folders: status, versions, and locking.

A run lives in experiments/<name>/. The same command again finds the folder, compares the run's identity (data hashes
and every setting that affects the result) and resumes from the last checkpoint. A different identity is refused with
a list of differences.
"""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ilm.config.check import read_back
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.files import (
    atomic_file,
    host,
    is_alive,
    locked,
    read_object,
    remove_folder,
    remove_strays,
    require_writable,
    write_json,
)
from ilm.hardware import failing_together, is_first_process
from ilm.runs.identity import identity_differences

# Ten times as fast if PyYAML was built with libyaml; an evaluation reads the settings of every run.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

PACKAGES = (
    *("torch", "transformers", "tokenizers", "pytorch-lightning", "hydra-core"),
    *("numpy", "pandas", "pyarrow", "nltk"),
)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and the packages that affect results, and this repository's commit."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        git = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10)
        commit = git.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), **packages, "commit": commit or "unknown"}


class RunFolder:
    """One folder below experiments/: config.yaml, run.json, status.json, checkpoints/, model/, logs.

    `open` determines whether the run is new, resumed, or another one; `begin` records it.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    @property
    def has_begun(self) -> bool:
        """Whether a run has been started here."""
        return (self.path / "run.json").is_file()

    @classmethod
    @contextmanager
    def claimed(cls, path: Path) -> Iterator[None]:
        """Lock the run folder `path` for the processes of this run, which fail together.

        Raises: UserError if another process is training there.
        """
        if not is_first_process():
            with failing_together():
                yield
            return
        status = cls(path).status
        by = f" (process {status['pid']} on {status['host']})" if "pid" in status else ""
        refusal = (
            f"{path} is being trained by another process{by}. Wait for it to finish, or type name=... for a run of "
            "its own."
        )
        with failing_together(), locked(path.with_name(f".{path.name}.lock"), refusal):
            yield

    @classmethod
    def open(cls, path: Path, identity: Mapping[str, Any], overwrite: bool) -> "RunFolder":
        """The folder for a run with this identity: new, or of the same run started earlier. With `overwrite` it may
        hold another run, which is kept until this one begins.

        Raises: UserError if it holds another run (with the differences), a damaged run, or something else.
        """
        folder = cls(path)
        if not is_first_process():
            return folder
        for place in (path.parent, path):
            remove_strays(place)
        if not folder.has_begun:
            if path.exists() and any(path.iterdir()):
                raise UserError(f"{path} exists but is not a run folder. Type name=... for another name.")
        elif not overwrite and (differences := identity_differences(folder.identity, identity)):
            listed = "".join(f"\n  - {difference}" for difference in differences)
            raise UserError(
                f"{path} holds another run:{listed}\nType its values to resume it, name=... for a separate run, or "
                "overwrite=true to delete it and start over."
            )
        return folder

    def begin(self, settings: Train, identity: Mapping[str, Any], overwrite: bool) -> None:
        """Store settings, identity, this command and its versions; earlier commands of the run are kept.

        `overwrite`: first delete the run in the folder.

        Raises: UserError if the folder cannot be written.
        """
        if not is_first_process():
            return
        for place in (self.path, self.checkpoints):
            require_writable(place, "paths.experiments")
        if overwrite and self.has_begun:
            remove_folder(self.path)
        commands = self.record["commands"] if self.has_begun else []
        commands.append({"command": "python " + shlex.join(sys.argv), "versions": versions()})
        config = yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)
        # Written first, since a folder without it is not recognised as a run.
        write_json(self.path / "run.json", {"identity": dict(identity), "commands": commands})
        self.checkpoints.mkdir(exist_ok=True)
        for place in (self.path, self.checkpoints):
            remove_strays(place, all_of_them=True)  # safe, since the folder is locked
        with atomic_file(self.path / "config.yaml") as temporary:
            temporary.write_text(config, encoding="utf-8")

    @property
    def record(self) -> dict[str, Any]:
        """The run's `identity`, and the `commands` that started and resumed it.

        Raises: UserError if the file is damaged.
        """
        file = self.path / "run.json"
        found = read_object(file, "identity", "commands")
        if found is None:
            raise UserError(
                f"{file}, which identifies this run, is damaged. Restore a copy, or type name=... for another run, or "
                "overwrite=true to delete this one and start over."
            )
        return found

    @property
    def identity(self) -> dict[str, Any]:
        return self.record["identity"]

    @property
    def settings(self) -> Train:
        """The settings the run was trained with.

        Raises: UserError if config.yaml is damaged, or was written by another version of this program.
        """
        file = self.path / "config.yaml"
        try:
            stored = yaml.load(file.read_text(encoding="utf-8"), Loader=_SafeLoader)
            if not isinstance(stored, dict):
                raise ValueError("it has no settings")
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"{file} is damaged: {' '.join(str(error).split())}") from error
        try:
            return read_back(Train, stored)
        except UserError as error:
            raise UserError(
                f"{file} was written by another version of this program: {error}. Train the run again, or fix the "
                "file: delete unknown keys, add missing ones (python train.py --help shows the defaults)"
            ) from error

    @property
    def status(self) -> dict[str, Any]:
        """The last status written; empty if the run has not started or the file is damaged."""
        file = self.path / "status.json"
        return (read_object(file) or {}) if file.exists() else {}

    def set_status(self, **values: Any) -> None:
        """Merge `values` into the status, with this process and the time."""
        said = {"pid": os.getpid(), "host": host(), "updated": _now()}
        write_json(self.path / "status.json", {"started": _now(), **self.status, **values, **said})

    @property
    def state(self) -> str:
        """planned, running, interrupted, failed or finished; `killed` if its process ended without a status.

        Processes on other machines are assumed alive.
        """
        status = self.status
        state = status.get("state", "not begun")
        gone = status.get("host") == host() and not is_alive(status["pid"])
        return "killed" if state in ("planned", "running") and gone else state


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def total_targets(statuses: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Total training targets of finished runs by kind and level, including those of the runs they started from."""
    seen = [status[key] for status in statuses for key in ("targets_seen", "targets_inherited") if status.get(key)]
    return {kind: {level: sum(of[kind][level] for of in seen) for level in seen[0][kind]} for kind in seen[0]}
