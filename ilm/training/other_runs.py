"""Finished runs that a run is measured against: the specialist it is matched with, the model it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.hashing import digest, file_sha256
from ilm.runs.finder import TrainedModel, find_models

# What such a run has in common with this one, beside the model and the masks.
ALIKE = ("objective", "seed")


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
    folder = run.folder.model
    files = {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))}
    return Start(run.name, folder, run.settings["token_store"], digest(files))


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
    """The one finished run that the key `option` means: a level, a run, or a folder; of several the plain one.

    A run told by its level, and any where `strict`, has this run's objective, masks and seed; all have its model.

    Raises: UserError if none fits, or several do.
    """
    path = Path(wanted)
    folder = path.parent if path.name == "model" and not (path / "run.json").exists() else path
    try:
        found = find_models(experiments, corpus, [str(folder)])
    except UserError as error:
        raise UserError(f"{option}={wanted}: {error}. It takes a finished run on these documents.") from error
    by_level = wanted in (*corpus.manifest["settings"]["levels"], "all")
    keys = (*ALIKE, "masks") if strict or by_level else ()
    differences = {run.name: _differences(run, settings, masks, keys) for run in found}
    alike = [run for run in found if not differences[run.name]]
    if not alike:
        lines = "; ".join(f"{name} has {', '.join(lines)}" for name, lines in differences.items())
        raise UserError(
            f"{option}={wanted}: no finished run fits this one: {lines}. Train one, or give this one's name."
        )
    plain = [run for run in alike if run.settings.get("experiment_name") is None]
    if len(alike) > 1 and len(plain) != 1:
        names = ", ".join(run.name for run in alike)
        raise UserError(f"{option}={wanted} could be {names}: give the name of one of them, {option}={alike[0].name}")
    return alike[0] if len(alike) == 1 else plain[0]


def _differences(run: TrainedModel, settings: Mapping[str, Any], masks: str, keys: tuple[str, ...]) -> list[str]:
    theirs, ours = run.settings, {**settings, "masks": masks}
    lines = [
        f"model.{key}={theirs['model'][key]} instead of {ours['model'][key]}"
        for key in ours["model"]
        if theirs["model"][key] != ours["model"][key]
    ]
    theirs = {**theirs, "masks": run.family["masks"]}
    return lines + [f"{key}={theirs[key]} instead of {ours[key]}" for key in keys if theirs[key] != ours[key]]
