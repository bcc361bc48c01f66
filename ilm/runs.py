"""Run folders: names, identities, status, versions.

A run lives in experiments/<name>/. Starting the same command again finds the folder, compares the run's identity
(data hashes and all of the configuration that changes the result) and goes on from its last checkpoint; another
identity in the same folder is refused with the differences listed.
"""

import importlib.metadata
import logging
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ilm.config import flat
from ilm.errors import UserError
from ilm.files import (
    DISK_FULL,
    atomic_file,
    host,
    is_alive,
    locked,
    read_object,
    remove_folder,
    remove_strays,
    write_json,
)

log = logging.getLogger("ilm")

PACKAGES = (
    *("torch", "transformers", "tokenizers", "pytorch-lightning", "hydra-core"),
    *("numpy", "pandas", "pyarrow", "nltk"),
)
# Keys that change neither the result nor its meaning; the global batch stands for how it is divided.
NOT_IDENTITY = (
    "paths",
    "logger",
    "callbacks",
    "name",
    # What they come to stands for these: target tokens, weights.
    "match",
    "init_from",
    "dry_run",
    "export_reference",
    "overwrite",
    "checkpoint",
    "sweep",
    "data.num_workers",
    "data.batch_size",
    "data.max_tokens_per_batch",
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    *("trainer.accumulate_grad_batches", "trainer.log_every_n_steps"),
    "data.row_tokens",
    # The hash of the documents stands for these.
    *("corpus.csv", "corpus.sheet", "corpus.reference", "corpus.extra", "corpus.encoding", "corpus.columns"),
    *("corpus.levels", "corpus.max_dropped", "corpus.sample_size", "corpus.synthetic"),
    "cefr_level.max_steps",
)
# A grown run is the longer run, with the validation and the record of its former last step besides.
MAY_GROW = ("trainer.max_steps", "trainer.max_epochs")


def versions() -> dict[str, str]:
    """Versions of Python, the packages that decide numbers, and this repository's commit."""
    found = {"python": platform.python_version()}
    found |= {package: importlib.metadata.version(package) for package in PACKAGES}
    root = Path(__file__).parent.parent
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
        )
        found["commit"] = git.stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        found["commit"] = "unknown"
    return found


def run_name(cfg: Mapping[str, Any], choices: Mapping[str, str | None]) -> str:
    """`<corpus>_<level>_<objective>`, and model, masking, variant and seed where they are not the default."""
    if cfg["name"]:
        return cfg["name"]
    parts = [cfg["corpus"]["name"], cfg["cefr_level"]["name"], cfg["objective"], *_model_parts(cfg["model"])]
    if cfg["masking"]["name"] != "hierarchical":
        parts.append(cfg["masking"]["name"])
    if (variant := run_variant(cfg, choices)) is not None:
        parts.append(variant)
    if cfg["seed"] != 0:
        parts.append(f"s{cfg['seed']}")
    return "_".join(parts)


def run_variant(cfg: Mapping[str, Any], choices: Mapping[str, str | None]) -> str | None:
    """What sets a run apart from the plain one of its level, model, objective and masking; None for that one.

    The experiment, the specialist that it is matched with, the run that it starts from, LoRA, resampled masks.
    """
    experiment = choices.get("experiment")
    parts = [experiment] if experiment and not (cfg["match"] and experiment == "token_matched") else []
    others = (("matched", cfg["match"]), ("from", cfg["init_from"]))
    parts += [f"{key}-{_short_name(run, cfg)}" for key, run in others if run]
    parts += ["lora"] if cfg["adapter"] else []
    parts += ["resampled"] if cfg["masking"]["resample_each_epoch"] else []
    return "_".join(parts) or None


def _short_name(run: str, cfg: Mapping[str, Any]) -> str:
    """Another run, told by its level where its name begins as this run's does; a level is told by itself."""
    path = Path(run)
    name = path.parent.name if path.name == "model" else path.name
    for level in (*cfg["corpus"]["levels"], "all"):
        begin = "_".join((cfg["corpus"]["name"], level, cfg["objective"], *_model_parts(cfg["model"])))
        if name == begin or name.startswith(begin + "_"):
            return level + name.removeprefix(begin).replace("_", "-")
    return name


def _model_parts(model: Mapping[str, Any]) -> list[str]:
    name = model["name"] or Path(model["path"]).name
    return ([name] if name != "gpt2" else []) + (["scratch"] if name != "tiny" and not model["pretrained"] else [])


def run_identity(cfg: Mapping[str, Any], data: Mapping[str, Any], step_size: Mapping[str, int]) -> dict[str, Any]:
    """What must be equal for a run to be the same run: flat keys and values."""
    kept = {
        key: value
        for key, value in flat(cfg)
        if not any(key == excluded or key.startswith(excluded + ".") for excluded in NOT_IDENTITY)
    }
    return {**kept, **step_size, **{f"data.{key}": value for key, value in data.items()}}


