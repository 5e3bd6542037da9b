"""Claims keep two runs on one folder from doing the same work at the same time."""

import json
import os
import threading
import time

import pytest

from audiozoo import claims as claims_module
from audiozoo.claims import Claims


def test_a_claim_is_held_by_one_run(tmp_path):
    folder = tmp_path / "rows" / ".claims"
    with Claims(folder) as one, Claims(folder) as other:
        assert one.take("a")
        assert not other.take("a")
        assert not one.take("a")
        assert other.take("b")
        one.release("a")
        assert other.take("a")
        one.release("a")  # it is not its own any more
        assert not one.take("a")
    assert not folder.exists(), "nothing is left behind"


def claim_of(folder, pid, host, age=0.0):
    folder.mkdir(parents=True)
    path = folder / "a.1"
    path.write_text(json.dumps({"pid": pid, "host": host}))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(
    ("here", "alive", "age", "taken"),
    [
        (True, True, 0.0, False),
        (True, False, 0.0, True),
        (True, True, 1_000.0, True),  # the number belongs to another process now, or the run is suspended
        (False, False, 0.0, False),  # a process of another machine cannot be asked
        (False, False, 1_000.0, True),
    ],
)
def test_the_claim_of_a_dead_run_is_void(tmp_path, dead, here, alive, age, taken):
    folder = tmp_path / ".claims"
    host = claims_module._host() if here else "another machine"
    path = claim_of(folder, os.getpid() if alive else dead, host, age)
    with Claims(folder) as claims:
        assert claims.take("a") is taken
        assert (folder / "a.2").exists() is taken
        assert path.exists()
    assert path.exists() is not taken


def test_a_run_removes_the_void_claims_of_others_at_its_end(tmp_path, dead):
    folder = tmp_path / ".claims"
    claim_of(folder, dead, claims_module._host())  # killed between the row and the release
    with Claims(folder) as claims:
        claims.take("b")
    assert not folder.exists()


def test_a_claim_that_is_being_written_holds(tmp_path):
    path = claim_of(tmp_path / ".claims", 0, "")
    path.write_text("")
    with Claims(path.parent) as claims:
        assert not claims.take("a")


def test_a_long_job_keeps_its_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_module, "_BEAT", 0.01)
    with Claims(tmp_path / ".claims") as claims:
        claims.take("a")
        path = tmp_path / ".claims" / "a.1"
        os.utime(path, (0, 0))
        end = time.monotonic() + 10
        while path.stat().st_mtime < 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 60


def test_one_of_many_takes_over_a_void_claim(tmp_path, dead):
    for turn in range(20):
        folder = tmp_path / str(turn) / ".claims"
        claim_of(folder, dead, claims_module._host())
        runs, results, barrier = [Claims(folder) for _ in range(6)], [], threading.Barrier(6)

        def attempt(run, barrier=barrier, results=results):
            barrier.wait()
            results.append(run.take("a"))

        threads = [threading.Thread(target=attempt, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(results) <= 1
        for run in runs:
            run.__exit__()
        with Claims(folder) as later:
            assert later.take("a")


def test_who_waits_for_a_claim_is_told_once(tmp_path):
    told = []
    with Claims(tmp_path / ".claims") as one, Claims(tmp_path / ".claims") as other:
        one.take("a")
        threading.Timer(0.3, one.release, ("a",)).start()
        with other.waiting("a", tell=lambda: told.append(1)):
            assert not one.take("a")
        with other.waiting("a", tell=lambda: told.append(2)):
            pass
    assert told == [1]
