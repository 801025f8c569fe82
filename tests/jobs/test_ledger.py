import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamcam.jobs.arrivals import Arrivals
from streamcam.jobs.catalogue import Catalogue
from streamcam.jobs.database import FILE_NAME, Database
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.owner import myself
from streamcam.jobs.record import JobRecord, State
from streamcam.jobs.recovery import Recovered, take_back
from tests.jobs.conftest import arrive

CLAIM_ALL = """
import json, sys
from pathlib import Path
from streamcam.jobs.database import Database
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.owner import myself
from streamcam.jobs.record import State
state, root = map(Path, sys.argv[1:])
ledger, me, taken = Ledger(Database(state)), myself(), []
while (job := ledger.claim(me, [root], alone=True)) is not None:
    taken.append(job.id)
    ledger.finish(job.id, me, State.DONE)
print(json.dumps(taken))
"""

CLAIM_ONE = """
import sys
from pathlib import Path
from streamcam.jobs.database import Database
from streamcam.jobs.ledger import Ledger
from streamcam.jobs.owner import myself
state, root = map(Path, sys.argv[1:])
print(Ledger(Database(state)).claim(myself(), [root], alone=True).id, flush=True)
input()
"""


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.fixture
def job(database: Database) -> Callable[[int], JobRecord]:
    return lambda number: Catalogue(database).find(str(number))


def claimed(ledger: Ledger, root: Path, *, alone: bool = True) -> int | None:
    job = ledger.claim("me", [root], alone=alone)
    return None if job is None else job.id


def test_jobs_are_claimed_in_order_of_arrival(
    ledger: Ledger, arrivals: Arrivals, root: Path
) -> None:
    arrive(arrivals, root, "c", "a", "b")
    taken = [ledger.claim("me", [root], alone=True) for _ in range(4)]
    assert [job and job.path.name for job in taken] == ["c", "a", "b", None]
    assert all(job.attempts == 1 for job in taken if job)


def test_jobs_of_other_folders_are_left_alone(
    ledger: Ledger, arrivals: Arrivals, root: Path
) -> None:
    arrive(arrivals, root, "a")
    assert ledger.claim("me", [root.parent], alone=True) is None
    assert ledger.rest([root.parent]) == 0
    assert ledger.rest([root]) == 1


