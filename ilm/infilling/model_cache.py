"""Which models fill the blanks, by level, run or folder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.infilling.folders import OBJECTIVE, infilling_folder
from ilm.infilling.infiller import Infiller
from ilm.runs.finder import find_models, model_folders

log = logging.getLogger("ilm")


def find_folders(settings: Mapping[str, Any], names: Sequence[str] | None, level: str | None = None) -> dict[str, Path]:
    """The folders of models by name, in the order of `names`: folders as they are, other names among the corpus's runs.

    `settings` is a plain `ilm.config.Infill`; `names` None takes every finished run, `level` those of that level only.
    A folder's name is its last part, or its path where two have the same.

    Raises: UserError for a name that finds nothing, or if there is none.
    """
    if names is not None and not names:
        raise UserError("models=[] names no model: type models=[A1], or leave it out for every finished run")
    given = [name for name in names or () if name == settings["model_path"] or _is_folder(Path(name))]
    short = dict(zip(dict.fromkeys(given), model_folders(given, OBJECTIVE), strict=True))
    found: dict[str, Path] = {}

    def add(name: str, path: Path) -> None:
        taken = name in found and found[name].resolve() != path.resolve()
        found[str(path) if taken else name] = path

    for name in [None] if names is None else names:
        if name in short:
            add(short[name].name, Path(name))
            continue
        corpus = PreparedCorpus.open(Path(settings["paths"]["data"]) / settings["corpus"]["name"])
        runs = find_models(Path(settings["paths"]["experiments"]), corpus, name and [name], level)
        # Of a level all runs were found; those of another objective fill no blanks, and say so when alone.
        usable = [run for run in runs if run.settings["objective"] == OBJECTIVE] or runs
        for run in [run for run in runs if run not in usable]:
            log.warning("left out: %s fills no blanks, its objective is %s", run.name, run.settings["objective"])
        for run in usable:
            add(run.name, run.folder.path)
    return found


def _is_folder(path: Path) -> bool:
    """Whether a name is the path of a model or run, of whatever corpus."""
    return any((path / file).is_file() for file in ("config.json", "run.json"))


class Models:
    """The models that fill: of those given last none is read again.

    `settings` is a plain `ilm.config.Infill`.
    """

    def __init__(self, settings: Mapping[str, Any]):
        self._settings = settings
        self._held: dict[tuple[Path, int], Infiller] = {}

    def load(self, names: Sequence[str] | None, level: str | None = None) -> dict[str, Infiller]:
        """The models in the folders that `find_folders` finds, by name.

        Raises: UserError as `find_folders` and `Infiller.from_pretrained` do.
        """
        found, held = {}, {}
        for name, path in find_folders(self._settings, names, level).items():
            folder, _ = infilling_folder(path)
            # A model that was trained anew has a folder of a later time.
            key = folder.resolve(), folder.stat().st_mtime_ns
            if key not in held:
                held[key] = self._held.get(key) or self._read(path)
            found[name] = held[key]
        self._held = held
        return found

    def _read(self, path: Path) -> Infiller:
        return Infiller.from_pretrained(path, self._settings["device"], self._settings["dtype"])
