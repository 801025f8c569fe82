"""`streamcam events`: list, show, export and dismiss the events of cameras, also while they run."""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcam.cli import options
from streamcam.cli.terminal import output, print_json, show_error, styled, table
from streamcam.config import load_settings
from streamcam.config.fields import Tables
from streamcam.errors import ExitCode, UsageError
from streamcam.escapes import printable_json
from streamcam.events.event_store import EventFilter, EventStore, StoredEvent
from streamcam.files import readable, write_file
from streamcam.media_errors import writing
from streamcam.sinks.recording.naming import CLIP, CLIP_RECORDS, HEAT_STILL, STILL, event_file

app = typer.Typer(no_args_is_help=True, help="See, export and dismiss the events of cameras.")

_FLAGS = options.from_settings("output.folder")

_Ids = Annotated[list[str], typer.Argument(help="Ids of events.", metavar="EVENT...")]

_EXPORTED = {"clip": CLIP, "records": CLIP_RECORDS, "snapshot": STILL, "heat": HEAT_STILL}


@dataclass(frozen=True, slots=True)
class _Events:
    """The store of an output folder, and the folder."""

    store: EventStore
    folder: Path

    def get(self, event_id: str) -> StoredEvent:
        """Return an event; raises `UsageError` where there is none of that id."""
        found = self.store.get(event_id)
        if found is None:
            raise UsageError(
                f"no event {event_id} in {self.folder}",
                hint="`streamcam events list` shows their ids.",
            )
        return found

    def facts(self, event: StoredEvent) -> dict[str, Any]:
        """Return an event in the form of the schema "event", and where its files are."""
        files = {kind: readable(path) for kind, path in self.files(event).items()}
        return {**event.as_json(), "files": files}

    def files(self, event: StoredEvent) -> dict[str, Path]:
        """Return the files of an event that are there, by kind."""
        folder = self.folder / event.source
        paths = {kind: event_file(folder, event.id, end) for kind, end in _EXPORTED.items()}
        return {kind: path for kind, path in paths.items() if path.is_file()}


@app.command("list")
@_FLAGS
def list_events(
    flags: Tables,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", help="Only of this camera; repeatable.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--class", help="Only of this class; repeatable.")
    ] = None,
    zone: Annotated[
        list[str] | None, typer.Option("--zone", help="Only if in this zone; repeatable.")
    ] = None,
    day: Annotated[
        str | None, typer.Option("--day", help="Only of a day, e.g. 2025-03-01.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Begun then or later, e.g. 2025-03-01T12:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Begun before then.")] = None,
    suspects: Annotated[
        bool, typer.Option("--suspects", help="Only those that may be false alarms.")
    ] = False,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Only dismissed ones.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many of the latest are shown.")
    ] = 100,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """List events, the latest last; --json prints one object a line. Times are UTC."""
    begin, end = _bounds(day, since, until)
    sources, labels, zones = (tuple(each or ()) for each in (camera, label, zone))
    chosen = EventFilter(sources, labels, zones, begin, end, suspects, dismissed)
    with _opened(config, flags) as events:
        found = events.store.find(chosen, limit)[::-1]
        if json:
            for event in found:
                print_json(events.facts(event))
        else:
            _print_events(found)


