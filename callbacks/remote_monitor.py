"""Sends what is logged to a server."""

import json
import math
import re
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kerasish.checks import check_flag, check_positive
from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.types import Logs

_VISIBLE = re.compile(r"[!-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect for a failure: it would turn the POST into a GET, and go anywhere."""

    def redirect_request(self, *args: Any) -> None:
        return None


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server, as JSON in a POST.

    `{"epoch": 0, "loss": 0.5, ...}`: values that JSON has not, NaN and infinities, are sent as
    null. A server that fails, or answers with a redirect, is told of once, and training goes on.

    Raises: ValueError or TypeError for settings that are no address, headers or time.

    Args:
        root: the address of the server, with http:// or https://.
        path: where on the server, from "/".
        field: the name of the form's field that holds the JSON; not used with send_as_json=True.
        headers: further headers of the request, by name.
        send_as_json: whether the body is the JSON itself instead of a form.
        timeout: seconds to wait for the server in each epoch, above 0.

    Example:
        >>> RemoteMonitor("https://example.com", send_as_json=True).url
        'https://example.com/publish/epoch/end/'
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
        timeout: float = 5.0,
    ) -> None:
        if not isinstance(root, str) or not _is_server(root):
            raise ValueError("RemoteMonitor(root) expects the address of a server, with http:// or "
                             f"https://; got {root!r}. 'http://localhost:9000' is one.")
        for name, value in (("path", path), ("field", field)):
            if not isinstance(value, str):
                raise TypeError(f"RemoteMonitor({name}) expects text; got {value!r}. Write it in "
                                "quotes.")
        self.headers = _checked_headers(headers or {})
        self.url = root.rstrip("/") + "/" + path.lstrip("/")
        if not _VISIBLE.fullmatch(path):
            raise ValueError("RemoteMonitor(path) expects what an address may hold, no space and "
                             f"no umlaut; got {path!r}. Write urllib.parse.quote({path!r}).")
        self.field = field
        self.send_as_json = check_flag("RemoteMonitor(send_as_json)", send_as_json)
        self.timeout = check_positive("RemoteMonitor(timeout)", timeout, "5 seconds are usual.")
        self._warned = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        text = json.dumps(_plain({"epoch": epoch, **(logs or {})}), allow_nan=False)
        kind = "json" if self.send_as_json else "x-www-form-urlencoded"
        body = text if self.send_as_json else urlencode({self.field: text})
        headers = {"Content-Type": f"application/{kind}", **self.headers}
        try:
            request = Request(self.url, body.encode(), headers, method="POST")
            build_opener(_NoRedirects).open(request, timeout=self.timeout).close()
        except (OSError, HTTPException, ValueError) as error:
            if not self._warned:
                notice(f"RemoteMonitor: epoch {epoch + 1} did not reach {self.url}: {error}. "
                       "Training goes on; later failures are not told.")
            self._warned = True


def _is_server(root: str) -> bool:
    try:
        parts = urlsplit(root)
        has_port = parts.port is None or parts.port > 0
    except ValueError:  # a port that is no number or too large, a bracket that is not closed
        return False
    is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and has_port
    return is_server and root.isprintable() and " " not in root


def _checked_headers(headers: Any) -> Mapping[str, str]:
    """Hands headers back if they are such, with no end of line that would begin another one."""
    if not isinstance(headers, Mapping) or not all(
            isinstance(part, str) for pair in headers.items() for part in pair):
        raise TypeError(f"RemoteMonitor(headers) expects text by names; got {headers!r}. "
                        "{'Authorization': '...'} is one.")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("RemoteMonitor(headers) expects names of letters, digits and dashes, "
                             f"and values of one line; got {name!r}: {value!r}. Take out the rest.")
    return headers


def _plain(value: Any) -> Any:
    """The same in what JSON has; what it has not becomes null, or text."""
    value = value.tolist() if hasattr(value, "tolist") else value  # of numpy and torch
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)
