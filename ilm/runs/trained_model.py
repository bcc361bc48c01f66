"""A trained model in a folder, and what is known about its training."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedModel

from ilm.config.sections import Masking
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.examples.conditions import stored_condition
from ilm.examples.vocabulary import Vocabulary
from ilm.hashing import digest, file_sha256, model_fingerprint
from ilm.models.loading import load_tokenizer, pretrained_model, require_rows
from ilm.runs.folder import RunFolder
from ilm.runs.identity import REPLICATES

INFILLING = "ilm"  # the objective whose models fill blanks
GPT2_ENTRIES = 50_257
PLAIN_MASKING = "hierarchical"


@dataclass(frozen=True)
class TrainedModel:
    """A model in a folder: from a finished run, or of unknown training (exported, or from the reference).

    `path`: weights and tokenizer in Hugging Face format. `run` and `settings` are None if the training is unknown;
    `objective` is then assumed.
    """

    name: str
    path: Path
    objective: str = INFILLING
    run: RunFolder | None = None
    settings: Train | None = None

    def trained(self) -> tuple[RunFolder, Train]:
        """Its run and settings; only for a model of a run."""
        assert self.run is not None, self.name
        assert self.settings is not None
        return self.run, self.settings

    @property
    def folder(self) -> Path:
        """The folder users name: that of the run, or of the model."""
        return self.path if self.run is None else self.run.path

    @property
    def level(self) -> str:
        """The level it was trained on (A1, ..., all); its name if unknown."""
        return self.name if self.settings is None else self.settings.cefr_level.name

    @property
    def seed(self) -> int | None:
        return None if self.settings is None else self.settings.seed

    @property
    def recipe(self) -> str:
        """A digest of what all runs of one model share; these differ only in `replicate`."""
        # A matched run's validation interval follows from its steps, which depend on the run matched with each seed.
        follows = ("validation.every_n_steps",) if self.identity.get("data.matched") else ()
        return digest({key: value for key, value in self.identity.items() if key not in (*REPLICATES, *follows)})

    @property
    def replicate(self) -> tuple[int, int]:
        """Seed and draw, which distinguish runs of one model."""
        _, settings = self.trained()
        return settings.seed, settings.data.draw

    @property
    def masking(self) -> Masking | None:
        return None if self.settings is None else self.settings.masking

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The run's identity; empty for a model of unknown training."""
        return {} if self.run is None else self.run.identity

    @property
    def documents_hash(self) -> str | None:
        """The documents hash of its training corpus."""
        return self.identity.get("data.documents")

    @property
    def corpus_name(self) -> str | None:
        return self.identity.get("corpus.name")

    @property
    def is_plain(self) -> bool:
        """Whether it is the default run of its level: no experiment, adapter or other masking."""
        _, settings = self.trained()
        return self.identity.get("experiment_name") is None and settings.masking.name == PLAIN_MASKING

    @property
    def family(self) -> dict[str, Any]:
        """What the models of one table share; they differ in level, seed and draw only."""
        if self.run is None:
            return {"model": None, "objective": self.objective, "masking": None, "experiment": None, "masks": None}
        _, settings = self.trained()
        return {
            "model": settings.model.label,
            "objective": self.objective,
            "masking": settings.masking.name,
            "experiment": self.identity.get("experiment_name"),
            "masks": self.identity["data.masks"],
        }

    def record(self) -> dict[str, Any]:
        """Its entry in a report."""
        if self.run is None:
            return {"folder": str(self.folder)}
        run, settings = self.trained()
        return {"settings": settings.model_dump(), "status": run.status}

    def token_store(self, vocabulary: Vocabulary) -> str:
        """The readable part of its token stores' names."""
        if self.run is not None:
            return self.identity["token_store"]
        return "gpt2" if vocabulary.base_size == GPT2_ENTRIES else f"vocabulary{vocabulary.base_size}"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its vocabulary. Raises: UserError if it has no tokenizer, or one without infilling tokens."""
        return Vocabulary.of_trained(load_tokenizer(str(self.path)))

    @cached_property
    def condition(self) -> dict[str, list[str]]:
        """The fields it is conditioned on (`CONDITIONS`), with their known values; empty if unconditioned."""
        return stored_condition(AutoConfig.from_pretrained(str(self.path)))

    @property
    def mask_types(self) -> tuple[str, ...]:
        return self.vocabulary.mask_types

    def fingerprint(self) -> str:
        """A digest of its current files."""
        return model_fingerprint(self.path)

    @cached_property
    def weights(self) -> str:
        """A digest of its weights alone, recorded by runs that start from them (`init_from`)."""
        return digest({path.name: file_sha256(path) for path in sorted(self.path.glob("*.safetensors"))})

    def load_base(self) -> PreTrainedModel:
        """The pretrained model that its run started from, in float32."""
        of = self.trained()[1].model
        return pretrained_model(of.location, package=of.package, gguf_file=of.gguf_file)

    def load(self) -> tuple[PreTrainedModel, Vocabulary]:
        """The model in float32 and evaluation mode, and its vocabulary."""
        model = pretrained_model(str(self.path))
        require_rows(model, self.vocabulary, self.path)
        return model.eval(), self.vocabulary

    def require_trained_on(self, corpus: PreparedCorpus) -> None:
        """Raises: UserError unless it comes from a run on the documents of this corpus."""
        if self.run is None:
            raise UserError(f"{self.folder} is not a run: its training data are unknown; give the name of a run")
        if self.documents_hash != corpus.documents_hash:
            raise UserError(
                f"{self.folder} was trained on other documents ({self.documents_hash}) than those prepared now "
                f"({corpus.documents_hash})"
            )

    def require_infilling(self) -> None:
        """Raises: UserError for a model of another objective, or without infilling tokens."""
        if self.objective != INFILLING:
            raise UserError(
                f"{self.folder} was trained with objective={self.objective}, but filling blanks needs a model with "
                f"objective={INFILLING}. Train one: python train.py objective={INFILLING}"
            )
        self.vocabulary  # noqa: B018  # reads and checks it


def holds_model(folder: Path) -> bool:
    """Whether a folder holds a model in Hugging Face format with complete weight files."""
    weights = list(folder.glob("*.safetensors"))
    try:
        for file in weights:
            with safe_open(file, "pt"):
                pass  # opening compares the file size with the header
    except (SafetensorError, OSError):
        return False
    return bool(weights) and (folder / "config.json").is_file()


def model_in(path: Path) -> TrainedModel:
    """The model in a run folder, in its subfolder `model`, or in any folder in Hugging Face format.

    Raises: UserError if the folder does not exist, holds no model, or belongs to an unfinished run.
    """
    if not path.is_dir():
        raise UserError(f"The model folder {path} does not exist. Give a run's folder, such as experiments/NAME.")
    folder = path.parent if path.name == "model" else path
    if not (run := RunFolder(folder)).has_begun:
        if not (path / "config.json").is_file():
            raise UserError(f"{path} holds no model. Give a run's folder, or one with a model in Hugging Face format.")
        # NAME/model is called NAME, and so is a folder exported in the reference's format.
        return TrainedModel(
            f"{path.parent.name}/{path.name}" if path.name in ("model", "reference") else path.name, path
        )
    if (state := run.state) != "finished":
        raise UserError(f"{folder} is {state}, not finished: repeat its training command to resume it")
    settings = run.settings
    return TrainedModel(folder.name, run.model, settings.objective, run, settings)
