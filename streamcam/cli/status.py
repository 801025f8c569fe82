"""`streamcam status`: the state of a running service."""

import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from streamcam.cli import options
from streamcam.cli.summaries import STATE_STYLES, labels_text
from streamcam.cli.terminal import output, print_json, size, styled, table
from streamcam.config import load_settings
from streamcam.errors import SourceUnavailableError, UsageError
from streamcam.escapes import printable
from streamcam.types import CameraState

_TIMEOUT_SECONDS = 5.0


def status(
    url: Annotated[
        str | None,
        typer.Option(
            "--url", help="URL of the service. Unset: host and port of the configuration."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the token, if the service has one."),
    ] = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Show the state of a running `streamcam serve`: cameras, files, space."""
    if url is None:
        http = load_settings(config, os.environ).http
        url, token_file = _url(http.host, http.port), token_file or http.token_file
    elif not url.startswith(("http://", "https://")):
        raise UsageError(f"--url: must begin with http://, not {url!r}")
    answer = _ask(f"{url.rstrip('/')}/api/status", token_file)
    if json:
        print_json(answer)
    else:
        _print(answer)


def _url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a service that listens on an address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _ask(url: str, token_file: Path | None) -> dict[str, Any]:
    try:
        request = urllib.request.Request(url)  # noqa: S310 - http and https only, see `status`
    except ValueError as error:
        raise UsageError(f"--url: {url}: {error}") from None
    if token_file is not None:
        request.add_header("Authorization", f"Bearer {_token(token_file)}")
    # Directly: proxies of the environment do not know local addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            answer = orjson.loads(response.read())
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            message, hint = "requires a token", "Name the file that holds it with --token-file."
        else:
            message, hint = f"answered with status {error.code}", None
        raise SourceUnavailableError(f"{url}: {message}", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise SourceUnavailableError(
            f"no service answers at {url}: {reason}", hint="Is `streamcam serve` running?"
        ) from None
    if not isinstance(answer, dict) or "cameras" not in answer:
        raise SourceUnavailableError(f"what answers at {url} is not `streamcam serve`")
    return answer


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"cannot read the token in {path}: {reason}") from None


def _print(answer: dict[str, Any]) -> None:
    console = output()
    if answer["cameras"]:
        console.print(_cameras(answer["cameras"]))
    for camera in answer["cameras"]:
        # A service that was not restarted since an update does not tell them.
        for line in _regions(camera.get("regions") or {"zones": {}, "lines": {}}):
            console.print(styled(f"{camera['name']}: {line}", "dim"), soft_wrap=True)
    jobs = ", ".join(f"{count} {state}" for state, count in answer["jobs"].items() if count)
    console.print(f"files: {jobs or 'none'}")
    if answer["output_free_bytes"] is not None:
        console.print(f"room for results: {size(answer['output_free_bytes'])}")
    for device, memory in answer["gpu_memory"].items():
        console.print(f"{device}: {size(memory['used'])} of {size(memory['total'])} in use")
    for reason in answer["not_ready"]:
        console.print(styled(f"not ready: {reason}", "yellow"), soft_wrap=True)


def _cameras(cameras: list[dict[str, Any]]) -> Table:
    numbers = ("in", "explained", "latency", "reconnects")
    keep = ("camera", "state", "picture", *numbers)
    remark = "found, or what is wrong"
    rows = table(*keep, remark, right=numbers, keep=keep, fold=(remark,))
    for camera in cameras:
        latency = camera["latency"]
        rows.add_row(
            camera["name"],
            styled(camera["state"], STATE_STYLES[CameraState(camera["state"])]),
            f"{camera['width']}x{camera['height']}" if camera["width"] else "",
            f"{camera['frame_rate']:.1f}/s",
            f"{camera['explained_rate']:.1f}/s",
            f"{latency['p50'] * 1000:.0f} ms" if latency else "",
            str(camera["reconnects"] or ""),
            _remark(camera),
        )
    return rows


def _regions(regions: dict[str, Any]) -> Iterator[str]:
    for name, zone in regions["zones"].items():
        visits = sum(zone["visits"].values())
        after = (
            f" after {sum(zone['seconds'].values()) / visits:.1f} s on average" if visits else ""
        )
        yield f"zone {printable(name)}: {zone['objects']} inside, {visits} left{after}"
    for name, directions in regions["lines"].items():
        counts = (f"{sum(each.values())} {direction}" for direction, each in directions.items())
        yield f"line {printable(name)}: {', '.join(counts)}"


def _remark(camera: dict[str, Any]) -> Text:
    faults = [camera["error"], *camera["outlets"].values()]
    name = f"{camera['name']}: "
    wrong = "; ".join(fault.removeprefix(name) for fault in faults if fault)
    if wrong or camera["latest"] is None or camera["state"] == CameraState.PAUSED:
        return styled(wrong, "red")
    detections = camera["latest"]["record"]["detections"]
    found = labels_text(Counter(one["label"] for one in detections))
    resting = "not recorded now; " if camera.get("recording") is False else ""
    return styled(resting + found, "dim")
