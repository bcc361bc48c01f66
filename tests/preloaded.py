"""Imported by the process that `tests.forked` forks commands from: composing once loads Hydra's plugins and grammar."""

import tensorboard  # noqa: F401

import ilm.evaluation.perplexity.task
import ilm.infilling.browse
import ilm.training.dry_run  # noqa: F401
from tests.conftest import compose

compose("train", "experiment=debug", "seed=1")