@app.command()
@_FLAGS
def show(
    event: Annotated[str, typer.Argument(help="Its id.")],
    flags: Tables,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Show all that is known of one event, and where its files are."""
    with _opened(config, flags) as events:
        facts = events.facts(events.get(event))
    if json:
        print_json(facts, indent=True)
        return
    rows = table("name", "value", show_header=False)
    for name, value in facts.items():
        for key, part in value.items() if isinstance(value, dict) else [("", value)]:
            if part not in (None, []):
                shown = ", ".join(map(str, part)) if isinstance(part, list) else str(part)
                rows.add_row(f"{name} {key}".replace("_", " ").strip(), shown)
    output().print(rows)


@app.command()
@_FLAGS
def export(
    ids: _Ids,
    flags: Tables,
    to: Annotated[Path, typer.Option("--to", help="Folder for the copies.")] = Path("events"),
    config: options.Config = None,
) -> None:
    """Copy clips, stills and facts of events into a folder, named after their ids."""
    with _opened(config, flags) as events:
        for event in [events.get(each) for each in ids]:
            if "clip" not in _export(event, events, to):
                reason = event.clip_note or f"its clip is {event.clip.value}"
                output().print(f"{event.id}: no clip: {reason}", soft_wrap=True)
    output().print(f"{_count(len(ids))} exported to {to}", soft_wrap=True)


@app.command()
@_FLAGS
def dismiss(ids: _Ids, flags: Tables, config: options.Config = None) -> None:
    """Take false alarms from the lists."""
    raise typer.Exit(_dismiss(ids, flags, config, dismissed=True))


@app.command()
@_FLAGS
def restore(ids: _Ids, flags: Tables, config: options.Config = None) -> None:
    """Take dismissed events back into the lists."""
    raise typer.Exit(_dismiss(ids, flags, config, dismissed=False))


@contextmanager
def _opened(config: Path | None, flags: Tables) -> Iterator[_Events]:
    folder = load_settings(config, os.environ, flags).output.local_folder
    with closing(EventStore.open_existing(folder)) as store:
        yield _Events(store, folder)


def _dismiss(ids: Sequence[str], flags: Tables, config: Path | None, *, dismissed: bool) -> int:
    with _opened(config, flags) as events:
        unknown = [each for each in ids if not events.store.dismiss(each, dismissed=dismissed)]
    for each in unknown:
        show_error(f"no event {each}")
    done = "dismissed" if dismissed else "listed again"
    output().print(f"{_count(len(ids) - len(unknown))} {done}")
    return ExitCode.SOME_FAILED if unknown else ExitCode.OK


def _bounds(
    day: str | None, since: str | None, until: str | None
) -> tuple[float | None, float | None]:
    """Return the bounds of the events' begin, in seconds since 1970."""
    if day is None:
        return options.utc_seconds("--since", since), options.utc_seconds("--until", until)
    if since is not None or until is not None:
        raise UsageError("name either a --day, or --since and --until")
    try:
        begin = datetime.combine(date.fromisoformat(day), time(), UTC)
    except ValueError:
        raise UsageError(f"--day: must be a day such as 2025-03-01, not {day!r}") from None
    return begin.timestamp(), (begin + timedelta(days=1)).timestamp()


def _export(event: StoredEvent, events: _Events, folder: Path) -> Collection[str]:
    """Copy what there is of an event, and return its kinds."""
    files = events.files(event)
    with writing(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        for path in files.values():
            shutil.copyfile(path, folder / path.name)
    write_file(folder / f"{event.id}.json", printable_json(event.as_json(), indent=True))
    return files.keys()


def _print_events(events: Sequence[StoredEvent]) -> None:
    columns = "begin", "s", "camera", "object", "conf.", "lift", "zones", "event"
    rows = table(*columns, right=("s", "conf.", "lift"), keep=("begin", "s", "event"))
    for event in events:
        content = event.content
        doubts = "".join(f", {reason}?" for reason in content["suspicions"])
        rows.add_row(
            content["begin"]["time_utc"][:19].replace("T", " "),
            _length(content),
            event.source,
            styled(content["label"] + doubts, "yellow" if doubts else ""),
            f"{content['confidence']:.2f}",
            f"{content['focus']['lift_mean']:.1f}",
            ", ".join(content["zones"]),
            event.id,
        )
    if events:
        output().print(rows)
    output().print(_count(len(events)) if events else "no events")


def _length(content: Mapping[str, Any]) -> str:
    if content["end"] is None:
        return "lasts"
    return f"{content['end']['time'] - content['begin']['time']:.1f}"


def _count(number: int) -> str:
    return f"{number} {'event' if number == 1 else 'events'}"
