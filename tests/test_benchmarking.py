"""Benchmarks as many jobs: claims, executors, failures, processes that die."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import wait_for, write_sound_folder
from joblib import parallel
from joblib._parallel_backends import SequentialBackend

from audiozoo import claims as claims_module
from audiozoo.crossval import Failure, benchmark, find_row, fold_jobs, read_rows, run_fold, write_row
from audiozoo.crossval.executors import Joblib, chosen_executor
from audiozoo.crossval.processes import Processes, shared_by
from audiozoo.datasets import Clip, load_dataset
from audiozoo.training import Recipe

ONCE = Recipe(epochs=1, batch_size=8, validation=0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Jobs of two seeds and three folds, and a real row."""
    root = write_sound_folder(tmp_path_factory.mktemp("trained") / "sounds", np.random.default_rng(0))
    data = load_dataset("folder", root=root).with_folds(3)
    jobs = [job for seed in (0, 1) for job in fold_jobs(data, "feature_mlp", recipe=replace(ONCE, seed=seed))]
    return jobs, run_fold(jobs[0])[0]


class Quick:
    """An executor that writes a known row for each job instead of a training, and fails some of them.

    Args:
        row: The row.
        failing: Number of failures before the row, by fold and seed.
        seconds: Time of a job (seconds).
    """

    def __init__(self, row, failing=None, seconds=0.0):
        self.row, self.failing, self.seconds = row, dict(failing or {}), seconds
        self.ran, self.closed = [], False

    def run(self, work, jobs, progress):
        for job in jobs:
            name = job.fold, job.recipe.seed
            self.ran.append(name)
            time.sleep(self.seconds)
            if self.failing.get(name, 0):
                self.failing[name] -= 1
                yield job, Failure(job, "it broke", details="Traceback")
            else:
                write_row(work.folder / job.file_name, row := replace(self.row, request=job.request))
                yield job, row

    def close(self):
        self.closed = True


def names(jobs):
    return [(job.fold, job.recipe.seed) for job in jobs]


# Runs


