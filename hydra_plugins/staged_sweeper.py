"""A sweeper for runs that wait for other runs, `hydra/sweeper=staged`; Hydra finds its plugins in this package.

`stages` are lists of command lines as `train.py -m` takes them. All runs of a stage end before the next one begins, so
a line may name what an earlier stage has trained:

    stages:
      - ["cefr=A1,A2,all"]
      - ["experiment=token_matched match=A1,A2"]

What was typed stands in front of each line, and `params` in front of that; of two values for a key the last one holds,
but what differs from run to run is not to be typed. The experiment that brought the stages is not that of their runs.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from ilm.errors import UserError


class StagedSweeper(BasicSweeper):
    """Hydra's own sweeper, but for the batches that it launches one after another: they are the stages."""

    def __init__(self, stages: Sequence[Sequence[str]], params: dict[str, str] | None = None):
        super().__init__(max_batch_size=None, params=params)
        self.stages = stages

    def split_arguments(  # type: ignore[override]  # static in Hydra, where nothing but `overrides` decides
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """The overrides of each run of each stage; `overrides` are those of `params`, then those typed.

        Raises: UserError if a key was typed that the stages decide.
        """
        parser = OverridesParser.create()
        lines = [[parser.parse_overrides(shlex.split(line)) for line in stage] for stage in self.stages]
        swept = {
            override.key_or_group
            for stage in lines
            for line in stage
            for override in line
            if override.is_sweep_override()
        }
        for override in overrides:
            if override.key_or_group in swept - {*self.params}:
                raise UserError(
                    f"{override.input_line}: {override.key_or_group} differs from run to run here; leave it out"
                )
        common = [override for override in overrides if override.key_or_group != "experiment"]
        return [
            [run for line in stage for run in BasicSweeper.split_arguments([*common, *line], None)[0]]
            for stage in lines
        ]


@dataclass
class StagedSweeperConfig:
    """The keys of `hydra.sweeper`."""

    stages: list[list[str]]
    params: dict[str, str] = field(default_factory=dict)
    _target_: str = "hydra_plugins.staged_sweeper.StagedSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="staged", node=StagedSweeperConfig, provider="ilm")
