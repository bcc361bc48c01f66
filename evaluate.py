"""Evaluate trained models: `python evaluate.py cefr=A1`, or without it every model on every level."""

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ilm.config import Evaluate, check, plain
from ilm.evaluation.task import evaluate_perplexity
from ilm.runs import entry_point, job, set_up_logging


def evaluate(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> pd.DataFrame:
    """Evaluate as configured; `choices` are Hydra's chosen options by group, of which `cefr` chooses models."""
    check(cfg, Evaluate, choices)
    set_up_logging()
    return evaluate_perplexity(plain(cfg), (choices or {}).get("cefr"))


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    with job():
        evaluate(cfg, HydraConfig.get().runtime.choices)


if __name__ == "__main__":
    entry_point(main)
