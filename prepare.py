"""Prepare a corpus once for all models: `python prepare.py corpus=efcamdat corpus.csv=PATH`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from ilm.config import Prepare, check
from ilm.corpus.build import extra_folders
from ilm.corpus.division import HeldOut, TrainValidTest
from ilm.corpus.origin import configured_origin, extra_origin
from ilm.corpus.verify import require_sound
from ilm.jobs import entry_point, job, set_up_logging
from ilm.masking.preparation import prepare_corpus


def prepare(cfg: DictConfig) -> Path:
    """Read, split and mask a corpus as configured, and beside it those of `corpus.extra`; returns its folder.

    With `check=true` nothing is prepared: what is there is compared with its manifest.
    """
    settings = check(cfg, Prepare)
    corpus, split = settings["corpus"], settings["split"]
    folder = Path(settings["paths"]["data"]) / corpus["name"]
    set_up_logging()
    if settings["check"]:
        from ilm.examples.verify import verify_tokens  # only now: it imports transformers, which takes seconds
        from ilm.masking.verify import verify_masks

        require_sound(folder, masks=verify_masks, tokens=verify_tokens)
        return folder
    extras = extra_folders(corpus["extra"], folder)
    options = {key: settings[key] for key in ("masking", "num_workers", "preview", "overwrite")}
    origin, division = configured_origin(corpus), TrainValidTest(**split)
    main = prepare_corpus(folder, origin, division, sample_size=corpus["sample_size"], **options)
    for extra, path in extras.items():
        held_out = HeldOut(main.corpus, split["near_duplicates"])
        prepare_corpus(extra, extra_origin(path, corpus), held_out, sample_size=None, **options)
    return folder


@hydra.main(version_base="1.3", config_path="conf", config_name="prepare")
def main(cfg: DictConfig) -> None:
    with job():
        prepare(cfg)


if __name__ == "__main__":
    entry_point(main)
