"""Several runs in one command (`-m`), and the table that it ends with.

1. Before the first job, Hydra's callback makes a `Sweep`: the list of jobs, and a folder for their records.
2. Every job is a separate command, `sweep.at_once` of them at a time, so an error or an out-of-memory kill ends only
   that run, and multi-process runs work as usual. A job is a local process or, with launcher=slurm, the script of a
   Slurm job (`ilm.cli.slurm`).
3. Every job notes its run and how it ended in <folder>/<number>.json; everything else is in the run's status.json.
4. `end_sweep` waits, prints and stores one row per job, and returns the exit code.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.utils import get_method
from omegaconf import DictConfig

from ilm.cli.help import checked
from ilm.cli.slurm import SlurmQueue, job_options, job_script
from ilm.cli.sweep_table import COLUMNS, Job, label, print_total, row
from ilm.config.train import Train
from ilm.errors import UserError
from ilm.files import atomic_file, read_json, write_json
from ilm.hardware import STOP_SIGNALS, end_with_parent, is_first_process, share, visible_gpus
from ilm.tables import TextTable, printable

RECORD = "ILM_JOB_RECORD"
POLL_SECONDS = 0.1

_sweep: "Sweep | None" = None


@dataclass
class Sweep:
    """The jobs of one command, in its main process."""

    folder: Path
    jobs: list[Job]
    dry: bool
    gpus: list[str]
    gpus_per_job: int
    at_once: int
    queue: SlurmQueue | None = None
    stopped_by: int | None = None

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.process is not None and job.process.poll() is None]

    def start(self, number: int, overrides: Sequence[str], launcher: Any, trainer: Any) -> None:
        """Start job `number`, once earlier stages have ended and a slot is free.

        `launcher` and `trainer` are sections of its configuration.

        Raises: SystemExit: 128 + signal after a signal, once local jobs have ended; 2 if Slurm rejects the job.
        """
        job = self.jobs[number]
        if self.dry and (alike := next((other for other in self.jobs[:number] if _same_cost(other, job)), None)):
            write_json(job.record, {**alike.noted, "name": None})
            return
        self.wait_until(
            lambda: len(self.running) < self.at_once and all(other.stage == job.stage for other in self.running)
        )
        log = (self.folder / f"{number}.log").absolute() if self.at_once > 1 or self.queue is not None else None
        where = f", log {log}" if log else ""
        print(f"\n[{number + 1}/{len(self.jobs)}] {label(job, self.jobs)}{where}", file=sys.stderr, flush=True)
        command = [sys.executable, os.path.abspath(sys.argv[0]), *overrides, "hydra.mode=RUN"]
        if self.queue is not None:
            self._submit(job, command, launcher, trainer, log)  # type: ignore[arg-type]  # a queue has logs
        else:
            self._start_here(job, command, log)
        if self.at_once == 1:
            self.wait_until(lambda: not self.running)
        if self.dry and log and log.exists():
            print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr, flush=True)

    def _start_here(self, job: Job, command: Sequence[str], log: Path | None) -> None:
        job.place = next(place for place in range(self.at_once) if place not in {job.place for job in self.running})
        own = share(job.place, self.at_once, self.gpus, self.gpus_per_job)
        with open(log or os.devnull, "ab") as file:
            job.process = process = subprocess.Popen(  # type: ignore[call-overload]  # options in a dictionary
                command,
                env={**os.environ, **own, RECORD: str(job.record)},
                # Otherwise Ctrl-C in a terminal would reach it twice, which means to stop at once.
                start_new_session=True,
                preexec_fn=end_with_parent,
                **({"stdout": file, "stderr": subprocess.STDOUT} if log else {}),
            )
        if self.stopped_by is not None:
            process.send_signal(self.stopped_by)

    def _submit(self, job: Job, command: Sequence[str], launcher: Any, trainer: Any, log: Path) -> None:
        name, script = label(job, self.jobs), log.with_suffix(".sh")
        script.write_text(job_script(command, {RECORD: str(job.record.absolute())}, launcher), encoding="utf-8")
        try:
            options = [*job_options(launcher, trainer), f"--job-name={name}", f"--output={log}"]
            job.process = self.queue.submit(script, options, name)  # type: ignore[union-attr]
        except UserError as error:  # Hydra would continue with the next job
            print(f"error: {printable(str(error))}", file=sys.stderr)
            raise SystemExit(2) from error
        print(f"Slurm job {job.process.number}", file=sys.stderr, flush=True)

    def on_signal(self, received: int, frame: Any) -> None:
        """Forward a signal to the local jobs: they save, or on a second signal end at once. Slurm jobs continue."""
        self.stopped_by = received
        for job in self.running if self.queue is None else []:
            job.process.send_signal(received)  # type: ignore[union-attr]  # a process of this machine

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait; raises SystemExit after a signal, once local jobs have ended."""
        while self.stopped_by is None and not reached():
            time.sleep(POLL_SECONDS)
        if self.stopped_by is not None:
            while self.queue is None and self.running:
                time.sleep(POLL_SECONDS)
            raise SystemExit(128 + self.stopped_by)

    def exit_code(self) -> int:
        """128 + the signal that stopped the sweep, else that of the first failed job, else 0."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return next((job.exit_code for job in self.jobs if job.exit_code), 0)


class SweepCallback(Callback):
    """Hydra's callback: makes the `Sweep` before its first job, once all its jobs pass `require`."""

    def __init__(self, require: str):
        self.require = require  # dotted name of a function of the settings, imported only in a sweep

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        global _sweep
        loader = GlobalHydra.instance().config_loader()
        parameters = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
        try:
            overrides = OverridesParser.create(config_loader=loader).parse_overrides(
                [*parameters, *config.hydra.overrides.task]
            )
            stages = Plugins.instance()._instantiate(config.hydra.sweeper).split_arguments(overrides, None)  # type: ignore[attr-defined]  # all sweepers have it
        except (HydraException, UserError):
            return  # the sweeper itself will report it
        combinations = [(stage, one) for stage, jobs in enumerate(stages) for one in jobs]
        _require_all(config, [one for _, one in combinations], get_method(self.require))
        folder = Path(config.hydra.sweep.dir)
        queue = SlurmQueue() if config.hydra.runtime.choices["hydra/launcher"] == "slurm" else None
        gpus = [] if config.trainer.accelerator == "cpu" or queue is not None else visible_gpus()
        devices = config.trainer.devices
        gpus_per_job = devices if isinstance(devices, int) and devices > 0 else max(1, len(gpus))
        possible = max(1, len(gpus) // gpus_per_job) if queue is None else len(combinations)
        at_once = 1 if config.dry_run else config.sweep.at_once or possible
        jobs = [
            Job(number, list(one), folder / f"{number}.json", stage=stage)
            for number, (stage, one) in enumerate(combinations)
        ]
        _sweep = Sweep(folder, jobs, config.dry_run, gpus, gpus_per_job, at_once, queue)
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, _sweep.on_signal)


