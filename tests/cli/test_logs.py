"""What stands in the log, to the byte."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from streamcam.cli.logs import (
    JsonFormatter,
    LogFormat,
    RateLimitHandler,
    TextFormatter,
    configure_logging,
    goes_to_journal,
)
from streamcam.urls import Redactor, redacted_url
from tests.cli.conftest import environment
from tests.clocks import ManualClock

CAMERA = "rtsp://admin:s3cret%20word@cam/live"
NOON = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    loggers = logging.getLogger(), logging.getLogger("streamcam")
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    logging.captureWarnings(False)
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def record(
    message: str = "%s: no answer",
    *arguments: object,
    level: int = logging.WARNING,
    error: BaseException | None = None,
    **extra: object,
) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {
            "name": "streamcam.test",
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "args": arguments,
            "created": NOON,
            "exc_info": (type(error), error, error.__traceback__) if error else None,
        }
    )
    vars(made).update(extra)
    return made


def raised(text: str) -> Exception:
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        raise ValueError(text)
    return caught.value


def text(made: logging.LogRecord, *, debug: bool = False, journal: bool = False) -> str:
    return TextFormatter(Redactor(CAMERA), debug=debug, journal=journal).format(made)


def json(made: logging.LogRecord, *, debug: bool = False, journal: bool = False) -> str:
    return JsonFormatter(Redactor(CAMERA), debug=debug, journal=journal).format(made)


def test_a_text_line_has_time_level_logger_and_message() -> None:
    assert text(record("%s: no answer", "door")) == (
        "2026-07-01T12:00:00.250Z WARNING streamcam.test: door: no answer"
    )


@pytest.mark.parametrize(
    ("level", "prefix"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_the_journal_gets_priorities_and_knows_the_time_itself(level: int, prefix: str) -> None:
    made = record("%s: no answer", "door", level=level)
    assert text(made, journal=True) == f"{prefix}streamcam.test: door: no answer"
    assert json(made, journal=True).startswith(prefix + '{"time":"2026-07-01T12:00:00.250Z"')


def test_a_line_of_json_has_the_extras_too() -> None:
    made = record("%s: no answer", "door", source="door", attempt=3, level_of=[Path("/a"), None])
    assert json(made) == (
        '{"time":"2026-07-01T12:00:00.250Z","level":"warning","logger":"streamcam.test",'
        '"message":"door: no answer","source":"door","attempt":3,"level_of":["/a",null]}'
    )


def test_extras_cannot_pass_for_what_every_line_has() -> None:
    made = record("told", time="yesterday", logger="nobody")
    vars(made)["level"] = "fine"
    line = orjson.loads(json(made))
    assert (line["time"], line["level"]) == ("2026-07-01T12:00:00.250Z", "warning")
    assert line["logger"] == "streamcam.test"


@pytest.mark.parametrize(
    "secret", [CAMERA, "s3cret%20word", "s3cret word", "admin:s3cret%20word", "rtsp://u:pw9@x/y"]
)
def test_no_line_holds_a_secret(secret: str) -> None:
    made = [
        record("cannot open %s", secret, error=raised(f"401 from {secret}")),
        record(f"cannot open {secret}"),
        record("told", url=secret, deep={"a": [secret], secret: 1}, odd=OSError(secret)),
        record("%d frames from", secret),
    ]
    for one in made:
        for written in (text(one, debug=True), json(one, debug=True)):
            assert not re.search(r"s3cret|word|pw9", written), written


def test_tracebacks_are_for_debugging_only() -> None:
    made = record("%s: internal fault", "door", error=raised("no such\nkey"))
    usual = text(made, journal=True)
    assert usual == r"<4>streamcam.test: door: internal fault: ValueError: no such\nkey"
    first, *where = text(made, journal=True, debug=True).split("\n")
    assert first == usual
    assert where[0] == "<4>Traceback (most recent call last):"
    assert all(line.startswith("<4>") for line in where)
    assert "traceback" not in orjson.loads(json(made))
    assert orjson.loads(json(made, debug=True))["traceback"][0].startswith("Traceback")


def test_an_error_in_the_message_is_not_repeated() -> None:
    error = raised("no answer")
    assert text(record("door: %s", error, error=error)).endswith("streamcam.test: door: no answer")


def test_nothing_in_a_message_can_begin_another_line() -> None:
    made = record("%s: done", "a\n<0>fake\x1b[2J\r\u2028b\udcff.mp4")
    shown = r"a\n<0>fake\x1b[2J\r\u2028b\udcff.mp4: done"
    assert text(made, journal=True) == f"<4>streamcam.test: {shown}"
    assert orjson.loads(json(made))["message"] == shown


def test_a_slip_of_the_code_that_logs_is_still_a_line() -> None:
    made = record("%d frames of %s", "many")
    assert text(made, journal=True) == "<4>streamcam.test: %d frames of %s ('many',)"


def test_numbers_that_json_cannot_hold_are_text() -> None:
    line = orjson.loads(json(record("told", big=1 << 70, nothing=float("nan"), yes=True)))
    assert (line["big"], line["nothing"], line["yes"]) == (str(1 << 70), None, True)


class Log:
    """Lines behind a handler that holds repetitions back."""

    def __init__(self, lines: type[TextFormatter] | type[JsonFormatter] = TextFormatter) -> None:
        self.clock = ManualClock(0.0)
        self.stream = io.StringIO()
        target = logging.StreamHandler(self.stream)
        target.setFormatter(lines(redacted_url, journal=lines is TextFormatter))
        self.repeats = RateLimitHandler(target, period=60.0, clock=self.clock)

    def told(self, *arguments: object, times: int = 1, **options: object) -> list[str]:
        for _ in range(times):
            self.repeats.handle(record("%s: no answer", *arguments, **options))  # type: ignore[arg-type]
        return self.written()

    def written(self) -> list[str]:
        lines = self.stream.getvalue().splitlines()
        self.stream.truncate(0)
        self.stream.seek(0)
        return lines


def test_a_repeated_record_is_written_once_a_period_with_its_count() -> None:
    log = Log()
    assert log.told("door", times=42) == ["<4>streamcam.test: door: no answer"]
    assert log.told("gate") == []
    log.clock.now = 59.9
    log.repeats.flush_due()
    assert log.written() == []
    log.clock.now = 60.0
    log.repeats.flush_due()
    assert log.written() == ["<4>streamcam.test: gate: no answer (and 41 more in the last 60 s)"]
    log.clock.now = 100.0
    assert log.told("door", times=2) == []
    log.clock.now = 130.0
    log.repeats.flush_due()
    assert log.written() == ["<4>streamcam.test: door: no answer (and 1 more in the last 70 s)"]


def test_every_record_is_written_or_counted() -> None:
    log = Log()
    lines: list[str] = []
    for second in range(1000):
        log.clock.now = float(second)
        lines += log.told("door")
    log.repeats.close()
    lines += log.written()
    counted = sum(int(found) for found in re.findall(r"and (\d+) more", "\n".join(lines)))
    assert len(lines) + counted == 1000
    assert len(lines) == 1000 // 60 + 2


def test_a_single_repetition_is_written_late_and_as_it_was() -> None:
    log = Log()
    assert log.told("door", times=2) == ["<4>streamcam.test: door: no answer"]
    log.clock.now = 60.0
    log.repeats.flush_due()
    assert log.written() == ["<4>streamcam.test: door: no answer"]


def test_what_is_held_back_comes_with_the_next_line_of_anybody() -> None:
    log = Log()
    log.told("door", times=3)
    log.clock.now = 90.0
    log.repeats.handle(record("something else"))
    assert log.written() == [
        "<4>streamcam.test: door: no answer (and 1 more in the last 90 s)",
        "<4>streamcam.test: something else",
    ]


def test_a_record_after_a_period_without_any_is_written_at_once() -> None:
    log = Log()
    log.told("door")
    log.clock.now = 61.0
    assert log.told("door") == ["<4>streamcam.test: door: no answer"]


def test_two_sources_are_two_facts_and_so_are_two_levels() -> None:
    log = Log()
    assert len(log.told("door", source="door") + log.told("gate", source="gate")) == 2
    assert len(log.told("door", source="door", level=logging.ERROR)) == 1
    assert log.told("door", source="door") == []


def test_debug_messages_all_pass() -> None:
    assert len(Log().told("door", times=3, level=logging.DEBUG)) == 3


def test_facts_that_are_over_are_forgotten() -> None:
    log = Log()
    for number in range(1000):
        log.clock.now = float(number)
        log.told("clip", source=f"{number}.mp4")
    assert len(log.repeats._periods) <= 60


def test_json_has_the_count_as_a_number() -> None:
    log = Log(JsonFormatter)
    log.told("door", times=5)
    log.repeats.flush()
    line = orjson.loads(log.written()[0])
    assert (line["message"], line["repeated"]) == ("door: no answer", 3)


def test_a_service_logs_what_its_libraries_warn_of() -> None:
    stream = io.StringIO()
    configure_logging(logging.INFO, LogFormat.JSON, Redactor(CAMERA), stream)
    logging.getLogger("streamcam.test").info("started")
    logging.getLogger("library").info("chatter")
    logging.getLogger("library").warning("401 for %s", CAMERA)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    started, refused, warned = map(orjson.loads, stream.getvalue().splitlines())
    assert (started["level"], started["message"]) == ("info", "started")
    assert (refused["logger"], refused["message"]) == ("library", "401 for rtsp://cam/live")
    assert warned["logger"] == "py.warnings"


def test_a_reload_changes_the_log_and_loses_nothing() -> None:
    first, second = io.StringIO(), io.StringIO()
    logger = logging.getLogger("streamcam.test")
    configure_logging(logging.INFO, LogFormat.TEXT, stream=first)
    for _ in range(3):
        logger.info("told")
    configure_logging(logging.INFO, LogFormat.JSON, stream=second)
    logger.info("changed")
    assert first.getvalue().count("told") == 2
    assert "(and 1 more in the last 0 s)" in first.getvalue()
    assert orjson.loads(second.getvalue())["message"] == "changed"


def test_the_journal_is_recognised_by_its_file() -> None:
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as stream:
        found = os.fstat(write)
        journal = f"{found.st_dev}:{found.st_ino}"
        assert goes_to_journal(stream, {"JOURNAL_STREAM": journal})
        assert not goes_to_journal(stream, {"JOURNAL_STREAM": f"{journal}1"})
        assert not goes_to_journal(stream, {})
        assert not goes_to_journal(io.StringIO(), {"JOURNAL_STREAM": journal})


SERVICE = """
import logging, sys
from streamcam.cli.logs import LogFormat, configure_logging
configure_logging(logging.INFO, LogFormat(sys.argv[1]))
for _ in range(3): logging.getLogger("streamcam.test").warning("[b]%s[/b]: no answer", "door")
"""


def service(log_format: str) -> list[str]:
    return [sys.executable, "-c", SERVICE, log_format]


def test_counted_records_are_written_at_exit() -> None:
    read, write = os.pipe()
    found = os.fstat(write)
    variables = environment(JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}")
    with os.fdopen(read, "rb") as reader:
        with os.fdopen(write, "wb") as writer:
            subprocess.run(service("text"), stderr=writer, env=variables, check=True, timeout=60)
        assert reader.read() == (
            b"<4>streamcam.test: [b]door[/b]: no answer\n"
            b"<4>streamcam.test: [b]door[/b]: no answer (and 1 more in the last 0 s)\n"
        )


def test_a_terminal_is_spoken_to_as_people_are() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb") as stderr:
            subprocess.run(
                service("text"), stderr=stderr, env=environment(TERM="dumb"), check=True, timeout=60
            )
        shown = screen.read(4096).decode()
    assert "WARNING" in shown
    assert "[b]door[/b]: no answer" in shown
    assert "<4>" not in shown
    assert "streamcam.test" not in shown