def test_processes_that_race_never_take_the_same_job(
    database: Database, arrivals: Arrivals, root: Path, tmp_path: Path
) -> None:
    with arrivals.together():
        arrive(arrivals, root, *(f"{number}" for number in range(300)))
    file = str(tmp_path / "state" / FILE_NAME)
    racers = [
        subprocess.Popen([sys.executable, "-c", CLAIM_ALL, file, str(root)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    taken = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sorted(job for part in taken for job in part) == list(range(1, 301))
    assert database.rows("PRAGMA integrity_check")[0][0] == "ok"


def test_an_ended_job_is_nobody_s(
    ledger: Ledger, arrivals: Arrivals, root: Path, job: Callable[[int], JobRecord]
) -> None:
    arrive(arrivals, root, "a")
    number = claimed(ledger, root)
    assert number == 1
    ledger.finish(1, "somebody else", State.FAILED, error="not yours")
    assert job(1).state is State.RUNNING
    ledger.finish(1, "me", State.DONE, outputs={"video": Path("/o\udc80ut.mp4")})
    ledger.give_back(1, "me")
    done = job(1)
    assert (done.state, done.owner, done.outputs) == (
        *(State.DONE, None, {"video": Path("/o\udc80ut.mp4")}),
    )


def test_a_job_given_back_has_not_been_tried(
    ledger: Ledger, arrivals: Arrivals, root: Path, job: Callable[[int], JobRecord]
) -> None:
    arrive(arrivals, root, "a")
    claimed(ledger, root)
    ledger.give_back(1, "me")
    assert (job(1).state, job(1).attempts) == (State.READY, 0)
    claimed(ledger, root)
    ledger.give_back(1, "me", changed=True)
    assert (job(1).state, job(1).attempts, job(1).redo) == (State.FOUND, 0, True)


def test_a_failed_attempt_waits(
    ledger: Ledger, arrivals: Arrivals, root: Path, job: Callable[[int], JobRecord]
) -> None:
    arrive(arrivals, root, "a")
    claimed(ledger, root)
    ledger.retry_later(1, "me", "disk", None, 0.3)
    assert claimed(ledger, root) is None
    assert ledger.rest([root]) == 1
    assert job(1).error == "disk"
    time.sleep(0.35)
    assert claimed(ledger, root) == 1
    assert job(1).attempts == 2


def recovered(database: Database, trace: str | None = None, attempts: int = 3) -> list[Recovered]:
    return take_back(database, lambda _: trace, attempts)


def kill_a_worker(tmp_path: Path, root: Path) -> None:
    """Let a process claim a job and kill it."""
    file = str(tmp_path / "state" / FILE_NAME)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM_ONE, file, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == "1"
        worker.send_signal(signal.SIGKILL)


def test_the_job_of_a_killed_process_is_taken_back_at_once_and_the_living_keep_theirs(
    database: Database,
    ledger: Ledger,
    arrivals: Arrivals,
    root: Path,
    tmp_path: Path,
    job: Callable[[int], JobRecord],
) -> None:
    arrive(arrivals, root, "a", "b")
    kill_a_worker(tmp_path, root)
    living = ledger.claim(myself(), [root], alone=True)
    assert living is not None
    assert [r.job.id for r in recovered(database)] == [1]
    assert (job(1).state, job(1).attempts, job(1).kills) == (State.READY, 0, 1)
    assert job(living.id).state is State.RUNNING


def test_a_job_that_crashes_the_process_is_set_aside_after_all_its_attempts(
    database: Database,
    ledger: Ledger,
    arrivals: Arrivals,
    root: Path,
    tmp_path: Path,
    job: Callable[[int], JobRecord],
) -> None:
    arrive(arrivals, root, "a", "b")
    for attempt in (1, 2, 3):
        kill_a_worker(tmp_path, root)
        (back,) = recovered(database, "Segmentation fault")
        assert back.state is (State.FAILED if attempt == 3 else State.READY)
        if attempt == 1:
            assert claimed(ledger, root, alone=False) == 2, "the others' turn comes first"
            assert claimed(ledger, root, alone=False) is None, "a suspect runs alone"
    assert "Segmentation fault" in (job(1).error or "")


def test_kills_count_for_less_than_crashes(
    database: Database,
    arrivals: Arrivals,
    ledger: Ledger,
    root: Path,
    job: Callable[[int], JobRecord],
) -> None:
    arrive(arrivals, root, "a")
    gone = f"{myself().rpartition(' ')[0]} 1"
    for _ in range(20):
        assert job(1).state is State.READY
        ledger.claim(gone, [root], alone=True)
        recovered(database, attempts=1)
    assert job(1).state is State.FAILED
    assert "killed 20 times" in (job(1).error or "")


def test_a_silent_owner_elsewhere_loses_its_jobs(
    database: Database, ledger: Ledger, arrivals: Arrivals, root: Path
) -> None:
    arrive(arrivals, root, "a")
    far = "elsewhere/boot/pid:[1] 7 7"
    ledger.claim(far, [root], alone=True)
    assert recovered(database) == []
    with database.transaction() as connection:
        connection.execute("UPDATE jobs SET heartbeat = heartbeat - 61")
    ledger.beat(far)
    assert recovered(database) == []
    with database.transaction() as connection:
        connection.execute("UPDATE jobs SET heartbeat = heartbeat + 3600")
    assert len(recovered(database)) == 1, "a heartbeat from the future is a clock that jumped"


def test_a_job_costs_the_ledger_milliseconds(
    ledger: Ledger, arrivals: Arrivals, root: Path
) -> None:
    with arrivals.together():
        arrive(arrivals, root, *(f"{number}" for number in range(200)))
    seconds = []
    for _ in range(200):
        begun = time.perf_counter()
        job = ledger.claim("me", [root], alone=True)
        assert job is not None
        ledger.owned(job.id, "me")
        ledger.finish(job.id, "me", State.DONE)
        seconds.append(time.perf_counter() - begun)
    assert statistics.median(seconds) < 0.02
