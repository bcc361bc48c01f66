"""Evaluate trained models: `python evaluate.py cefr=A1`, or without it every model on every level."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import composed, entry_point, job
from ilm.config.check import check
from ilm.config.evaluate import Cloze, Evaluate, Forms, Levels, Memorisation, Surprisal

if TYPE_CHECKING:
    import pandas as pd


def evaluate(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> "pd.DataFrame":
    """Evaluate as configured; `choices`: the selected options of Hydra's groups, of which `cefr` selects models."""
    settings = check(cfg, Evaluate, choices)
    set_up_logging()
    # Imported after the checks, since torch takes seconds.
    match settings.task:
        case Cloze() as task:
            from ilm.evaluation.cloze.task import evaluate_cloze

            return evaluate_cloze(settings, task)
        case Forms() as task:
            from ilm.evaluation.forms.task import evaluate_forms

            return evaluate_forms(settings, task)
        case Levels() as task:
            from ilm.evaluation.levels.task import evaluate_levels

            return evaluate_levels(settings, task)
        case Memorisation() as task:
            from ilm.evaluation.memorisation.task import evaluate_memorisation

            return evaluate_memorisation(settings, task)
        case Surprisal() as task:
            from ilm.evaluation.surprisal.task import evaluate_surprisal

            return evaluate_surprisal(settings, task)
        case task:
            from ilm.evaluation.perplexity.task import evaluate_perplexity

            return evaluate_perplexity(settings, task)


@composed("evaluate")
def main(cfg: DictConfig) -> None:
    with job() as choices:
        evaluate(cfg, choices)


if __name__ == "__main__":
    entry_point(main)