def test_two_runs_share_a_folder(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("audiozoo.crossval.benchmarking._PAUSE", 0.01)
    jobs, row = trained
    both = [Quick(row, seconds=0.02) for _ in range(2)]
    found = [[], []]

    def run(number):
        found[number] += benchmark(jobs, tmp_path, executor=both[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(both[0].ran + both[1].ran) == sorted(names(jobs)), "each job ran once"
    assert both[0].ran, "the first run had work"
    assert both[1].ran, "the second run had work"
    for rows in found:
        assert {row.key for row in rows} == {job.key for job in jobs}
    assert len(list(tmp_path.iterdir())) == len(jobs), "no claims are left"


def test_a_run_takes_over_the_job_of_one_that_was_killed(trained, tmp_path, dead):
    jobs, row = trained
    folder = tmp_path / ".claims"
    folder.mkdir()
    for job in jobs[:2]:
        (folder / f"{job.key}.1").write_text(json.dumps({"pid": dead, "host": claims_module._host()}))
    # The file of a row is written under another name first, which a killed process leaves behind.
    (tmp_path / f".{Path(jobs[0].file_name).stem}-x7.json").write_text('{"sch')
    executor = Quick(row)
    assert len(list(benchmark(jobs, tmp_path, executor=executor))) == 6
    assert executor.ran == names(jobs)
    assert len(list(read_rows(tmp_path))) == 6
    assert find_row(tmp_path, jobs[0]).key == jobs[0].key


def test_a_failed_job_runs_again_and_the_others_go_on(trained, tmp_path):
    jobs, row = trained
    failures, executor = [], Quick(row, {(1, 0): 1, (2, 0): 2})
    rows = list(benchmark(jobs, tmp_path, executor=executor, retries=1, failed=failures.append))
    assert [(failure.job.fold, failure.final) for failure in failures] == [(1, False), (2, False), (2, True)]
    assert str(failures[-1]) == "feature_mlp on folder, fold 2, seed 0: it broke"
    assert [(row.fold, row.seed) for row in rows] == [(3, 0), (1, 1), (2, 1), (3, 1), (1, 0)]
    assert executor.closed
    assert len(list(tmp_path.iterdir())) == 5


def test_a_failure_that_nobody_follows_is_an_error(trained, tmp_path):
    jobs, row = trained
    executor = Quick(row, {(1, 0): 5})
    with pytest.raises(RuntimeError, match="feature_mlp on folder, fold 1, seed 0: it broke\nTraceback"):
        list(benchmark(jobs, tmp_path, executor=executor, retries=1))
    assert executor.closed
    assert executor.ran.count((1, 0)) == 2
    assert not (tmp_path / ".claims").exists()


def test_a_row_that_a_process_saved_before_it_died_counts(trained, tmp_path):
    jobs, row = trained

    class Dying(Quick):
        def run(self, work, jobs, progress):
            for job, result in super().run(work, jobs, progress):
                yield job, Failure(job, f"died after {result.fold}")

    failures = []
    assert len(list(benchmark(jobs[:2], tmp_path, executor=Dying(row), failed=failures.append))) == 2
    assert failures == []


def test_an_exception_of_a_job_in_this_process_is_raised_or_reported(trained, tmp_path):
    jobs, _ = trained
    (tmp_path / "empty.wav").touch()
    bad = replace(jobs[0], test=(*jobs[0].test, Clip(str(tmp_path / "empty.wav"), ("low",))))
    with pytest.raises(ValueError, match=r"empty\.wav"):
        list(benchmark([bad], tmp_path / "rows"))
    failures = []
    assert list(benchmark([bad], tmp_path / "rows", failed=failures.append)) == []
    assert failures[0].reason.startswith("ValueError: ")
    assert "empty.wav" in failures[0].reason


# Executors


class Registered(SequentialBackend):
    """A backend as a cluster would register it."""

    broken = False

    def configure(self, *args, **rest):
        if self.broken:
            raise RuntimeError("create a client first")
        return super().configure(*args, **rest)


class SwappedJoblib(Joblib):
    """Backends of joblib with other work than training."""

    def __init__(self, backend, workers, work):
        super().__init__(backend, workers)
        self.other = work

    def run(self, work, jobs, progress):
        return super().run(self.other, jobs, progress)


@pytest.fixture
def cluster():
    joblib.register_parallel_backend("my_cluster", Registered)
    yield "my_cluster"
    del parallel.BACKENDS["my_cluster"]


def test_a_registered_backend_of_joblib_runs_the_jobs(trained, tmp_path, cluster, monkeypatch):
    jobs, row = trained
    executor = SwappedJoblib(cluster, 2, Ending(tmp_path, row))
    failures = []
    rows = list(benchmark(jobs[2:], tmp_path, executor=executor, failed=failures.append))
    assert names_of_rows(rows) == [(1, 1), (2, 1), (3, 1)]
    assert [failure.reason for failure in failures] == ["MemoryError: no room for 3 GiB"]
    monkeypatch.setattr(Registered, "broken", True)
    with pytest.raises(RuntimeError, match="create a client first"):
        list(benchmark(jobs[2:], tmp_path, executor=cluster))


def test_a_worker_of_joblib_that_dies_costs_the_jobs_of_that_moment(trained, tmp_path):
    jobs, row = trained
    executor, failures = SwappedJoblib("loky", 2, Ending(tmp_path, row)), []
    rows = list(benchmark([jobs[0], *jobs[3:]], tmp_path, executor=executor, retries=1, failed=failures.append))
    assert sorted(names_of_rows(rows)) == [(1, 0), (1, 1), (2, 1), (3, 1)]
    assert (1, 0, False) in [(failure.job.fold, failure.job.recipe.seed, failure.final) for failure in failures]
    assert all(failure.reason.startswith("TerminatedWorkerError") for failure in failures)


def test_a_wrong_executor_is_refused():
    with pytest.raises(ValueError, match="did you mean 'processes'"):
        chosen_executor("process", 1)
    with pytest.raises(ValueError, match="one random generator"):
        chosen_executor("threading", 2)
    with pytest.raises(ValueError, match="workers must be a number at least 1, got 0"):
        chosen_executor("processes", 0)


def test_processes_divide_the_cores(monkeypatch):
    monkeypatch.setattr("audiozoo.crossval.processes.thread_count", lambda jobs: 8)
    assert shared_by(1) == {}
    divided = shared_by(3)
    assert {divided[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL")} == {"2"}
    assert (divided["TF_NUM_INTRAOP_THREADS"], divided["LOKY_MAX_CPU_COUNT"]) == ("2", "2")
    assert shared_by(20)["OMP_NUM_THREADS"] == "1"


# Processes that die


@dataclass
class Ending:
    """Work that ends its process or raises, for some of the jobs, and saves a known row for the others."""

    folder: Path
    row: object

    def __call__(self, job, progress=None):
        name = job.fold, job.recipe.seed
        if name == (1, 0) and not (self.folder / "killed").exists():
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if name == (2, 0):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == (3, 0):
            raise MemoryError("no room for 3 GiB")
        if progress:
            progress("training", 1, 2, {"loss": 0.5})
        write_row(self.folder / job.file_name, row := replace(self.row, request=job.request))
        (self.folder / f"pid-{job.key}").write_text(str(os.getpid()))
        return row


class Swapped(Processes):
    """Real processes with other work than training."""

    def __init__(self, workers, work):
        super().__init__(workers)
        self.other = work

    def run(self, work, jobs, progress):
        return super().run(self.other, jobs, progress)


def test_a_process_that_dies_costs_its_job_only(trained, tmp_path):
    jobs, row = trained
    failures, stages = [], set()
    rows = list(
        benchmark(
            jobs,
            tmp_path,
            executor=Swapped(2, Ending(tmp_path, row)),
            retries=1,
            failed=failures.append,
            progress=lambda stage, *_: stages.add(stage),
        )
    )
    assert sorted(names_of_rows(rows)) == [(1, 0), (1, 1), (2, 1), (3, 1)]
    told = {(failure.job.fold, failure.final): failure.reason for failure in failures}
    assert told == {
        (1, False): "its process was ended by SIGKILL, perhaps because memory ran out",
        (2, False): "its process was ended by SIGSEGV",
        (2, True): "its process was ended by SIGSEGV",
        (3, False): "MemoryError: no room for 3 GiB",
        (3, True): "MemoryError: no room for 3 GiB",
    }
    assert "in __call__" in next(failure.details for failure in failures if failure.job.fold == 3)
    assert "feature_mlp 3 training" in stages
    workers = {(tmp_path / f"pid-{job.key}").read_text() for job in jobs if job.recipe.seed == 1}
    assert len(workers) < 3, "a process runs several jobs"
    assert str(os.getpid()) not in workers


def names_of_rows(rows):
    return [(row.fold, row.seed) for row in rows]


@dataclass
class Sleeping:
    """Work that notes its process and does not end."""

    folder: Path

    def __call__(self, job, progress=None):
        temporary = self.folder / "pid.new"
        temporary.write_text(str(os.getpid()))
        temporary.rename(self.folder / "pid")
        time.sleep(300)


def sleep_in_a_process(folder):
    """Run a job that does not end; the tests start this in a process of its own."""
    jobs = fold_jobs(load_dataset("synthetic", clips_per_class=5), "feature_mlp", recipe=ONCE)
    list(benchmark(jobs[:1], folder / "rows", executor=Swapped(1, Sleeping(folder))))


def is_running(pid):
    try:
        # A process that nobody waits for stays as a zombie where the tests run as the first process of a container.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_end_with_their_parent(trained, tmp_path, sent):
    here = str(Path(__file__).parent)
    code = "import sys, pathlib; sys.path.insert(0, sys.argv[1])\nimport test_benchmarking as tests\n"
    command = [sys.executable, "-c", code + "tests.sleep_in_a_process(pathlib.Path(sys.argv[2]))", here, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as run:
        wait_for(lambda: (tmp_path / "pid").exists() or run.poll() is not None)
        child = int((tmp_path / "pid").read_text())
        assert is_running(child)
        assert len(list((tmp_path / "rows" / ".claims").iterdir())) == 1
        # A terminal sends Ctrl-C to the children too.
        os.killpg(run.pid, sent) if sent == signal.SIGINT else os.kill(run.pid, sent)
        told = run.communicate(timeout=30)[1]
    wait_for(lambda: not is_running(child))
    assert not is_running(child)
    assert told.count(b"Traceback") == (sent == signal.SIGINT), "the child is silent"
    # A killed run leaves its claim, which is void.
    assert (tmp_path / "rows" / ".claims").exists() == (sent == signal.SIGKILL)
    jobs = fold_jobs(load_dataset("synthetic", clips_per_class=5), "feature_mlp", recipe=ONCE)
    assert len(list(benchmark(jobs[:1], tmp_path / "rows", executor=Quick(trained[1])))) == 1


@pytest.mark.slow
def test_two_benchmarks_share_the_work_and_one_is_killed(tmp_path):
    words = ["--models", "feature_mlp", "--epochs", "1", "--seeds", "0,1", "--jobs", "1", "-o", str(tmp_path)]
    command = [sys.executable, "-m", "audiozoo", "benchmark", *words]
    rows = tmp_path / "rows"

    def finished():
        return {path: path.stat().st_mtime_ns for path in rows.glob("[!.]*.json")}

    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **silent) as killed, subprocess.Popen(command, **silent) as other:
        wait_for(finished, 120)
        killed.kill()
        killed.communicate()
        kept = finished()
        told = other.communicate(timeout=300)[1]
    assert other.returncode == 0, told
    assert 1 <= len(kept) < 10
    assert len(finished()) == told.count(" fold ") == 10
    assert {path: finished()[path] for path in kept} == kept
    assert not (rows / ".claims").exists()
