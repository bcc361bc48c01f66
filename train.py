"""Train one infilling model: `python train.py cefr=A1`."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
import logging

from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import composed, entry_point, job
from ilm.cli.sweep import note, start_job, was_requeued
from ilm.config.check import check
from ilm.config.train import Train
from ilm.runs.folder import RunFolder

log = logging.getLogger("ilm")


def train(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> dict[str, float]:
    """Train as configured and export the best model; returns its validation losses.

    The same call resumes an interrupted run, and reports a finished one. `choices`: Hydra's selected options by group.
    """
    settings = check(cfg, Train, choices)
    from ilm.training.prepared import open_prepared  # slow imports come after the checks

    prepared = open_prepared(settings)
    from ilm.training.dry_run import dry_run
    from ilm.training.fit import InfillingModule, fit, is_finished, report
    from ilm.training.plan import plan_run

    set_up_logging()
    if settings.dry_run:
        dry_run(prepared)
        return {}
    plan, anew = plan_run(prepared), settings.overwrite and not was_requeued()
    note(name=plan.name)
    log.info("%s", plan.summary())
    with RunFolder.claimed(plan.path):
        folder = RunFolder.open(plan.path, plan.identity, anew)
        note(folder=str(plan.path.absolute()))  # only now, since the folder of a rejected run is not its own
        if not anew and is_finished(plan, folder):
            log.info("%s is already finished", plan.name)
            note(finished_before=True)
        else:
            module = InfillingModule.of(plan)  # may raise, so before anything is written
            folder.begin(plan.settings, plan.identity, anew)
            set_up_logging(folder.path / "train.log")
            fit(plan, module, folder)
        return report(plan, folder)


@composed("train")
def main(cfg: DictConfig) -> dict[str, float]:
    if start_job(cfg):
        return {}
    with job() as choices:
        return train(cfg, choices)


if __name__ == "__main__":
    entry_point(main)
