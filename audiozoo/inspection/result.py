"""The result of an inspection: facts about classes, copies, and findings in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from audiozoo.inspection.sounds import SHORT_SECONDS, SoundFacts

IMBALANCED = 5
"""Ratio of the largest to the smallest class above which classes are imbalanced."""

_BINS = 10


@dataclass(frozen=True, kw_only=True)
class ClassFacts:
    """Facts about the clips of a class.

    Args:
        label: Name of the class.
        clips: Number of readable clips.
        recordings: Number of different recordings among them.
        unreadable: Number of clips that cannot be read.
        seconds: Total duration (seconds).
        shortest: Duration of the shortest clip (seconds).
        median: Median duration (seconds).
        longest: Duration of the longest clip (seconds).
        silent: Number of silent clips.
        clipped: Number of clipped clips.
    """

    label: str
    clips: int
    recordings: int
    unreadable: int
    seconds: float
    shortest: float
    median: float
    longest: float
    silent: int
    clipped: int


@dataclass(frozen=True)
class Inspection:
    """Facts about labelled sounds.

    Args:
        sounds: Facts about each clip.
        decoded: Whether the sounds were decoded, and not only their headers read.
    """

    sounds: tuple[SoundFacts, ...]
    decoded: bool

    @cached_property
    def readable(self) -> tuple[SoundFacts, ...]:
        """The clips that can be read."""
        return tuple(sound for sound in self.sounds if sound.readable)

    @property
    def failures(self) -> tuple[str, ...]:
        """The reason for each clip that cannot be read."""
        return tuple(sound.failure for sound in self.sounds if not sound.readable)

    @cached_property
    def classes(self) -> tuple[ClassFacts, ...]:
        """Facts about each class, sorted by name; a clip of several classes counts in each."""
        by_label: dict[str, list[SoundFacts]] = {}
        for sound in self.sounds:
            for label in sound.labels:
                by_label.setdefault(label, []).append(sound)
        return tuple(_class_facts(label, by_label[label]) for label in sorted(by_label))

    @cached_property
    def duplicates(self) -> tuple[tuple[SoundFacts, ...], ...]:
        """Groups of clips with the same sound. Silent clips, which are all alike, are left out."""
        groups: dict[str, list[SoundFacts]] = {}
        for sound in self.readable:
            if not sound.silent:
                groups.setdefault(sound.content, []).append(sound)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    @property
    def conflicts(self) -> tuple[tuple[SoundFacts, ...], ...]:
        """The groups of `duplicates` whose clips have different labels."""
        return tuple(group for group in self.duplicates if len({frozenset(sound.labels) for sound in group}) > 1)

    @property
    def sample_rates(self) -> dict[int, int]:
        """Number of readable clips of each sample rate (Hz)."""
        return dict(sorted(Counter(sound.sample_rate for sound in self.readable).items()))

    @property
    def channels(self) -> dict[int, int]:
        """Number of readable clips of each number of channels."""
        return dict(sorted(Counter(sound.channels for sound in self.readable).items()))

    @property
    def imbalance(self) -> float:
        """Number of clips of the largest class divided by that of the smallest class with readable clips; 1 without clips."""
        counts = [one.clips for one in self.classes if one.clips]
        return max(counts) / min(counts) if counts else 1.0

    @property
    def imbalanced(self) -> bool:
        """Whether the largest class has more than `IMBALANCED` times the clips of the smallest."""
        return self.imbalance > IMBALANCED

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of clips in ten bins of duration, and the eleven edges of the bins (seconds).

        The bins are equally wide, or equally wide on a logarithmic axis if durations differ by more than a factor of 20.
        """
        seconds = np.array([sound.seconds for sound in self.readable] or [0.0])
        low, high = seconds.min(), seconds.max()
        if low > 0 and high > 20 * low:
            edges = np.geomspace(low, high, _BINS + 1)
            edges[[0, -1]] = low, high  # rounding must not exclude the shortest or the longest clip
            return np.histogram(seconds, edges)
        return np.histogram(seconds, _BINS)

    def errors(self) -> list[str]:
        """Describe what makes training on these clips impossible or useless; empty if nothing does."""
        found = []
        if lost := [one.label for one in self.classes if not one.clips]:
            reasons = "\n".join(self.failures)
            found.append(
                f"no clip of {', '.join(map(repr, lost))} can be read: repair the files, or remove the class\n{reasons}"
            )
        if self.readable and all(sound.silent for sound in self.readable):
            found.append(
                f"all {len(self.readable)} readable clips are silent, no sample reaches -60 dB of full scale, "
                "so nothing can be learnt from them; check how they were recorded or exported"
            )
        return found

    def warnings(self) -> list[str]:
        """Describe what is likely to spoil a training, one line each."""
        return [*self._unusable(), *self._copies(), *self._few(), *self._varied()]

    def _unusable(self) -> list[str]:
        unreadable = [sound for sound in self.sounds if not sound.readable]
        kinds = (
            (unreadable, "cannot be read and will be left out"),
            ([sound for sound in self.readable if sound.silent], "are silent, no sample reaches -60 dB of full scale"),
            ([sound for sound in self.readable if sound.clipped], "are clipped: lower the recording level"),
            (
                [sound for sound in self.readable if sound.short],
                f"are shorter than {1000 * SHORT_SECONDS:.0f} ms: a window of the model will be mostly padding",
            ),
        )
        return [f"{len(found)} clip(s) {what}{_examples(found)}" for found, what in kinds if found]

    def _copies(self) -> list[str]:
        conflicts, found = self.conflicts, []
        same = [group for group in self.duplicates if group not in conflicts]
        if conflicts:
            found.append(
                f"{len(conflicts)} sound(s) are in several classes: keep the copy with the correct label "
                f"({_same(conflicts[0])})"
            )
        if same:
            copies = sum(len(group) - 1 for group in same)
            found.append(
                f"{copies} clip(s) are copies of others, which makes scores on held-out clips too high: "
                f"delete them ({_same(same[0])})"
            )
        return found

    def _few(self) -> list[str]:
        found = []
        if single := [one.label for one in self.classes if one.recordings == 1]:
            found.append(
                f"{len(single)} class(es) have a single recording, which cannot be held out, so the score on held-out clips "
                f"does not cover them: {_listed(single)}"
            )
        if self.imbalanced:
            with_clips = [one for one in self.classes if one.clips]
            most, least = (choose(with_clips, key=lambda one: one.clips) for choose in (max, min))
            found.append(f"the classes are imbalanced: {most.label!r} has {most.clips} clips and {least.label!r} {least.clips}")
        return found

    def _varied(self) -> list[str]:
        rates: dict[str, set[int]] = {}
        for sound in self.readable:
            for label in sound.labels:
                rates.setdefault(label, set()).add(sound.sample_rate)
        for (first, here), (second, there) in combinations(sorted(rates.items()), 2):
            # The lower rate leaves the high frequencies empty, which tells the classes apart in this folder and nowhere else.
            if not here & there:
                return [
                    f"the sample rate gives classes away: {first!r} has {_hertz(here)} and {second!r} {_hertz(there)}; "
                    "resample all files to the lowest rate"
                ]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return everything as data for JSON."""
        counts, edges = self.histogram()
        return {
            "clips": len(self.sounds),
            "decoded": self.decoded,
            "classes": [asdict(one) for one in self.classes],
            "sample_rates": {str(rate): count for rate, count in self.sample_rates.items()},
            "channels": {str(number): count for number, count in self.channels.items()},
            "durations": {"counts": counts.tolist(), "edges": edges.tolist()},
            "imbalance": self.imbalance,
            "silent": [sound.name for sound in self.readable if sound.silent],
            "clipped": [sound.name for sound in self.readable if sound.clipped],
            "short": [sound.name for sound in self.readable if sound.short],
            "duplicates": [[sound.name for sound in group] for group in self.duplicates],
            "conflicts": [[sound.name for sound in group] for group in self.conflicts],
            "failures": list(self.failures),
            "errors": self.errors(),
            "warnings": self.warnings(),
        }


def _class_facts(label: str, sounds: Sequence[SoundFacts]) -> ClassFacts:
    readable = [sound for sound in sounds if sound.readable]
    seconds = np.array([sound.seconds for sound in readable] or [0.0])
    return ClassFacts(
        label=label,
        clips=len(readable),
        recordings=len({sound.recording for sound in readable}),
        unreadable=len(sounds) - len(readable),
        seconds=float(seconds.sum()),
        shortest=float(seconds.min()),
        median=float(np.median(seconds)),
        longest=float(seconds.max()),
        silent=sum(sound.silent for sound in readable),
        clipped=sum(sound.clipped for sound in readable),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _hertz(rates: set[int]) -> str:
    return " or ".join(f"{rate:,} Hz" for rate in sorted(rates))


def _examples(sounds: Sequence[SoundFacts]) -> str:
    return f" ({_listed([sound.shown for sound in sounds])})"


def _same(group: Sequence[SoundFacts]) -> str:
    return " = ".join(sound.shown for sound in group[:3])
