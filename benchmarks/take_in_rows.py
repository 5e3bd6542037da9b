"""Bring result rows that earlier versions wrote up to date: today's schema, today's file names, and the dataset's content.

    python benchmarks/take_in_rows.py benchmarks/results/esc10/rows --root ESC-50/
    python benchmarks/take_in_rows.py runs/rows --to benchmarks/results/esc10/rows --root ESC-50/

A row of schema 1 does not record the sounds that it is about. Its key was a hash of them, among others, and so proves which
they were if the dataset at hand gives the same key. Where it does not (the hash was made otherwise in the oldest rows), the
classes and the numbers of clips must agree, `--unproven` must be given, and the row says so in its notes. Without `--root`
the content of the dataset stays as the row has it. A row that is up to date stays as it is, so this can be run again.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from audiozoo import load_dataset
from audiozoo.crossval import FoldJob, read_row, write_row
from audiozoo.crossval.keeping import Conflict, supersede

NOTE = "not proven by the row's first key; the classes and the numbers of clips agree"


def job_of(row, data):
    """Return the job that a row answers, on the clips of a dataset."""
    [(train, test)] = [sides for fold, *sides in data.splits() if fold == row.fold]
    return FoldJob(
        dataset=data.name,
        metric=row.metric,
        labels=data.labels,
        fold=row.fold,
        train=tuple(train),
        test=tuple(test),
        model=row.model,
        frontend=row.request.frontend,
        recipe=row.request.recipe,
        options=dict(row.request.options),
    )


def agrees(row, job):
    """Whether the classes and all numbers of clips in a row are those of a job."""
    counts = Counter(clip.label for clip in job.test)
    tested = [sum(line) for line in row.measures.confusion]
    same = (row.request.dataset, row.labels, row.test_clips) == (job.dataset, job.labels, len(job.test))
    # Clips held out for validation count among a row's training clips only if the model was trained again on all.
    refitted = row.request.recipe.refit or not row.request.recipe.validation
    learnt = row.training_clips == len(job.train) if refitted else row.training_clips < len(job.train)
    return same and learnt and tested == [counts[label] for label in job.labels]


def with_content(path, data, *, unproven):
    """Read a row, and fill in the content of its dataset where the row lacks it."""
    row = read_row(path)
    if row.request.content or data is None:
        return row
    job = job_of(row, data)
    if (proven := read_row(path, job)).request.content:
        return proven
    if not agrees(row, job):
        raise ValueError(f"{path}: the row is of other clips than {data.name} has here")
    if not unproven:
        raise ValueError(f"{path}: its key does not prove that it is of these clips; --unproven takes it nevertheless")
    request = replace(row.request, content=job.request.content)
    return replace(row, request=request, notes={**row.notes, "content": NOTE})


def take_in(path, folder, data, *, unproven=False, code=""):
    """Write a row into a folder under its present name, and return that path; the old file goes if it lies there too.

    A row of the same job with another result is kept in the subfolder `superseded`, and is reported.
    """
    row = with_content(path, data, unproven=unproven)
    if code and not row.provenance.code:
        row = replace(row, provenance=replace(row.provenance, code=code))
    prefix = path.name.partition(f"{row.request.dataset}-")[0]  # scripts put a word before the name
    target = folder / f"{prefix}{row.request.file_name}"
    there = read_row(target) if target != path and target.exists() else None
    if conflict := Conflict.of(there, row, folder):
        print(conflict)
        supersede(target, there)
    write_row(target, row)
    if path.parent.resolve() == folder.resolve() and path.name != target.name:
        path.unlink()
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="folder of the rows")
    parser.add_argument("--to", type=Path, help="folder to write to; by default the same")
    parser.add_argument("--dataset", default="esc10", help="dataset of the rows")
    parser.add_argument("--root", help="folder into which the dataset was unpacked")
    parser.add_argument("--unproven", action="store_true", help="take rows whose key does not prove the dataset's content")
    parser.add_argument("--code", default="", help="digest of the code that computed the rows, where they lack it")
    given = parser.parse_args()
    data = load_dataset(given.dataset, root=given.root) if given.root else None
    refused = []
    for path in sorted(given.rows.glob("*.json")):
        try:
            target = take_in(path, given.to or given.rows, data, unproven=given.unproven, code=given.code)
            print(f"{path.name} -> {target.name}")
        except ValueError as error:
            refused.append(str(error))
    if refused:
        sys.exit("\n".join(["left as they are:", *refused]))


if __name__ == "__main__":
    main()
