"""What the routes tell."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamcam.config.schema import HttpSettings
from streamcam.errors import JobStoreError, StreamcamError
from streamcam.jobs.job_record import JobState
from streamcam.jobs.store import JobStore
from streamcam.schemas import schema
from streamcam.service.http.server import STATIC, HttpServer
from streamcam.service.metrics import Metrics
from streamcam.service.service_status import JobProgress
from streamcam.types import CameraState
from tests.jobs.conftest import arrive
from tests.service.http.conftest import FinishedJobs, Serve
from tests.service.http.fake_status import NO_FILE, FakeStatus, coloured
from tests.test_escapes import HOSTILE, SHOWN

PASSWORD = "hunter2secret"


def test_health_is_only_about_restarting(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front", CameraState.FAILED)
    fake.reasons = ["camera front: gone"]
    ask = serve(fake)
    assert (ask("/healthz").status, ask("/healthz").text) == (200, "alive\n")
    fake.is_alive = False
    assert ask("/healthz").status == 503


def test_readiness_gives_reasons(fake: FakeStatus, serve: Serve) -> None:
    ask = serve(fake)
    assert (ask("/readyz").status, ask("/readyz").json) == (200, {"ready": True, "reasons": []})
    fake.reasons = ["the engine is warming up", "camera front: no answer"]
    reply = ask("/readyz")
    assert (reply.status, reply.json["reasons"]) == (503, fake.reasons)


def test_status_has_cameras_with_their_last_detections(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front").write(coloured([9, 9, 9]))
    fake.add("yard", CameraState.STALLED)
    status = serve(fake)("/api/status").json
    front, yard = status["cameras"]
    assert (front["name"], front["state"], front["latency"]["p50"]) == ("front", "live", 0.18)
    assert 59 < front["seconds"] < 70
    assert front["latest"]["number"] == 1
    assert front["latest"]["record"]["detections"][0]["focus"]["lift"] == 3.2
    assert (yard["state"], yard["latest"]) == ("stalled", None)
    assert yard["error"] == "camera yard: no answer from 10.0.0.5"
    assert status["output_free_bytes"] == 250_000_000_000
    assert status["gpu_memory"]["cuda:0"]["total"] == 24_000_000_000


def test_the_last_result_has_the_form_of_a_record(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front").write(coloured([9, 9, 9]))
    camera = serve(fake)("/api/cameras/front").json
    jsonschema.validate(camera["latest"]["record"], schema("record"))


def test_unknown_cameras_and_jobs_are_not_found(fake: FakeStatus, serve: Serve) -> None:
    ask = serve(fake)
    for path in ("/api/cameras/nobody", "/api/cameras/nobody/picture", "/api/jobs/7", "/nothing"):
        assert ask(path).status == 404, path
    assert ask("/api/jobs/99999999999999999999999").status == 404
    assert ask("/api/jobs/seven").status == 422


def test_a_job_that_begins_or_ends_meanwhile_is_listed_once(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    """The running jobs and the latest ones are asked for one after the other."""
    answer = fake_with_jobs.jobs
    for first, second in ((JobState.RUNNING, JobState.DONE), (JobState.READY, JobState.RUNNING)):
        states = iter((first, second))

        def jobs(wanted: Sequence[JobState], limit: int) -> list[JobProgress]:
            now = next(states)  # noqa: B023 - called before the next round
            (video,) = (job for job in answer((), limit) if job.record.id == finished.video)
            if wanted and now not in wanted:
                return []
            return [replace(video, record=replace(video.record, state=now))]

        fake_with_jobs.jobs = jobs  # type: ignore[method-assign]
        listed = [job["number"] for job in serve(fake_with_jobs)("/api/jobs").json["jobs"]]
        assert listed == [finished.video]


def test_jobs_have_their_files_and_the_latest_is_first(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    ask = serve(fake_with_jobs)
    reply = ask("/api/jobs").json
    assert reply["counts"] == {
        "found": 0, "ready": 0, "running": 0, "done": 1, "failed": 1, "skipped": 0,
    }  # fmt: skip
    numbers = [job["number"] for job in reply["jobs"]]
    assert numbers == sorted(numbers, reverse=True)
    done = ask(f"/api/jobs/{finished.video}").json
    assert (done["name"], done["state"], done["progress"]) == ("street.mp4", "done", None)
    assert set(done["files"]) == {"video", "picture", "records", "manifest"}
    failed = ask(f"/api/jobs/{finished.broken}").json
    assert (failed["state"], failed["files"]) == ("failed", {})
    assert "not a video" in failed["error"]
    assert [job["number"] for job in ask("/api/jobs?limit=1").json["jobs"]] == numbers[:1]
    assert [job["state"] for job in ask("/api/jobs?state=failed").json["jobs"]] == ["failed"]
    assert ask("/api/jobs?state=lost").status == 422
    fake_with_jobs.progress[finished.video] = 0.25
    assert ask(f"/api/jobs/{finished.video}").json["progress"] == 0.25


def test_running_jobs_are_listed_whatever_came_later(
    store: JobStore, tmp_path: Path, serve: Serve
) -> None:
    arrive(store, tmp_path, "first.mp4", "second.mp4")
    assert store.claim("us", [tmp_path], alone=True)
    arrive(store, tmp_path, *(f"later{index}.mp4" for index in range(5)))
    ask = serve(FakeStatus(store))
    reply = [(job["name"], job["state"]) for job in ask("/api/jobs?limit=2").json["jobs"]]
    assert reply == [("first.mp4", "running"), ("later4.mp4", "ready"), ("later3.mp4", "ready")]
    names = [job["name"] for job in ask("/api/jobs?state=running&state=ready").json["jobs"]]
    assert (len(names), names[0], names[-1]) == (7, "first.mp4", "second.mp4")


def test_a_name_that_is_not_utf8_is_returned_escaped(
    store: JobStore, tmp_path: Path, serve: Serve
) -> None:
    arrive(store, tmp_path, os.fsdecode(b"caf\xe9.mp4"))
    (reply,) = serve(FakeStatus(store))("/api/jobs").json["jobs"]
    assert (reply["name"], reply["path"]) == ("caf\ufffd.mp4", f"{tmp_path}/caf\ufffd.mp4")


def test_messages_of_libraries_are_escaped(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front", CameraState.BACKING_OFF)
    half = "\udce9"  # of a file name that is not UTF-8; no encoding takes it
    fake.statuses["front"] = replace(fake.statuses["front"], error=HOSTILE + half, hint=HOSTILE)
    (camera,) = serve(fake)("/api/status").json["cameras"]
    assert (camera["error"], camera["hint"]) == (SHOWN + r"\udce9", SHOWN)


def test_metrics_are_served_in_prometheus_own_format(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front")
    reply = serve(fake)("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(reply.text)}
    assert {
        "streamcam_source_up",
        "streamcam_last_frame_age_seconds",
        "streamcam_frames",
        "streamcam_reconnects",
        "streamcam_stage_seconds",
        "streamcam_e2e_latency_seconds",
        "streamcam_jobs",
        "streamcam_output_free_bytes",
        "streamcam_gpu_memory_bytes",
        "streamcam_cam_lift",
        "streamcam_cam_flicker",
    } <= names


def test_every_route_is_described_and_answers_head(
    fake_with_jobs: FakeStatus, finished: FinishedJobs, serve: Serve
) -> None:
    fake_with_jobs.add("front").write(coloured([9, 9, 9]))
    ask = serve(fake_with_jobs)
    paths = ask("/openapi.json").json["paths"]
    assert len(paths) >= 13
    for path, methods in paths.items():
        assert all(method["description"] for method in methods.values()), path
    for path in ("/", "/docs", "/api/status", "/api/jobs", "/metrics", "/static/app.js"):
        reply = ask(path, "HEAD")
        assert (reply.status, reply.body) == (200, b""), path
    video = f"/api/jobs/{finished.video}/files/video"
    assert ask(video, "HEAD").headers["content-length"] == str(len(ask(video).body))


def test_nothing_but_get_and_head_is_taken(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front")
    ask = serve(fake)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path in ("/api/status", "/api/cameras/front", "/", "/healthz", "/static/app.js"):
            assert ask(path, method).status == 405, (method, path)


def test_pages_load_nothing_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file


class WithoutStore(FakeStatus):
    """A fake whose job store is broken, and whose people forgot to redact."""

    fault = f"rtsp://admin:{PASSWORD}@10.0.0.5/live?token={PASSWORD} does not answer"

    def job_counts(self) -> Mapping[JobState, int]:
        raise JobStoreError(self.fault)


class Broken(WithoutStore):
    """A fake with a fault of its own."""

    def recordings(self, camera: str) -> Path | None:  # noqa: ARG002
        raise RuntimeError(self.fault)


def test_a_cameras_password_is_in_no_answer(serve: Serve, fake: FakeStatus) -> None:
    for each in (fake, WithoutStore(), Broken()):
        each.add("front", CameraState.BACKING_OFF).write(coloured([9, 9, 9]))
        each.statuses["front"] = replace(
            each.statuses["front"],
            url=f"rtsp://admin:{PASSWORD}@10.0.0.5/live",
            error=WithoutStore.fault,
            hint=WithoutStore.fault,
            sink_errors={"publishing": WithoutStore.fault},
        )
        each.reasons = [WithoutStore.fault]
        ask = serve(each)
        for path in (
            *("/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/api/status"),
            *("/api/jobs", "/api/cameras/front", "/api/cameras/front/picture"),
            *("/api/cameras/front/recordings", "/api/live?front=x", "/login"),
        ):
            reply = ask(path)
            assert PASSWORD.encode() not in reply.body, path
            assert PASSWORD not in str(reply.headers), path
    assert ask("/api/status").status == 500
    assert ask("/api/jobs").status == 503
    assert ask("/api/jobs").json["detail"] == "rtsp://10.0.0.5/live does not answer"


def test_cameras_are_returned_though_the_job_store_cannot_be_read(serve: Serve) -> None:
    fake = WithoutStore()
    fake.add("front")
    ask = serve(fake)
    status = ask("/api/status").json
    assert (status["cameras"][0]["name"], status["jobs"]) == ("front", {})
    assert status["not_ready"] == ["rtsp://10.0.0.5/live does not answer"]
    assert 'streamcam_source_up{source="front"} 1.0' in ask("/metrics").text


def test_a_port_in_use_is_an_error(fake: FakeStatus) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = HttpServer(fake, Metrics(), HttpSettings(port=port), NO_FILE)
        with pytest.raises(StreamcamError, match=f"cannot listen on 127.0.0.1:{port}: Address"):
            server.start()
        server.stop()


def test_it_can_be_stopped_with_clients_and_started_again(fake: FakeStatus, serve: Serve) -> None:
    fake.add("front")
    ask = serve(fake)
    with socket.create_connection(("127.0.0.1", ask.port)) as watcher:
        watcher.sendall(b"GET /api/live?front=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server = HttpServer(fake, Metrics(), HttpSettings(port=0), NO_FILE)
        server.start()
        server.stop()
        server.stop()
