"""Finished runs that a run is measured against: the specialist it is matched with, the model it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.hashing import digest, file_sha256
from ilm.runs.finder import Finder
from ilm.runs.trained_model import TrainedModel

# What such a run has in common with this one, beside the model.
ALIKE = ("objective", "masks")


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from: those of the finished run `run`, in `folder`; `weights` is their hash."""

    run: str
    folder: Path
    token_store: str
    weights: str

    def model(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """A plain `ilm.config.Model` that loads these weights instead of those of `model`."""
        return {**model, "path": str(self.folder), "pretrained": True, "tokenizer": None, "package": None}


def starting_point(settings: Mapping[str, Any], masks: str, experiments: Path, corpus: PreparedCorpus) -> Start:
    """The weights that `init_from` of a plain `ilm.config.Train` names.

    Only a run on the same documents will do: the training texts of another could be test texts here.

    Raises: UserError if the run is missing, unfinished, of other documents or another model.
    """
    run = chosen_run("init_from", settings["init_from"], settings, masks, experiments, corpus, strict=False)
    files = {path.name: file_sha256(path) for path in sorted(run.path.glob("*.safetensors"))}
    return Start(run.name, run.path, run.config["token_store"], digest(files))


def chosen_run(
    option: str,
    wanted: str,
    settings: Mapping[str, Any],
    masks: str,
    experiments: Path,
    corpus: PreparedCorpus,
    *,
    strict: bool,
) -> TrainedModel:
    """The one finished run on these documents that the key `option` means (`ilm.runs.finder`).

    A run told by its level, and any where `strict`, has this run's objective and masks; all have its model.

    Raises: UserError if none fits, or several do.
    """

    def unlike(run: TrainedModel, keys: tuple[str, ...] = ALIKE) -> list[str]:
        return _differences(run, settings, masks, keys)

    found = Finder(experiments, corpus.folder).find_one(wanted, option, unlike)
    try:
        found.require_trained_on(corpus)
    except UserError as error:
        raise UserError(f"{option}={wanted}: {error}. It takes a finished run on these documents.") from error
    if differences := unlike(found, ALIKE if strict else ()):
        raise UserError(
            f"{option}={wanted}: no finished run fits this one: {found.name} has {', '.join(differences)}. Train one, "
            "or give this one's name."
        )
    return found


def _differences(run: TrainedModel, settings: Mapping[str, Any], masks: str, keys: tuple[str, ...]) -> list[str]:
    theirs, ours = run.config, {**settings, "masks": masks}
    lines = [
        f"model.{key}={theirs['model'][key]} instead of {ours['model'][key]}"
        for key in ours["model"]
        if theirs["model"][key] != ours["model"][key]
    ]
    theirs = {**theirs, "masks": run.family["masks"]}
    return lines + [f"{key}={theirs[key]} instead of {ours[key]}" for key in keys if theirs[key] != ours[key]]
