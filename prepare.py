"""Prepare a corpus once for all models: `python prepare.py corpus=efcamdat corpus.csv=PATH`."""

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from ilm.config import Prepare, check
from ilm.corpus.build import build_corpus
from ilm.files import read_json
from ilm.jobs import entry_point, job, set_up_logging, usable_cores
from ilm.masking.configured import configured_masks, mask_function
from ilm.masking.preview import stored_previews
from ilm.masking.statistics import statistics_table
from ilm.masking.store import MaskStore, write_masks

log = logging.getLogger("ilm")


def prepare(cfg: DictConfig) -> Path:
    """Read, split and mask a corpus as configured; returns its folder."""
    settings = check(cfg, Prepare)
    folder = Path(settings["paths"]["data"]) / settings["corpus"]["name"]
    function, console = mask_function(settings["masking"]["function"]), Console()
    set_up_logging()
    if settings["corpus"]["synthetic"] and settings["corpus"]["csv"] is None:
        log.warning("NOTE: %s is a SYNTHETIC corpus, to try things out: no results.", settings["corpus"]["name"])
    built = build_corpus(folder, **settings["corpus"], **settings["split"], overwrite=settings["overwrite"])
    # Only now: a faulty file leaves nothing behind, not even a log.
    set_up_logging(folder / "prepare.log")
    masks, masks_folder = configured_masks(built.corpus, settings["masking"])
    if masks_folder.exists():
        log.info("%s holds these masks already", masks_folder)
    else:
        workers = settings["num_workers"] if settings["num_workers"] is not None else usable_cores()
        write_masks(masks_folder, built.corpus.documents, function, masks, workers)
    for table in [*built.tables(), statistics_table(read_json(masks_folder / "statistics.json"))]:
        console.print(table)
    for shown in stored_previews(built.corpus.documents, MaskStore.open(masks_folder), settings["preview"]):
        console.print(shown)
    for guarantee, state in built.split.to_dict()["guarantees"].items():
        log.info("split: %s: %s", guarantee, state)
    log.info("%s is prepared: documents %s, masks %s", folder, built.corpus.documents_hash, masks_folder.name)
    return folder


@hydra.main(version_base="1.3", config_path="conf", config_name="prepare")
def main(cfg: DictConfig) -> None:
    with job():
        prepare(cfg)


if __name__ == "__main__":
    entry_point(main)
