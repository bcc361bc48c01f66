"""The models in memory: one least-recently-used cache for the terminal, JSON lines and the page."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from ilm.infilling.infiller import Infiller
from ilm.infilling.mixture import Filler, Mixture, Specialists
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")


class ModelCache:
    """Infillers by model, at most `max_loaded`: to load another one, the least recently used is evicted first.

    A model whose files have changed is loaded again. One thread may call `get`, any may look.
    """

    def __init__(self, load: Callable[[TrainedModel], Infiller], max_loaded: int):
        self._load, self.max_loaded = load, max_loaded
        # By folder, with the time in nanoseconds at which the folder was last changed.
        self._entries: OrderedDict[Path, tuple[Infiller, int]] = OrderedDict()
        self._fingerprints: dict[Path, str] = {}

    def __contains__(self, model: TrainedModel) -> bool:
        return model.path in self._entries

    def fingerprint(self, model: TrainedModel) -> str | None:
        """Of the files that a model was last read from; None if it never was."""
        return self._fingerprints.get(model.path)

    def get(self, model: TrainedModel) -> Infiller:
        """The model's Infiller, from its files if it is not in memory.

        Raises: UserError as `Infiller.of` does.
        """
        key, modified = model.path, model.path.stat().st_mtime_ns
        if key in self._entries and self._entries[key][1] != modified:
            del self._entries[key]
        if key not in self._entries:
            while len(self._entries) >= self.max_loaded:
                evicted = next(iter(self._entries))
                del self._entries[evicted]
                gc.collect()
                log.debug("%s is evicted to load %s", evicted, model.name)
            self._entries[key] = self._load(model), modified
            self._fingerprints[key] = model.fingerprint()
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def get_all(self, models: Sequence[TrainedModel | Specialists]) -> dict[str, Filler]:
        """The Infillers of several models by name, and the mixture of those in memory."""
        return {
            model.name: Mixture({member.name: self.get(member) for member in model.members}, model.temperature)
            if isinstance(model, Specialists)
            else self.get(model)
            for model in models
        }
