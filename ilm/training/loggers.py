"""Loggers that keep a resumed run one run, which Lightning's own do not, and leave no empty files.

`ilm.training.fit` calls each with `save_dir` and `purge_step`.
"""

import csv
import importlib.util
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning_fabric.loggers.tensorboard import TensorBoardLogger as PlainTensorBoardLogger
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ilm.errors import UserError
from ilm.files import atomic_file
from ilm.hardware import is_first_process

log = logging.getLogger("ilm")

ID_FILE = "wandb_id.txt"


class MetricsCsv(Logger):
    """metrics.csv: one row per recorded step, one column per metric, in order of first appearance.

    `purge_step`, as in TensorBoard, first drops the rows of that step and later: a run wrote them after its last
    checkpoint and was then killed. A new metric rewrites the file with one more column. A file without its header is
    renamed to damaged-metrics.csv.
    """

    name = version = ""

    def __init__(self, save_dir: str, purge_step: int | None = None):
        super().__init__()
        self.path = Path(save_dir) / "metrics.csv"
        self._columns: list[str] = ["step"]
        self._last: list[tuple[str, set[str]]] = []  # step and metric names of the last rows kept
        if is_first_process() and self.path.exists():
            self._keep_rows(purge_step)

    def _keep_rows(self, purge_step: int | None) -> None:
        with open(self.path, newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), list(reader.fieldnames or [])
        if columns[:1] != ["step"]:
            os.replace(self.path, self.path.with_name("damaged-metrics.csv"))
            return
        self._columns = columns
        # A row truncated by a kill lacks its step or some fields; it is later than the last checkpoint.
        whole = [row for row in rows if row["step"].isdigit() and None not in (*row, *row.values())]
        kept = [row for row in whole if purge_step is None or int(row["step"]) < purge_step]
        self._last = [(row["step"], {key for key, value in row.items() if value}) for row in kept[-2:]]
        self._rewrite(kept)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml holds the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"step": str(step), **{key: repr(float(value)) for key, value in metrics.items()}}
        # An interrupted validation is repeated on resuming. If that run was then killed before its next checkpoint, the
        # row is already here, with the same numbers.
        if (row["step"], set(row)) in self._last:
            return
        new = [key for key in row if key not in self._columns]
        if new or not self.path.exists():
            rows = self._rows()
            self._columns += new
            self._rewrite(rows)
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _rewrite(self, rows: Sequence[Mapping[str, str]]) -> None:
        with atomic_file(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="")
            writer.writeheader()
            writer.writerows(rows)


class TensorBoardEvents(TensorBoardLogger):
    """TensorBoard's event files without its hparams.yaml, since config.yaml holds the configuration."""

    @rank_zero_only
    def save(self) -> None:
        PlainTensorBoardLogger.save(self)


class WeightsAndBiases(WandbLogger):
    """A Weights & Biases run that resumes with the run in `save_dir`, where a file keeps its id.

    With `offline` (or WANDB_MODE=offline) nothing is sent until `wandb sync <save_dir>/wandb/offline-run-*`.
    `purge_step` is ignored: what a killed run logged after its last checkpoint stays beside what the resumed run logs
    again.

    Raises: UserError if wandb is not installed, nobody is logged in, or its server cannot be reached.
    """

    def __init__(
        self,
        save_dir: str,
        purge_step: int | None = None,
        *,
        project: str = "ilm",
        offline: bool = False,
        **options: Any,
    ):
        if importlib.util.find_spec("wandb") is None:
            raise UserError('logger=wandb needs the package wandb: type pip install -e ".[wandb]", or logger=both')
        folder = Path(save_dir)
        file = folder / "config.yaml"
        super().__init__(
            name=folder.name,
            save_dir=save_dir,
            version=_run_id(folder),
            offline=offline,
            project=project,
            settings={"quiet": True},
            config=yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None,
            **options,
        )
        self._wandb_init.pop("anonymous")  # wandb warns about it
        self._connect()

    @rank_zero_only
    def _connect(self) -> None:
        import wandb

        try:
            _ = self.experiment  # connects now instead of at the first metric
        except wandb.errors.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"logger=wandb: {reason} Type `wandb login`, or logger.wandb.offline=true to upload it later."
            ) from error

    @rank_zero_only
    def finalize(self, status: str) -> None:
        try:
            self.experiment.finish()  # so that this process's next run is a separate one there too
        except ConnectionError as error:  # Slurm signals all processes of a job
            log.warning("wandb's background process ended before the run (%s): `wandb sync` uploads the rest", error)


def _run_id(folder: Path) -> str:
    file = folder / ID_FILE
    if not file.exists() and is_first_process():
        with atomic_file(file) as temporary:
            temporary.write_text(secrets.token_hex(8) + "\n", encoding="ascii")
    return file.read_text(encoding="ascii").strip() if file.exists() else ""
