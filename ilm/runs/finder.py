"""Finding models: finished runs by level, name, folder or pattern, and any other folder with an infilling model."""

import glob
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.models.loading import load_tokenizer, pretrained_model, require_rows
from ilm.runs.folder import RunFolder

log = logging.getLogger("ilm")
GPT2_ENTRIES = 50_257


@dataclass(frozen=True)
class TrainedModel:
    """A finished run: `settings` is its resolved configuration, `level` what it was trained on (A1, ..., all)."""

    name: str
    folder: RunFolder
    settings: dict[str, Any]

    @property
    def level(self) -> str:
        return self.settings["cefr_level"]["name"]

    @property
    def seed(self) -> int | None:
        return self.settings["seed"]

    @property
    def objective(self) -> str:
        return self.settings["objective"]

    @property
    def masking(self) -> dict[str, Any] | None:
        """The plain `ilm.config.Masking` of its training."""
        return self.settings["masking"]

    @property
    def family(self) -> dict[str, Any]:
        """What the models of one table share: all that differs between them is their level and seed."""
        model = self.settings["model"]
        return {
            "model": model["name"] or Path(model["path"]).name,
            "objective": self.objective,
            "masking": self.settings["masking"]["name"],
            "experiment": self.settings.get("experiment_name"),
            "masks": self.folder.record["identity"]["data.masks"],
        }

    def record(self) -> dict[str, Any]:
        """What a report keeps of it."""
        return {"settings": self.settings, "status": self.folder.status}

    def token_store(self, vocabulary: Vocabulary) -> str:
        """The readable part of the name of its token stores."""
        return self.settings["token_store"]

    def load(self) -> tuple[PreTrainedModel, Vocabulary]:
        """The exported model, float32, in evaluation mode, and its vocabulary."""
        return _load(self.folder.model)


@dataclass(frozen=True)
class ModelFolder:
    """A folder with an infilling model and nothing about its training: an exported one, or one of the reference's.

    It has the attributes of a `TrainedModel`; the objective has to be told, the masking is not known.
    """

    name: str
    path: Path
    objective: str
    seed: None = None
    masking: None = None

    @property
    def level(self) -> str:
        return self.name

    @property
    def family(self) -> dict[str, Any]:
        return {"model": None, "objective": self.objective, "masking": None, "experiment": None, "masks": None}

    def record(self) -> dict[str, Any]:
        return {"folder": str(self.path)}

    def token_store(self, vocabulary: Vocabulary) -> str:
        return "gpt2" if vocabulary.base_size == GPT2_ENTRIES else f"vocabulary{vocabulary.base_size}"

    def load(self) -> tuple[PreTrainedModel, Vocabulary]:
        return _load(self.path)


def is_model_folder(name: str) -> bool:
    """Whether `name` is a folder with a model that is no run of ours."""
    return (Path(name) / "config.json").is_file() and not (Path(name) / "run.json").exists()


def holds_model(folder: Path) -> bool:
    """Whether a folder holds a model in Hugging Face's format, its files of weights as long as they should be."""
    weights = list(folder.glob("*.safetensors"))
    try:
        for file in weights:
            with safe_open(file, "pt"):
                pass  # opening it compares its length with what its header says
    except (SafetensorError, OSError):
        return False
    return bool(weights) and (folder / "config.json").is_file()


def model_folders(names: Sequence[str], objective: str) -> list[ModelFolder]:
    """Folders of models trained on `objective`, each named by its last part, or by its path if others are named so."""
    paths = list(dict.fromkeys(map(Path, names)))
    # `experiments/NAME/model` is told by NAME.
    short = [f"{p.parent.name}/{p.name}" if p.name in ("model", "reference") else p.name for p in paths]
    return [
        ModelFolder(name if short.count(name) == 1 else str(path), path, objective)
        for name, path in zip(short, paths, strict=True)
    ]


def _load(folder: Path) -> tuple[PreTrainedModel, Vocabulary]:
    model, vocabulary = pretrained_model(str(folder)), Vocabulary.of_trained(load_tokenizer(str(folder)))
    require_rows(model, vocabulary, folder)
    return model.eval(), vocabulary


def find_models(
    experiments: Path, corpus: PreparedCorpus, wanted: Sequence[str] | None, level: str | None = None
) -> list[TrainedModel]:
    """The finished runs on this corpus, sorted by name.

    `wanted` names levels, runs, folders or patterns (None: every finished run below `experiments`); `level` keeps the
    models of that level only.

    Raises: UserError if a name finds nothing, a named run is unfinished or of other data, or nothing is left.
    """
    if wanted is None:
        folders = sorted(path.parent for path in Path(experiments).glob("*/run.json"))
        found = [run for folder in folders if (run := _finished(folder, corpus, named=False)) is not None]
    else:
        found = [run for name in wanted for run in _named(name, Path(experiments), corpus)]
    models = {run.folder.path.resolve(): run for run in found if level is None or run.level == level}
    if found and wanted is not None and not models:
        names = ", ".join(run.name for run in found)
        raise UserError(f"models: none of {names} is of level {level}. Give models=[...] or cefr={level}, not both")
    if not models:
        of_level = f" of level {level}" if level else ""
        raise UserError(
            f"No finished model{of_level} trained on {corpus.name} (documents {corpus.documents_hash}) is in "
            f"{experiments}. Train one: python train.py {corpus_arguments(corpus.name)} cefr={level or 'A1'}"
        )
    return sorted(models.values(), key=lambda run: run.name)


def _named(name: str, experiments: Path, corpus: PreparedCorpus) -> list[TrainedModel]:
    if name in (*corpus.manifest["settings"]["levels"], "all"):
        return find_models(experiments, corpus, None, level=name)
    is_pattern = any(character in name for character in "*?[")
    paths = sorted(map(Path, glob.glob(str(experiments / name)) or glob.glob(name)))
    folders = [path for path in paths if (path / "run.json").is_file()]
    if not folders:
        there = ", ".join(sorted(path.parent.name for path in experiments.glob("*/run.json"))) or "none"
        raise UserError(f"models: {name!r} is no level, run, folder or pattern of runs. Runs in {experiments}: {there}")
    return [run for folder in folders if (run := _finished(folder, corpus, named=not is_pattern)) is not None]


def _finished(folder: Path, corpus: PreparedCorpus, named: bool) -> TrainedModel | None:
    """The run in `folder` if it is finished and of this corpus; for one that was `named`, UserError says why not."""
    run = RunFolder(folder)
    state = run.status.get("state", "not begun")
    identity = run.record["identity"]
    documents = identity.get("data.documents")
    if state == "finished" and documents == corpus.documents_hash:
        return TrainedModel(folder.name, run, run.config)
    reason = (
        f"{folder} is {state}, not finished: the command that trained it goes on with it"
        if documents == corpus.documents_hash
        else f"{folder} was trained on other documents ({documents}) than those prepared now ({corpus.documents_hash})"
    )
    if named:
        raise UserError(reason)
    if identity.get("corpus.name") == corpus.name:
        log.warning("left out: %s", reason)
    return None