def _require_all(config: DictConfig, combinations: Sequence[Sequence[str]], require: Callable[[Train], object]) -> None:
    """Check all jobs of a sweep before the first one starts.

    Raises: SystemExit after printing the errors. Hydra turns other exceptions of callbacks into warnings.
    """
    errors: dict[str, list[str]] = {}
    common = set.intersection(*map(set, combinations)) if len(combinations) > 1 else set()
    for one in combinations:
        job = GlobalHydra.instance().config_loader().load_sweep_config(config, list(one))
        try:
            require(checked(job, Train))
        except UserError as error:
            errors.setdefault(str(error), []).append(" ".join(part for part in one if part not in common))
    if errors:
        for message, jobs in errors.items():
            print(f"error: {', '.join(jobs)}: {printable(message)}", file=sys.stderr)
        print("nothing was started", file=sys.stderr)
        raise SystemExit(2)


def start_job(settings: DictConfig) -> bool:
    """In the main process of a sweep, start the job that Hydra has reached; False in a single run and in a job."""
    if _sweep is None:
        return False
    config = HydraConfig.get()
    options = [override for override in config.overrides.hydra if override.startswith("hydra.searchpath=")]
    options += ["--config-name", config.job.config_name or ""] if config.job.config_name != config.job.name else []
    folders = [s.path for s in config.runtime.config_sources if s.provider == "command-line"]
    options += [part for path in folders for part in ("--config-dir", path)]
    _sweep.start(config.job.num, [*options, *config.overrides.task], config.launcher, settings.trainer)
    return True


def is_recorded() -> bool:
    """Whether this process is a job of a sweep."""
    return RECORD in os.environ


def was_requeued() -> bool:
    """Whether a scheduler restarted this job: it then resumes its run instead of overwriting it again."""
    if is_recorded():
        path = Path(os.environ[RECORD])
        return path.exists() and "folder" in read_json(path)
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def note(**values: Any) -> None:
    """Record for the sweep's table `name`, `folder`, `finished_before`, `error`, `exit_code`, `cost` of this job.

    Does nothing outside a sweep.
    """
    if is_recorded() and is_first_process():
        path = Path(os.environ[RECORD])
        write_json(path, {**(read_json(path) if path.exists() else {}), **values})


def end_sweep() -> int:
    """Wait for the sweep's jobs, print and store its table, and return the exit code; 0 if there is no sweep."""
    global _sweep
    sweep, _sweep = _sweep, None
    if sweep is None:
        return 0
    import pandas as pd  # imported late, so that mistyped commands fail fast

    with suppress(SystemExit):  # `exit_code` returns the same
        sweep.wait_until(lambda: not sweep.running)
    rows = [row(job, sweep.jobs) for job in sweep.jobs]
    if sweep.dry:
        print_total(sweep.jobs)
        _remove(sweep)
    elif any(job.noted or job.process for job in sweep.jobs):
        errors = [f"{label(job, sweep.jobs)}: {job.noted['error']}" for job in sweep.jobs if job.noted.get("error")]
        table = TextTable(None, COLUMNS, rows, "ll" + "r" * (len(COLUMNS) - 2))
        with atomic_file(sweep.folder / "runs.csv") as temporary:
            pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False)
        print("", table.markdown(), *errors, f"the table: {sweep.folder / 'runs.csv'}", sep="\n", flush=True)
        if sweep.queue is not None and (left := [str(getattr(job.process, "number", "")) for job in sweep.running]):
            print(f"the jobs continue; `scancel {' '.join(left)}` ends them", flush=True)
        if any(line[1] not in ("finished", "finished before") for line in rows):
            print("repeat the command to resume what is not finished", flush=True)
    else:
        _remove(sweep)  # rejected before its first job
    return sweep.exit_code()


def _same_cost(a: Job, b: Job) -> bool:
    """Whether two runs differ only in seed or draw."""
    of_a, of_b = ({o for o in job.overrides if not o.startswith(("seed=", "data.draw="))} for job in (a, b))
    return of_a == of_b


def _remove(sweep: Sweep) -> None:
    """Remove the sweep's folder, and its parents up to `experiments/.sweeps` if they are empty."""
    shutil.rmtree(sweep.folder, ignore_errors=True)
    for path in (sweep.folder.parent, sweep.folder.parent.parent):
        with suppress(OSError):
            path.rmdir()
