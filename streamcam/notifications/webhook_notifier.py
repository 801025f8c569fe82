"""Posts events to a URL, signed as the Standard Webhooks specification says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: there
are libraries for many languages that check it.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from streamcam.clock import Clock
from streamcam.config.notification_schema import WebhookSettings
from streamcam.errors import ConfigError
from streamcam.escapes import printable
from streamcam.events.event import EventChange
from streamcam.notifications.event_message import event_message
from streamcam.notifications.outbox import Outbox
from streamcam.notifications.secret_files import read_secret
from streamcam.observer import Observer
from streamcam.retry import Backoff
from streamcam.version import __version__

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0

# A server that restarts is back within seconds; one that is away is asked once a minute.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

# Answers that ask to try again; with the longest pauses a post is tried for some minutes.
_PASSING = (408, 425, 429)
_ATTEMPTS = 10

_SECRET_PREFIX = "whsec_"  # noqa: S105 - begins secrets in the specification's form


class WebhookNotifier(Observer):
    """Posts changes of events in their order; nothing that calls it ever waits.

    A post is repeated while the server is away, and some times while it answers with a status of
    500 or more, or 408, 425, 429. With another status it is given up. What comes meanwhile waits
    in a bounded queue.

    Args:
        name: Names it in logs and metrics: its URL may hold a secret.
        has_clip: Tells whether a source's events have clips.

    Raises:
        ConfigError: The file with the secret cannot be used.
    """

    def __init__(
        self,
        name: str,
        settings: WebhookSettings,
        has_clip: Callable[[str], bool],
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.delivered = self._refused = 0
        self._settings = settings
        self._shown = f"{name} ({printable(urlsplit(settings.url).hostname or '')})"
        self._key = None if settings.secret_file is None else _key(settings.secret_file, name)
        self._has_clip = has_clip
        self._clock = clock or Clock()
        self._classes = {label.casefold() for label in settings.classes}
        self._wake, self._ending = threading.Event(), threading.Event()
        self._outbox = Outbox(on_change=self._wake.set)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"streamcam {name}", daemon=True)

    @property
    def dropped(self) -> int:
        """Changes of events that were given up."""
        return self._outbox.dropped + self._refused

    @property
    def waiting(self) -> int:
        """Changes of events that wait to be posted."""
        return len(self._outbox)

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Post what waits, but for at most `grace` seconds and until a post fails."""
        self._ending.set()
        self._wake.set()
        self._thread.join(grace)
        lost = self._outbox.clear()
        if lost:
            _log.warning("%s: %d changes of events could not be posted", self._shown, lost)

    def event_changed(self, change: EventChange) -> None:
        if self._is_wanted(change):
            self._outbox.put(change)

    def _is_wanted(self, change: EventChange) -> bool:
        wanted, event = self._settings, change.event
        return (
            change.stage.value in wanted.stages
            and (not wanted.cameras or event.source in wanted.cameras)
            and (not self._classes or event.label.casefold() in self._classes)
        )

    def _run(self) -> None:
        while True:
            change = self._outbox.take()
            if change is not None:
                self._deliver(change)
            elif self._ending.is_set():
                return
            else:
                self._wake.wait()
                self._wake.clear()

    def _deliver(self, change: EventChange) -> None:
        """Post a change until it is taken or given up."""
        body = event_message(change, has_clip=self._has_clip(change.event.source))
        post_id = f"{change.event.id}.{change.stage.value}.{change.event.frames}"
        attempts = 0
        while True:
            status, fault = self._post(post_id, body)
            attempts += status is not None
            self._note(fault)
            if fault is None:
                self.delivered += 1
                self._backoff.reset()
                return
            final = status is not None and status < 500 and status not in _PASSING
            if final or attempts == _ATTEMPTS or self._ending.is_set():
                self._refused += 1
                return
            self._ending.wait(self._backoff.next())

    def _post(self, post_id: str, body: bytes) -> tuple[int | None, str | None]:
        """Post once; return the status, None without an answer, and what is wrong, if anything."""
        request = urllib.request.Request(  # noqa: S310 - http and https only, by the settings
            self._settings.url, body, self._headers(post_id, body), method="POST"
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return answer.status, None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, f"answers with status {error.code}"
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            reason = getattr(reason, "strerror", None) or reason
            return None, f"cannot be reached: {reason}"

    def _headers(self, post_id: str, body: bytes) -> dict[str, str]:
        seconds = str(int(self._clock.utc().timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": f"streamcam/{__version__}",
            "webhook-id": post_id,
            "webhook-timestamp": seconds,
        }
        if self._key is not None:
            signed = b".".join((post_id.encode(), seconds.encode(), body))
            digest = hmac.digest(self._key, signed, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers

    def _note(self, fault: str | None) -> None:
        """Log what is wrong, once, and that it is over."""
        if fault is not None and fault != self._fault:
            _log.warning("%s: %s", self._shown, printable(fault))
        elif fault is None and self._fault is not None:
            _log.info("%s: goes on", self._shown)
        self._fault = fault


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to follow: what is signed for one server is not for another."""

    def redirect_request(self, *_: object) -> None:
        return None


def _key(file: Path, name: str) -> bytes:
    """Return the key in a file: text as it is, or bytes in the specification's form."""
    secret = read_secret(file, f"{name}: secret_file")
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ConfigError(
            f"{name}: secret_file: what follows {_SECRET_PREFIX} in {file} is not base64"
        ) from None
