"""Finds models by name: one rule for `models`, `match`, `init_from` and `cefr`.

- A run name or folder means that run, whatever corpus it was trained on.
- A level means the plain run of that level on the given corpus: without experiment, adapter or other masking. If there
  is no plain run, it means the only run of the level. Runs that differ only in seed or draw are one model: callers that
  take several models get all of them, others the run with the same seed, else the lowest. Several candidate models are
  an error that lists them.
- A pattern means every finished run it matches.
"""

import glob
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ilm.corpus.store import PreparedCorpus, corpus_arguments
from ilm.errors import UserError
from ilm.runs.folder import RunFolder
from ilm.runs.trained_model import TrainedModel, model_in

log = logging.getLogger("ilm")


# Returns the reasons why a model does not fit.
Unlike = Callable[[TrainedModel], list[str]]


@dataclass(frozen=True)
class Finder:
    """Finds models below `experiments`; levels refer to the corpus prepared in the folder `corpus`. One finder reads
    the runs once: runs that finish later need a new finder.

    `objective`: levels, patterns and "every run" are limited to models of this objective; None: any.
    """

    experiments: Path
    corpus: Path
    objective: str | None = None

    def find(self, names: Sequence[str] | None, level: str | None = None, all_seeds: bool = True) -> list[TrainedModel]:
        """The models that `names` mean, in order, without duplicates; `level` keeps only runs of that level.

        A level means all seeds of its model, or the lowest one. `names=None`: the models that `level` means, or every
        finished run on the corpus. Models with equal names are named by folder.

        Raises: UserError if a name finds nothing or is ambiguous, a named run is not finished, or nothing is left.
        """
        if names is not None and not names:
            raise UserError("models=[] names no model: type models=[A1], or omit it for every finished run")
        asked = names or ([level] if level else [])
        if not asked:
            found = self._runs()
        else:
            found = [model for name in asked for model in self._meant(name, "models", several=all_seeds)]
        kept = [model for model in found if level is None or model.run is None or model.level == level]
        if not kept:
            listed = ", ".join(model.name for model in found)
            raise UserError(
                f"models: none of {listed} is of level {level}. Give models=[...] or cefr={level}, not both"
            )
        models = list({model.path.resolve(): model for model in kept}.values())
        called = [model.name for model in models]
        return [model if called.count(model.name) == 1 else replace(model, name=str(model.folder)) for model in models]

    def find_one(
        self, name: str, option: str, unlike: Unlike = lambda model: [], seed: int | None = None
    ) -> TrainedModel:
        """The single model that `name` means, as typed for the key `option`.

        A level means only runs for which `unlike` returns nothing; among several seeds `seed`, else the lowest.

        Raises: UserError as `find`, if a pattern matches several models, or no run of the level fits.
        """
        found = self._meant(name, option, several=False, unlike=unlike, seed=seed)
        if len(found) > 1:
            raise UserError(_ambiguous(option, name, found))
        return found[0]

    def levels(self) -> list[str]:
        """The corpus's levels that have a finished run, in order."""
        trained = {model.level for model in self._runs()}
        return [level for level in self._prepared.manifest["settings"]["levels"] if level in trained]

    def _folder(self, name: str) -> Path | None:
        """The folder if `name` is a run name or folder."""
        for path in (self.experiments / name, Path(name)):
            if any((path / file).is_file() for file in ("run.json", "config.json")):
                return path
        return None

    @cached_property
    def _prepared(self) -> PreparedCorpus:
        corpus = PreparedCorpus.open(self.corpus)
        corpus.require_splits([])  # raises for test-only corpora
        return corpus

    @cached_property
    def _on_corpus(self) -> list[TrainedModel]:
        """Every finished run on the corpus, of any objective."""
        folders = sorted(path.parent for path in self.experiments.glob("*/run.json"))
        corpora = (self._prepared.name, None)
        named = (path for path in folders if RunFolder(path).identity.get("corpus.name") in corpora)
        return _finished(named, self._prepared)

    def _meant(
        self,
        name: str,
        option: str,
        *,
        several: bool,
        unlike: Unlike = lambda model: [],
        seed: int | None = None,
    ) -> list[TrainedModel]:
        if (folder := self._folder(name)) is not None:
            return [model_in(folder)]
        if "/" in name and not glob.has_magic(name):
            return [model_in(Path(name))]
        if glob.has_magic(name):
            paths = sorted(map(Path, glob.glob(str(self.experiments / name)) or glob.glob(name)))
            found = self._of_objective(_finished(path for path in paths if RunFolder(path).has_begun))
        elif name in (*self._prepared.manifest["settings"]["levels"], "all"):
            found = self._of_level(name, option, several=several, unlike=unlike, seed=seed)
        else:
            found = []
        if not found:
            there = ", ".join(sorted(path.parent.name for path in self.experiments.glob("*/run.json"))) or "none"
            raise UserError(
                f"{option}={name}: {name!r} is not a level, run, folder or pattern of runs. Runs in "
                f"{self.experiments}: {there}"
            )
        log.info("%s=%s: %s", option, name, ", ".join(model.name for model in found))
        return found

    def _of_level(
        self, level: str, option: str, *, several: bool, unlike: Unlike, seed: int | None
    ) -> list[TrainedModel]:
        try:
            runs = self._runs(level)
        except UserError as error:
            raise UserError(f"{option}={level}: {error}") from error
        differences = {run.name: unlike(run) for run in runs}
        alike = [run for run in runs if not differences[run.name]]
        if not alike:
            lines = "; ".join(f"{name} has {', '.join(lines)}" for name, lines in differences.items())
            raise UserError(f"{option}={level}: no finished run matches: {lines}. Train one, or give a run's name.")
        meant = [run for run in alike if run.is_plain] or alike
        if len({run.recipe for run in meant}) > 1 or len({run.replicate for run in meant}) < len(meant):
            raise UserError(_ambiguous(option, level, meant))
        meant = sorted(meant, key=lambda run: (run.seed != seed, run.replicate))
        return meant if several else meant[:1]

    def _runs(self, level: str | None = None) -> list[TrainedModel]:
        """Every finished run on the corpus, sorted by name."""
        corpus = self._prepared
        found = [model for model in self._on_corpus if level in (None, model.level)]
        if not found:
            of_level = f" of level {level}" if level else ""
            raise UserError(
                f"No finished model{of_level} trained on {corpus.name} (documents {corpus.documents_hash}) in "
                f"{self.experiments}. Train one: python train.py {corpus_arguments(corpus.name)} cefr={level or 'A1'}"
            )
        return self._of_objective(found)

    def _of_objective(self, models: list[TrainedModel]) -> list[TrainedModel]:
        kept = [model for model in models if self.objective in (None, model.objective)]
        if models and not kept:
            listed = ", ".join(f"{model.name} ({model.objective})" for model in models)
            raise UserError(
                f"None of these runs has objective={self.objective}: {listed}. Train one: python train.py "
                f"objective={self.objective}"
            )
        for model in models:
            if model not in kept:
                log.warning("skipped %s: its objective is %s, not %s", model.name, model.objective, self.objective)
        return kept


def _finished(folders: Iterable[Path], corpus: PreparedCorpus | None = None) -> list[TrainedModel]:
    """The models of finished runs, trained on `corpus` if given; others are skipped with a warning."""
    found = []
    for folder in folders:
        try:
            model = model_in(folder)
            if corpus is not None:
                model.require_trained_on(corpus)
            found.append(model)
        except UserError as error:
            log.warning("skipped: %s", error)
    return found


def _ambiguous(option: str, name: str, models: Sequence[TrainedModel]) -> str:
    listed = ", ".join(model.name for model in models)
    return f"{option}={name} could be {listed}: give the name of one of them, {option}={models[0].name}"
