"""Facts about one sound: its header, its level, and a hash of its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from audiozoo import audio
from audiozoo.features.reading import Excerpt
from audiozoo.files import checksum

SILENT_PEAK = 1e-3
"""Peak below which a sound counts as silent: -60 dB relative to full scale, the noise of most sound cards."""

SHORT_SECONDS = 0.02
"""Duration below which a sound counts as very short (seconds): less than one STFT frame of most frontends."""

CLIPPED_SHARE = 1e-3
"""Share of samples on flat tops above which a sound counts as clipped."""

# Just below full scale, because 16-bit files end at 32,767/32,768 and lossy codecs change the samples slightly.
_FULL_SCALE = 0.999


class Labelled(Excerpt, Protocol):
    """A part of a sound file with labels; `audiozoo.datasets.Clip` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def group(self) -> str | None:
        """Name of the recording."""


@dataclass(frozen=True, kw_only=True)
class SoundFacts:
    """Facts about the sound of a clip.

    Args:
        name: Path of the file, or its number of bytes.
        labels: Names of the classes.
        recording: Name of the recording, `name` if the clip has none.
        seconds: Duration (seconds).
        sample_rate: Sample rate (Hz).
        channels: Number of channels.
        peak: Largest magnitude of a sample; `None` if only the header was read.
        clipped_share: Share of the samples that lie on flat tops at full scale; `None` if only the header was read.
        content: Hash of the decoded samples, or of the file if only the header was read. Equal sounds have equal hashes.
        failure: Reason why the clip cannot be read; "" if it can.
    """

    name: str
    labels: tuple[str, ...]
    recording: str
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    peak: float | None = None
    clipped_share: float | None = None
    content: str = ""
    failure: str = ""

    @property
    def readable(self) -> bool:
        """Whether the clip can be read."""
        return not self.failure

    @property
    def silent(self) -> bool:
        """Whether the level never reaches `SILENT_PEAK`; false if only the header was read."""
        return self.peak is not None and self.peak < SILENT_PEAK

    @property
    def clipped(self) -> bool:
        """Whether more than `CLIPPED_SHARE` of the samples are clipped; false if only the header was read."""
        return self.clipped_share is not None and self.clipped_share > CLIPPED_SHARE

    @property
    def short(self) -> bool:
        """Whether the clip is readable and shorter than `SHORT_SECONDS`."""
        return self.readable and self.seconds < SHORT_SECONDS

    @property
    def shown(self) -> str:
        """The last folder and the name of the file, for messages."""
        return "/".join(Path(self.name).parts[-2:])


def facts_of(clip: Labelled, *, decode: bool) -> SoundFacts:
    """Collect facts about a clip; an error while reading it becomes `SoundFacts.failure`.

    Args:
        clip: Clip to read.
        decode: Whether to decode the sound, which is needed for its level; otherwise only its header is read.
    """
    name = audio.describe(clip.path)
    facts = SoundFacts(name=name, labels=clip.labels, recording=name if clip.group is None else clip.group)
    try:
        seconds, rate, channels = audio.measure(clip.path)
        seconds = min(seconds, clip.end or seconds) - clip.start
        facts = replace(facts, seconds=seconds, sample_rate=rate, channels=channels)
        return _with_samples(clip, facts) if decode else _with_header(clip, facts)
    except (OSError, ValueError) as error:
        return replace(facts, failure=audio.explain(clip.path, error))


def _with_header(clip: Labelled, facts: SoundFacts) -> SoundFacts:
    if facts.seconds <= 0:
        raise ValueError(f"{facts.name}: no samples after {clip.start} s")
    content = hashlib.sha256(clip.path).hexdigest() if isinstance(clip.path, bytes) else checksum(clip.path)
    # Two parts of one file are different sounds.
    return replace(facts, content=f"{content} {clip.start} {clip.end}")


def _with_samples(clip: Labelled, facts: SoundFacts) -> SoundFacts:
    rate, channels = facts.sample_rate, facts.channels
    # The samples and not the file are hashed: a WAV file and its FLAC copy are the same sound.
    content = hashlib.sha256(f"{rate} {channels} ".encode())
    samples, clipped, peak = 0, 0, 0.0
    for block in audio.stream(clip.path, sample_rate=rate, channels=channels, start=clip.start, end=clip.end):
        content.update(np.ascontiguousarray(block).data)
        samples += block.size
        loudest = float(max(block.max(), -block.min()))
        peak = max(peak, loudest)
        if loudest >= _FULL_SCALE:
            clipped += _on_flat_tops(block)
    # The header of a compressed file may state an estimate, so the duration comes from the samples.
    seconds = samples / channels / rate
    return replace(facts, seconds=seconds, peak=peak, clipped_share=clipped / samples, content=content.hexdigest())


def _on_flat_tops(block: np.ndarray) -> int:
    """Count the samples that begin three at full scale; a single one is the peak of a normalised sound."""
    loud = np.abs(block) >= _FULL_SCALE
    return int(np.count_nonzero(loud[2:] & loud[1:-1] & loud[:-2]))
