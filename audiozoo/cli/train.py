"""``audiozoo train``: train a classifier on a folder of sounds and save it in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.budget import (
    CheckpointMinutes,
    Minutes,
    Refit,
    chosen_budget,
    chosen_checkpoints,
    early_end,
    first_interrupt_ends,
    training_bar,
)
from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    FrontendName,
    FrontendSettings,
    changed_recipe,
    err,
    feature_cache,
    open_dataset,
    other_frontend,
    out,
    quiet_backend,
    report_failures,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.hosts import Coordinator, Host, joined
from audiozoo.cli.inspect_ import checked_recipe
from audiozoo.cli.labels import several_note, validation_text
from audiozoo.cli.transfer import Extend, Finetune, From, Probe, Transfer, Unfreeze
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.classifier import Classifier
    from audiozoo.datasets import Clip, Dataset
    from audiozoo.features import FeatureCache, Frontend
    from audiozoo.recipe import Recipe
    from audiozoo.training import Checkpoints

Table = Annotated[
    Path | None,
    typer.Option(
        help="CSV table with the columns file and label (several separated by ';'), instead of a folder for each class."
    ),
]
WeightsName = Annotated[str | None, typer.Option(help="Name of published initial weights, see `audiozoo info`.")]
WeightsFile = Annotated[
    Path | None,
    typer.Option(help="File with initial weights of the whole model, or its address hf://org/name@revision/file on the hub."),
]
BackboneWeights = Annotated[str | None, typer.Option(help="Initial weights of the backbone: imagenet.")]
Unknown = Annotated[
    float | None,
    typer.Option(help='Answer "unknown" for unfamiliar sounds, and keep this share of the known ones, such as 0.95.'),
]

DeviceNumber = Annotated[
    str | None,
    typer.Option("--devices", help="Train on several GPUs of this computer: all, or a number (on JAX and TensorFlow)."),
]

EXAMPLE = "audiozoo train sounds/ -o my.audiozoo"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of sounds for each class.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to save the classifier to.")],
    model: Annotated[str, typer.Option(help="Name of the model, see `audiozoo list`.")] = "house_cnn",
    table: Table = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    minutes: Minutes = None,
    epochs: Annotated[int | None, typer.Option(help="Exact number of epochs, without a limit of time.")] = None,
    refit: Refit = None,
    checkpoints: CheckpointMinutes = None,
    devices: DeviceNumber = None,
    coordinator: Coordinator = None,
    host: Host = None,
    weights: WeightsName = None,
    weights_file: WeightsFile = None,
    backbone_weights: BackboneWeights = None,
    probe: Probe = False,
    finetune: Finetune = False,
    origin: From = None,
    extend: Extend = False,
    unfreeze: Unfreeze = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="JSON file with training options.")] = None,
    frontend: FrontendName = None,
    settings: FrontendSettings = None,
    unknown: Unknown = None,
    strict: Annotated[bool, typer.Option(help="Stop if a file cannot be read; by default it is left out.")] = False,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Train a classifier on your own sounds and save it in one file.

    The first Ctrl-C after an epoch ends the training and saves the best epoch so far, with exit status 0. Before that, and the
    second time, it stops at once and saves nothing, with exit status 130.
    """
    way = Transfer(model, probe, finetune, extend, origin, unfreeze, weights, weights_file)
    other = other_frontend(frontend, settings)
    check_target(output)
    kept = chosen_checkpoints(checkpoints, minutes, output)
    saves, timed = joined(coordinator, host, minutes=minutes), kept is None and coordinator is None
    limits = {"budget": chosen_budget(minutes if timed else 0.0, epochs), "checkpoints": kept, "devices": devices}
    chosen = changed_recipe(way.recipe, recipe, epochs=epochs, seed=seed, refit=refit)
    data = open_dataset(dataset, folder, table, options)
    clips, chosen = _described(data, chosen, recipe)
    how: dict[str, Any] = {"labels": data.labels, "strict": strict, "unknown": unknown, "cache": feature_cache(cache)}
    start = {"backbone_weights": backbone_weights} if backbone_weights else {}
    classifier = _trained(way, clips, chosen, output, frontend=other, limits=limits, **how, **start)
    _finish(classifier, output, kept, saves=saves)


def _trained(
    way: Transfer,
    clips: Sequence[Clip],
    recipe: Recipe,
    output: Path,
    *,
    frontend: Frontend | None,
    limits: Mapping[str, Any],
    **how: Any,
) -> Classifier:
    """Train on clips with a recipe, with a bar, so that Ctrl-C keeps what was learnt."""
    from audiozoo.training import adapted

    kept = keeping(_kept(how["cache"], limits["checkpoints"], output))
    with kept, training_bar(way.title, recipe) as (show, stages), first_interrupt_ends(stages) as stop:
        quiet_backend()
        how |= {"frontend": adapted(frontend, clips) if frontend else None, "progress": show}
        return way.run(clips, recipe, limits={**limits, "budget": limits["budget"](), "stop": stop}, **how)


def _finish(classifier: Classifier, output: Path, kept: Checkpoints | None, *, saves: bool) -> None:
    if not saves:
        out.print(f"this computer is done; the first one saves {output}", soft_wrap=True)
        return
    classifier.save(output)
    # After Ctrl-C, the same command can go on from the last checkpoint.
    if kept and not classifier.about.stopped:
        kept.remove()
    if ending := early_end(classifier.about, len(classifier.history.get("loss", ()))):
        err.print(ending, soft_wrap=True)
    out.print(_summary(classifier, output), soft_wrap=True)
    report_failures(classifier.about.failures, used=classifier.about.training_clips or 0)


def _described(data: Dataset, recipe: Recipe, file: Path | None) -> tuple[Sequence[Clip], Recipe]:
    """Print the contents of a dataset and the problems in them; return the training clips and the recipe for them."""
    clips = data.training_clips
    out.print(f"{len(clips)} clips of {len(data.labels)} classes: {', '.join(data.labels)}", soft_wrap=True)
    if note := several_note(clips):
        out.print(note, soft_wrap=True)
    if len(clips) < len(data):
        out.print(f"the {len(data) - len(clips)} clips of the official test set are not used for training")
    return clips, checked_recipe(clips, recipe, file)


def _kept(cache: FeatureCache | None, checkpoints: Checkpoints | None, output: Path) -> str:
    features = "; the features computed so far are kept for the next run" if cache else ""
    state = "; the same command continues from the last checkpoint" if checkpoints else ""
    return f"{output} was not written{features}{state}"


def _summary(classifier: Classifier, output: Path) -> str:
    about, validation = classifier.about, classifier.about.validation
    judged = "too few recordings for a validation set"
    if validation:
        judged = f"{validation_text(validation)} on held-out recordings"
        if (about.recipe or {}).get("refit"):
            judged += ", before the final training on all recordings"
    return f"saved {output} ({about.model}, {about.parameters:,} parameters, {judged})"