class RunFolder:
    """One folder below experiments/: config.yaml, run.json, status.json, checkpoints/, model/, logs.

    `open` finds out whether the run is new, the same as before, or another; `begin` writes what it is.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"

    @classmethod
    @contextmanager
    def claimed(cls, path: Path) -> Iterator[None]:
        """Hold the run folder `path` for this process, and those that work with it on the run.

        Raises: UserError if another process trains there.
        """
        if not is_first_process():
            yield
            return
        status = cls(path).status
        by = f" (process {status['pid']} on {status['host']})" if "pid" in status else ""
        refusal = (
            f"{path} is being trained by another process{by}. Wait until it has ended, or type name=... for a run of "
            "its own."
        )
        with locked(path.with_name(f".{path.name}.lock"), refusal):
            yield

    @classmethod
    def open(cls, path: Path, identity: Mapping[str, Any], overwrite: bool) -> "RunFolder":
        """The folder for a run with this identity: that of the same run begun before, or one that is free.

        Raises: UserError if it holds another run (the differences are listed), a damaged one or something else.
        """
        folder = cls(path)
        record = folder.path / "run.json"
        if not is_first_process():
            return folder
        for place in (path.parent, path):
            remove_strays(place)
        if overwrite and record.exists():
            remove_folder(folder.path)
        if record.exists():
            differences = identity_differences(folder.record["identity"], identity)
            if differences:
                raise UserError(
                    f"{folder.path} holds another run:\n"
                    + "\n".join(f"  - {difference}" for difference in differences)
                    + "\nType the values that are there to go on with that run, name=... for a run of its own, or "
                    "overwrite=true to delete that run and begin anew."
                )
        elif folder.path.exists() and any(folder.path.iterdir()):
            raise UserError(f"{folder.path} exists and is no run folder. Type name=... for another name.")
        status = folder.path / "status.json"
        if status.exists() and read_object(status) is None:
            log.warning("%s is damaged and removed: what it said stands in the checkpoints", status)
            status.unlink()
        return folder

    def begin(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Store the configuration, and beside the commands that began the run before this one, with its versions."""
        if not is_first_process():
            return
        try:
            self._write_down(config, identity)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise UserError(
                f"the disk is full: {self.path} cannot be written. Make room, or type "
                "paths.experiments=... for another."
            ) from error

    def _write_down(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        record = self.path / "run.json"
        commands = self.record["commands"] if record.exists() else []
        commands.append({"command": "python " + shlex.join(sys.argv), "versions": versions()})
        # First, since a folder without it is not taken for a run's.
        write_json(record, {"identity": dict(identity), "commands": commands})
        self.checkpoints.mkdir(exist_ok=True)
        for place in (self.path, self.checkpoints):
            remove_strays(place, all_of_them=True)  # the folder is claimed, so nobody is still at it
        with atomic_file(self.path / "config.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")

    @property
    def record(self) -> dict[str, Any]:
        """The run's `identity`, and the `commands` that it was begun and gone on with.

        Raises: UserError if the file is damaged.
        """
        file = self.path / "run.json"
        found = read_object(file, "identity", "commands")
        if found is None:
            raise UserError(
                f"{file} is damaged, which says what run this is. Put a copy of it back, or type name=... for another "
                "run, or overwrite=true to delete this one and begin anew."
            )
        return found

    @property
    def config(self) -> dict[str, Any]:
        return yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))

    @property
    def status(self) -> dict[str, Any]:
        """The last status written; empty for a run that has not begun, and where the file is damaged."""
        file = self.path / "status.json"
        return (read_object(file) or {}) if file.exists() else {}

    def set_status(self, **values: Any) -> None:
        """Write `values` beside those that are there, with the process that says so and the time."""
        said = {"pid": os.getpid(), "host": host(), "updated": _now()}
        write_json(self.path / "status.json", {"started": _now(), **self.status, **values, **said})

    @property
    def state(self) -> str:
        """planned, running, interrupted, failed or finished; `killed` if it says that it runs, and its process is gone.

        A process of another machine is believed.
        """
        status = self.status
        state = status.get("state", "not begun")
        gone = status.get("host") == host() and not is_alive(status["pid"])
        return "killed" if state in ("planned", "running") and gone else state


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_first_process() -> bool:
    """Whether this process is the one that writes, of those that work together on a run."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    # LOCAL_RANK counts within a node.
    return int(next((rank for rank in ranks if rank is not None), 0)) == int(os.environ.get("NODE_RANK", 0)) == 0


def identity_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, a line each. More steps are no difference under a constant schedule."""
    lines = []
    for key in sorted(set(old) | set(new)):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if key in MAY_GROW and new.get("schedule.shape") == "constant" and _grows(before, now):
            continue
        lines.append(f"{key}: {before!r} there, {now!r} now")
    return lines


def _grows(before: int | None, now: int | None) -> bool:
    unbounded = (None, -1)
    return now in unbounded or (before not in unbounded and now >= before)
