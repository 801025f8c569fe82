"""The event store: every event of the cameras in one SQLite table, beside their recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from sqlite3 import Row
from typing import Any

import orjson

from streamcam.database import Database, DatabaseKind, Migrations, SqlValue, placeholders
from streamcam.errors import EventStoreError, UsageError
from streamcam.events.event import Event, first_id
from streamcam.events.event_json import as_json, moment_json

FILE_NAME = "events.sqlite"

_MIGRATIONS: Migrations = (
    (
        """
        CREATE TABLE events (
            id TEXT PRIMARY KEY,
            source TEXT NOT NULL,
            label TEXT NOT NULL,
            running INTEGER NOT NULL,
            suspect INTEGER NOT NULL,
            dismissed INTEGER NOT NULL DEFAULT 0,
            latest TEXT,
            clip TEXT NOT NULL CHECK (clip IN ('pending', 'ready', 'none')),
            clip_note TEXT,
            clip_begin TEXT,
            content TEXT NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX events_by_source ON events (source, id)",
        "CREATE INDEX events_by_label ON events (label, id)",
        "CREATE INDEX suspect_events ON events (id) WHERE suspect",
        "CREATE INDEX dismissed_events ON events (id) WHERE dismissed",
        "CREATE INDEX running_events ON events (id) WHERE running",
        "CREATE INDEX events_with_clip_due ON events (id) WHERE clip = 'pending' AND NOT running",
        """
        CREATE TABLE zones (
            zone TEXT NOT NULL,
            event TEXT NOT NULL REFERENCES events (id),
            PRIMARY KEY (zone, event)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX zones_by_event ON zones (event)",
    ),
)

_EVENT_STORE = DatabaseKind(
    "the event store",
    EventStoreError,
    _MIGRATIONS,
    when_damaged="Move it away: a new one is made, and the lines of events.jsonl stay.",
    elsewhere="--output",
)


class ClipState(StrEnum):
    """Whether an event has a clip: it waits for its recording, it is there, there is none."""

    PENDING = "pending"
    READY = "ready"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are listed; an empty tuple and None allow all.

    Attributes:
        since, until: Bounds of an event's begin, in seconds since 1970; `until` is not included.
        suspects: Whether only those that may be false alarms are listed.
        dismissed: Whether only dismissed events are listed, instead of all others.
    """

    sources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    suspects: bool = False
    dismissed: bool = False


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of the store.

    Attributes:
        content: The event, in the form of the schema "event".
        clip_note: Why there is no clip, None where there is one or none is known yet.
        clip_begin: When the clip's first frame was taken, ISO 8601; None without a clip.
    """

    id: str
    source: str
    content: dict[str, Any]
    dismissed: bool
    clip: ClipState
    clip_note: str | None
    clip_begin: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the event and what the store knows of it, in the form of the schema "event"."""
        extra = {name: getattr(self, name) for name in ("dismissed", "clip_note", "clip_begin")}
        return {**self.content, **extra, "clip": self.clip.value}


class EventStore:
    """Events by their ids, which sort by time; usable from any thread and several processes.

    All methods raise `EventStoreError`, and those that write `DiskFullError`.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _EVENT_STORE)

    @classmethod
    def open_existing(cls, folder: Path) -> "EventStore":
        """Open the store of an output folder; raises `UsageError` where there is none."""
        path = folder / FILE_NAME
        if not path.exists():
            raise UsageError(
                f"no events in {folder}",
                hint="Cameras with a table [camera.events] make some; name their folder with "
                "--output or --config.",
            )
        return cls(path)

    def close(self) -> None:
        self._database.close()

    # What the finder tells

    def put(self, event: Event, clip: ClipState, note: str | None = None) -> None:
        """Insert an event or replace what is known of it; its clip's state is set at first only."""
        latest = None if event.latest is None else _text(moment_json(event.latest))
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO events (id, source, label, running, suspect, latest, clip, clip_note,"
                " content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " running = excluded.running, suspect = excluded.suspect,"
                " latest = excluded.latest, content = excluded.content",
                *(event.id, event.source, event.label, event.end is None),
                *(bool(event.suspicions), latest, clip.value, note, _text(as_json(event))),
            )
            for zone in event.zones:
                self._database.execute("INSERT OR IGNORE INTO zones VALUES (?, ?)", zone, event.id)

    def close_running(self, sources: Sequence[str]) -> list[StoredEvent]:
        """End the events that a killed process left, with the last frame that is known of them."""
        among = f"source IN ({placeholders(sources)})"
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT * FROM events WHERE running AND {among}",  # noqa: S608
                *sources,
            )
            for row in rows:
                content = {**orjson.loads(row["content"]), "end": orjson.loads(row["latest"])}
                self._database.execute(
                    "UPDATE events SET running = 0, content = ? WHERE id = ?",
                    *(_text(content), row["id"]),
                )
        return [event for row in rows if (event := self.get(row["id"])) is not None]

    # Clips

    def clips_due(self) -> list[StoredEvent]:
        """Return the events that are over and wait for their clip, the oldest first."""
        return self._stored(
            "SELECT * FROM events WHERE clip = 'pending' AND NOT running ORDER BY id"
        )

    def set_clip(
        self, event_id: str, state: ClipState, *, begin: str | None = None, note: str | None = None
    ) -> None:
        self._database.execute(
            "UPDATE events SET clip = ?, clip_begin = ?, clip_note = ? WHERE id = ?",
            *(state.value, begin, note, event_id),
        )

    # For people

    def get(self, event_id: str) -> StoredEvent | None:
        return next(iter(self._stored("SELECT * FROM events WHERE id = ?", event_id)), None)

    def find(
        self, chosen: EventFilter, limit: int, before: str | None = None
    ) -> Sequence[StoredEvent]:
        """Return events, the newest first: at most `limit`, of those with ids below `before`."""
        conditions: list[str] = ["dismissed" if chosen.dismissed else "NOT dismissed"]
        values: list[SqlValue] = []
        if chosen.suspects:
            conditions.append("suspect")
        for column, wanted in (("source", chosen.sources), ("label", chosen.labels)):
            if wanted:
                conditions.append(f"{column} IN ({placeholders(wanted)})")
                values += wanted
        if chosen.zones:
            among = f"zone IN ({placeholders(chosen.zones)})"
            conditions.append(f"id IN (SELECT event FROM zones WHERE {among})")  # noqa: S608
            values += chosen.zones
        bounds = (
            (">=", None if chosen.since is None else first_id(chosen.since)),
            ("<", None if chosen.until is None else first_id(chosen.until)),
            ("<", before),
        )
        for sign, bound in bounds:
            if bound is not None:
                conditions.append(f"id {sign} ?")
                values.append(bound)
        where = " AND ".join(conditions)
        statement = f"SELECT * FROM events WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
        return self._stored(statement, *values, limit)

    def choices(self) -> dict[str, list[str]]:
        """Return the sources, labels and zones that there are events of, each sorted."""
        names = {"source": "events", "label": "events", "zone": "zones"}
        return {
            column: [row[0] for row in self._database.rows(_distinct(column, table))]
            for column, table in names.items()
        }

    def dismiss(self, event_id: str, *, dismissed: bool = True) -> bool:
        """Take an event from the lists, or back into them; return whether it exists."""
        statement = "UPDATE events SET dismissed = ? WHERE id = ?"
        return self._database.execute(statement, dismissed, event_id) > 0

    def delete_before(self, seconds: float) -> int:
        """Delete the events that began before a moment, and return their number."""
        bound = first_id(seconds)
        with self._database.transaction():
            self._database.execute("DELETE FROM zones WHERE event < ?", bound)
            return self._database.execute("DELETE FROM events WHERE id < ? AND NOT running", bound)

    def _stored(self, statement: str, *values: SqlValue) -> list[StoredEvent]:
        return [_stored(row) for row in self._database.rows(statement, *values)]


def _distinct(column: str, table: str) -> str:
    """Return a statement that jumps from value to value in an index: DISTINCT would read all."""
    return (
        f"WITH RECURSIVE found(value) AS (SELECT min({column}) FROM {table} UNION ALL "  # noqa: S608
        f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > value) FROM found "
        "WHERE value IS NOT NULL) SELECT value FROM found WHERE value IS NOT NULL"
    )


def _stored(row: Row) -> StoredEvent:
    values = {field.name: row[field.name] for field in fields(StoredEvent)}
    changed = {
        "content": orjson.loads(row["content"]),
        "dismissed": bool(row["dismissed"]),
        "clip": ClipState(row["clip"]),
    }
    return StoredEvent(**values | changed)


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
