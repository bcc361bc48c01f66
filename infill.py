"""Fill blanks in texts: `python infill.py models=[A1]`, then type "She ate [ngram] for _."."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
import sys

import hydra
from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import chosen_options, entry_point, job
from ilm.config import Infill, check


def infill(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> None:
    """Fill blanks as configured; `choices` are Hydra's chosen options by group, of which `cefr` chooses models."""
    settings = check(cfg, Infill, choices)
    # Only now: torch takes seconds, and a typing mistake is told at once.
    from ilm.infilling.browse import work_through
    from ilm.infilling.jsonl import fill_lines, lines_of, open_lines
    from ilm.infilling.model_cache import Models, find_folders
    from ilm.infilling.sampling import DecodingSettings
    from ilm.infilling.terminal import Terminal, is_dialogue, terminal_console
    from ilm.infilling.texts import is_table

    set_up_logging()
    decoding = DecodingSettings(**settings["decoding"], seed=settings["seed"])
    names = settings["models"] if settings["model_path"] is None else [settings["model_path"]]
    if settings["web"]:
        from ilm.infilling.web.server import serve_folders

        folders = find_folders(settings, names, (choices or {}).get("cefr"))
        serve_folders(folders, decoding, settings["device"], settings["dtype"], **settings["server"])
        return
    models = Models(settings)
    infillers = models.load(names, (choices or {}).get("cefr"))
    file, at_terminal = settings["input"], is_dialogue()
    if file is not None and (at_terminal or settings["n_masks"] is not None or is_table(file)):
        work_through(settings, infillers, decoding, models.load)
    elif at_terminal:
        Terminal(infillers, decoding, models.load, terminal_console()).run()
    else:
        with open_lines(file) as stream:
            fill_lines(lines_of(stream), infillers, decoding, sys.stdout)


@hydra.main(version_base="1.3", config_path="conf", config_name="infill")
def main(cfg: DictConfig) -> None:
    with job():
        infill(cfg, chosen_options())


if __name__ == "__main__":
    entry_point(main)
