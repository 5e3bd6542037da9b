"""The hardest clips on the page, with sounds if their folder is known."""

from __future__ import annotations

from collections.abc import Sequence

from audiozoo.report.hardest import HardClip
from audiozoo.report.page.markup import Html, isolated, tag
from audiozoo.report.page.sounds import Files, located, player

LICENCES = {
    "esc10": "ESC-10 (K. J. Piczak, 2015), Freesound clips under CC BY",
    "esc50": "ESC-50 (K. J. Piczak, 2015), Freesound clips under CC BY-NC",
    "dcase2018": "TUT Urban Acoustic Scenes 2018, for non-commercial research",
    "freesound2018": "FSDKaggle2018, Freesound clips under CC0, CC BY or CC BY-NC",
    "urbansound8k": "UrbanSound8K, Freesound clips, CC BY-NC",
}
"""Origin and licence of the sounds of each dataset, which must accompany them."""


def hard_section(clips: Sequence[HardClip], dataset: str, files: Files | None) -> Html:
    """Return the hardest clips: cards with sounds, or a table without.

    Args:
        clips: Clips, the hardest first.
        dataset: Name of the dataset.
        files: Sound files, see `sound_files`; `None` leaves sounds out.

    Returns:
        The elements.
    """
    if files is None:
        return _table(clips)
    origin = LICENCES.get(dataset, f"{dataset}; their licence is that of the dataset")
    note = tag("p", f"The sounds are from {origin}. Cut to 5 s, mono, 16 kHz.", class_="note")
    return tag("div", note, tag("div", [_card(clip, files) for clip in clips], class_="grid"))


def _card(clip: HardClip, files: Files) -> Html:
    found = located(clip.name, files)
    heard = player(*found, about=f"{clip.name}, a {clip.label}") if found else None
    missing = tag("p", "The sound is not in the folder, or cannot be read.", class_="note")
    return tag(
        "div",
        heard or missing,
        tag("p", tag("strong", isolated(clip.label)), ", most often taken for ", isolated(clip.taken_for)),
        tag("p", f"Wrong for {clip.share}. ", tag("code", isolated(clip.name)), class_="soft"),
        class_="sound",
    )


def _table(clips: Sequence[HardClip]) -> Html:
    head = [tag("th", name, class_="word", scope="col") for name in ("clip", "class", "most often taken for", "wrong for")]
    lines = [
        tag("tr", [tag("td", cell, class_="word") for cell in (tag("code", one.name), one.label, one.taken_for, one.share)])
        for one in clips
    ]
    table = tag("table", tag("thead", tag("tr", head)), tag("tbody", lines))
    return tag("div", table, class_="box", tabindex=0, role="region", aria_label="Hardest clips")
