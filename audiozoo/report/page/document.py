"""The page of a report: one HTML file that needs no other file."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiozoo._version import __version__
from audiozoo.crossval import Row
from audiozoo.files import write_text
from audiozoo.report.columns import deviation_text
from audiozoo.report.domains import domain_table
from audiozoo.report.hardest import hardest_clips
from audiozoo.report.page.classes import MOST_DOTS, class_charts
from audiozoo.report.page.confusion import confusion_sections
from audiozoo.report.page.curves import MOST_LINES, curve_charts, held_out, shown
from audiozoo.report.page.hard import hard_section
from audiozoo.report.page.markup import Html, breakable, isolated, joined, tag
from audiozoo.report.page.scatter import cost_charts
from audiozoo.report.page.sounds import Files, sound_files
from audiozoo.report.page.style import SCRIPT, STYLE
from audiozoo.report.page.tables import badge, domain_scores_table, leaderboard_table
from audiozoo.report.results import measured, metric_name
from audiozoo.report.summary import MOST_LISTED, DatasetSummary, ModelSummary, summarised

TITLE = "Benchmark of audio classifiers"
"""Title of a report, unless another one is given."""

MOST_DRAWN = 20
"""Number of models in the charts."""

MOST_CLIPS = 12
"""Number of hardest clips."""


def html_report(
    rows: Iterable[Row],
    path: str | os.PathLike[str],
    *,
    title: str = TITLE,
    sounds: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a report of result rows as one HTML file, which loads nothing from elsewhere.

    Args:
        rows: Rows of any datasets and models, see `audiozoo.crossval.read_rows`.
        path: Path of the file to write.
        title: Title of the page.
        sounds: Folder of the dataset's sounds. The page then contains up to 12 sounds, each cut to 5 s, so the page is
            under their licence, too. `None` leaves sounds out.

    Returns:
        The path of the file.

    Raises:
        ValueError: There are no rows.
        FileNotFoundError: The folder of the sounds does not exist.
        OSError: The file cannot be written.
    """
    files = None if sounds is None else sound_files(sounds)
    return write_page(summarised(rows), path, title=title, files=files)


def write_page(datasets: Sequence[DatasetSummary], path: str | os.PathLike[str], *, title: str, files: Files | None) -> Path:
    """Write the report of datasets whose rows are summarised already, see `html_report`.

    Args:
        datasets: Summaries.
        path: Path of the file to write.
        title: Title of the page.
        files: Sound files by name; `None` leaves sounds out.

    Returns:
        The path of the file.
    """
    write_text(path, _page(datasets, title, files))
    return Path(path)


