"""Which of the reference's files a folder holds, by level and split.

    <folder>/{train,valid,test}.{txt,pkl}             one level: that of the folder's name, or the only one there is
    <folder>/<level>/{train,valid,test}.{txt,pkl}     several

Where a split has both files the documents are those of the pickle, which holds their masks too.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError

log = logging.getLogger("ilm")

ALL_LEVELS = "all"


def text_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.txt"


def mask_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.pkl"


def reference_files(folder: Path, levels: Sequence[str]) -> dict[tuple[str, str], Path]:
    """The file to read by (level, split), of those that are there, sorted; `levels` are the corpus's.

    Raises: UserError if there is none, or it cannot be known what level a file is of.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"corpus.reference={folder}: there is no such folder. Give one that holds train.txt or train.pkl."
        )
    direct = _files(folder)
    below = {path.name: found for path in sorted(folder.iterdir()) if path.is_dir() and (found := _files(path))}
    if direct and any(name in levels for name in below):
        raise UserError(
            f"corpus.reference={folder} holds both files of texts ({_names(direct)}) and folders of levels "
            f"({', '.join(name for name in below if name in levels)}). Give one of these folders, or remove the files."
        )
    if direct:
        level = folder.resolve().name if folder.resolve().name in levels else None
        if level is None and len(levels) == 1:
            level = levels[0]
        if level is None:
            raise UserError(
                f"corpus.reference={folder} holds {_names(direct)}, of which level is not known. Name the folder by a "
                f"level of corpus.levels ({', '.join(levels)}), or give their level: corpus.levels=[B1]"
            )
        return {(level, split): path for split, path in direct.items()}
    chosen = {name: found for name, found in below.items() if name in levels}
    if not chosen:
        there = f"; it has the folders {', '.join(below)}" if below else ""
        raise UserError(
            f"corpus.reference={folder}: there are no files of the reference implementation. Expected "
            f"{', '.join(f'{split}.txt or {split}.pkl' for split in SPLITS)} in it, or in folders named by "
            f"corpus.levels ({', '.join(levels)}){there}."
        )
    for name in below:
        if name not in levels and name != ALL_LEVELS:
            log.warning("left out: %s, whose name is none of corpus.levels (%s)", folder / name, ", ".join(levels))
    # As the ids sort, in which the level is followed by a colon.
    levels = sorted(chosen, key=lambda level: f"{level}:")
    return {(level, split): path for level in levels for split, path in chosen[level].items()}


def _files(folder: Path) -> dict[str, Path]:
    """The file of each split that has one."""
    both = {split: (mask_file(folder, split), text_file(folder, split)) for split in sorted(SPLITS)}
    return {split: next(filter(Path.is_file, paths)) for split, paths in both.items() if any(map(Path.is_file, paths))}


def _names(files: dict[str, Path]) -> str:
    return ", ".join(path.name for path in files.values())
