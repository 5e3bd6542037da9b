"""Answers in a folder of parts, for more files than one table should hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.cli.console import out
from audiozoo.cli.errors import keeping

if TYPE_CHECKING:
    from audiozoo.classifier import Failure
    from audiozoo.shards import Table


def is_folder(output: Path | None) -> bool:
    """Return whether an output is a folder of parts: a name without a suffix, or a folder that exists."""
    return output is not None and (not output.suffix or output.is_dir())


def model_identity(classifier: Path) -> dict[str, str]:
    """Return the name of a classifier, and the checksum of its file if it has one."""
    from audiozoo.files import checksum

    return {"name": classifier.as_posix()} | ({"sha256": checksum(classifier)} if classifier.is_file() else {})


@dataclass(frozen=True)
class AnswerFolder:
    """A folder of answers to write.

    Args:
        path: Path of the folder.
        part_size: Number of files in a part.
        resume: Whether to go on with the answers in the folder.
    """

    path: Path
    part_size: int
    resume: bool

    def write(
        self,
        sounds: Sequence[str],
        request: Mapping[str, Any],
        table: Table,
        answers: Callable[[list[str]], Iterator[Any]],
    ) -> list[Failure]:
        """Write answers, part by part.

        Args:
            sounds: Names of the sound files.
            request: Verb, model and options, see `audiozoo.shards.Shards`.
            table: Layout of the answers.
            answers: Function that yields the answer or failure of each of some files, in order.

        Returns:
            The files that could not be used, with those of earlier runs.
        """
        from audiozoo.classifier import Failure
        from audiozoo.shards import Shards, read_failures

        with (
            keeping(f"the answers so far are in {self.path}, and the same command with --resume continues"),
            Shards(self.path, request, table, each=self.part_size, resume=self.resume) as shards,
        ):
            for name, answer in zip(waiting := shards.remaining(sounds), answers(waiting), strict=True):
                if isinstance(answer, Failure):
                    shards.fail(name, answer.error)
                else:
                    shards.add(name, answer)
        out.print(f"saved {self.path} (answers for {shards.answers} files)", soft_wrap=True)
        return list(read_failures(self.path))
