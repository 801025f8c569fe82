"""What waits for a broker that is away."""

from dataclasses import replace

from streamcam.events.event import EventChange, EventStage
from streamcam.notifications.outbox import Outbox
from tests.events.tracked import result
from tests.notifications.conftest import end, event, new, update


def taken(outbox: Outbox) -> list[EventChange]:
    return list(iter(outbox.take, None))


def test_changes_come_out_in_their_order() -> None:
    outbox = Outbox()
    changes = [new(1), new(2), end(1), update(2), end(2)]
    for change in changes:
        outbox.put(change)
    assert len(outbox) == 5
    assert taken(outbox) == changes
    assert (len(outbox), outbox.dropped) == (0, 0)


def test_an_update_takes_the_place_of_one_that_waits() -> None:
    """Told is the newest, compared with what was told before."""
    outbox = Outbox()
    outbox.put(update(1, frames=20))
    outbox.put(new(2))
    outbox.put(EventChange(EventStage.UPDATE, replace(event(1), frames=30), update(1, 20).event))
    first, second = taken(outbox)
    assert (first.event.frames, first.before) == (30, event(1))
    assert second == new(2)
    assert outbox.dropped == 0


def test_ends_outlast_begins_and_these_outlast_updates() -> None:
    outbox = Outbox(capacity=3)
    outbox.put(new(1))
    outbox.put(update(1))
    outbox.put(end(1))
    outbox.put(new(2))
    assert taken(outbox) == [new(1), end(1), new(2)]
    for change in (new(1), end(1), end(2), end(3)):
        outbox.put(change)
    assert taken(outbox) == [end(1), end(2), end(3)]
    for number in range(1, 6):
        outbox.put(end(number))
    assert taken(outbox) == [end(3), end(4), end(5)], "the oldest is lost first"
    assert outbox.dropped == 4


def test_pictures_are_not_kept() -> None:
    outbox = Outbox()
    outbox.put(replace(new(), picture=result(1)))
    (change,) = taken(outbox)
    assert change.picture is None


def test_what_is_given_up_counts_as_dropped() -> None:
    outbox = Outbox()
    outbox.put(new())
    assert outbox.clear() == 1
    assert (len(outbox), outbox.dropped) == (0, 1)