def _page(datasets: Sequence[DatasetSummary], title: str, files: Files | None) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        # Even if a label were not escaped, the browser would run no script but ours, and load nothing.
        tag("meta", http_equiv="Content-Security-Policy", content=_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"audiozoo {__version__}"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    # The sounds make up most of the file, so its limit holds for all datasets together.
    most = max(1, MOST_CLIPS // len(datasets)) if files else MOST_CLIPS
    sections = [_section(data, number, files, most) for number, data in enumerate(datasets)]
    body = tag("body", _header(datasets, title), tag("main", sections), _footer(), tag("script", Html(SCRIPT)))
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _header(datasets: Sequence[DatasetSummary], title: str) -> Html:
    contents = tag("nav", [tag("a", data.name, href=f"#d{n}") for n, data in enumerate(datasets)], aria_label="Datasets")
    return tag("header", tag("h1", title), contents if len(datasets) > 1 else None)


def _footer() -> Html:
    text = (
        f"Made by audiozoo {__version__} from result rows. Each model was measured on test folds that played no part in its "
        "training. Times depend on the machine."
    )
    return tag("footer", tag("p", text, class_="soft"))


def _section(data: DatasetSummary, number: int, files: Files | None, most: int) -> Html:
    drawn = data.models[:MOST_DRAWN]
    blocks = [
        _block("Leaderboard", _about_table(data), leaderboard_table(data)),
        _domains(data, drawn),
        _charts("Accuracy and cost", _ABOUT_COST, cost_charts(data, drawn)),
        _charts("Classes", _about_classes(data), class_charts(data, drawn), _legend(drawn[:MOST_DOTS])),
        _charts("Learning curves", _about_curves(drawn), curve_charts(drawn)),
        _confusion(data, drawn),
        _hardest(data, files, most),
        _block("Commands", "The commands that computed these rows.", _commands(data)),
    ]
    return tag("section", tag("h2", data.name), _lead(data), _facts(data), blocks, id=f"d{number}")


def _block(heading: str, about: str | Html, *content: Html) -> Html:
    return joined(tag("h3", heading), tag("p", about), *content)


def _charts(heading: str, about: str, charts: Sequence[Html], legend: Html | None = None) -> Html | None:
    return _block(heading, about, joined(legend), tag("div", charts, class_="grid")) if charts else None


def _legend(models: Sequence[ModelSummary]) -> Html:
    names = [tag("span", badge(place), breakable(model.name), class_="line") for place, model in enumerate(models)]
    return tag("p", names, class_="legend")


_ABOUT_COST = (
    "Each number is a model, as in the leaderboard; up and to the left is better. The dashed line is the front: the best "
    "result to be had at each cost. The horizontal axes are logarithmic."
)


def _about_table(data: DatasetSummary) -> Html:
    means = deviation_text(data)
    if any(model.folds < data.folds for model in data.models):
        means += f" Models that were not tested on all {data.folds} folds come last, because folds differ in difficulty."
    interval = (
        " The interval is a 95 % bootstrap interval over recordings, drawn on one scale for all models. Two models are told "
        "apart if their difference on the same clips is significant at 5 %, after Holm's correction for all pairs."
        if any(model.interval for model in data.models)
        else ""
    )
    left = f" The best {MOST_LISTED} of {len(data.models)} models are listed." if len(data.models) > MOST_LISTED else ""
    # The script shows this sentence, because without it no click sorts.
    return joined(means, interval, tag("span", " Click a heading to sort.", class_="sorts", hidden=True), left)


def _about_classes(data: DatasetSummary) -> str:
    figure = "average precision" if data.several_labels else "share of its clips that are right"
    dots = f"the dots are the best {MOST_DOTS}" if len(data.models) > MOST_DOTS else "each dot is a model"
    return f"For each class, the {figure} (%), hardest first. The bar is the mean of the models; {dots}."


def _about_curves(models: Sequence[ModelSummary]) -> str:
    about = "Mean over the trainings of a model: a solid line is measured on held-out clips, a dashed line on training clips."
    drawn = [(names, model.curves) for model in models if (names := shown(model.curves))]
    if not all(any(map(held_out, names)) for names, _ in drawn):
        about += " Trainings without held-out clips have no solid line."
    many = any(len(curves[names[-1]]) > MOST_LINES for names, curves in drawn)
    return f"{about} Thin lines are single trainings{f', the first {MOST_LINES} of each model' if many else ''}."


def _lead(data: DatasetSummary) -> Html:
    best = data.models[0]
    score = measured(data.metric, best.entry.score[0])
    words = [tag("strong", isolated(best.entry.model)), f" is first with {metric_name(data.metric)} {score}"]
    if group := data.groups[0] if data.groups else None:
        words += [f"; {len(group)} other model{'s are' if len(group) > 1 else ' is'} not told apart from it"]
    left = len(data.models) - MOST_DRAWN
    note = f" The charts show the best {MOST_DRAWN} of {len(data.models)} models." if left > 0 else ""
    return tag("p", words, ".", note, class_="lead")


def _facts(data: DatasetSummary) -> Html:
    tested = max(sum({row.fold: row.test_clips for row in model.rows}.values()) for model in data.models)
    facts = {"models": len(data.models), "test clips": f"{tested:,}", "classes": len(data.labels), "folds": data.folds}
    stale = sum(model.stale for model in data.models)
    facts |= {"rows": f"{data.rows:,}"} | ({"by older code": f"{stale:,}"} if stale else {})
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()], class_="facts")


def _domains(data: DatasetSummary, models: Sequence[ModelSummary]) -> Html | None:
    found = domain_table(models, data.metric)
    if found is None:
        return None
    about = f"The {metric_name(data.metric)} on the test clips of each domain, such as a recording device."
    if any(name == "unseen" for name in found.head):
        about += " No training clip comes from an unseen domain."
    return _block("Domains", about, domain_scores_table(data, found))


def _confusion(data: DatasetSummary, models: Sequence[ModelSummary]) -> Html | None:
    blocks = list(confusion_sections(data, models))
    about = "Rows are true classes and columns predicted classes; a cell is darker the larger its share of the true class."
    return _block("Confusion", about, *blocks) if blocks else None


def _hardest(data: DatasetSummary, files: Files | None, most: int) -> Html | None:
    clips = hardest_clips(data, most=most)
    if not clips:
        return None
    about = "Test clips that more than half of the models get wrong. Some may be labelled wrongly, or hold several sounds."
    return _block("Hardest clips", about, hard_section(clips, data.name, files))


def _commands(data: DatasetSummary) -> Html:
    lines = []
    for place, model in enumerate(data.models[:MOST_DRAWN]):
        commands = dict.fromkeys(row.provenance.command for row in model.rows if row.provenance.command)
        given = [tag("p", tag("code", command)) for command in commands] or [tag("p", "not recorded", class_="note")]
        lines.append(tag("details", tag("summary", tag("span", badge(place), breakable(model.name), class_="line")), given))
    return joined(*lines)
