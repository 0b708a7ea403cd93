"""The real TensorBoard on a folder of runs, on a port of its own on this machine."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 120
"""Seconds after which the server is given up, if nothing else is said."""


class Server:
    """A TensorBoard that is running.

    Args:
        address: "http://127.0.0.1:6006", for instance.
        is_up: whether it still runs.
    """

    def __init__(self, address: str, is_up: Callable[[], bool]) -> None:
        self.address, self.is_up = address, is_up

    def ask(self, path: str, body: Any = None, **query: Any) -> Any:
        """What it answers, as data where it is JSON, else bytes; None while it does not."""
        url = f"{self.address}/data/{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content = answer.read()
        except OSError:
            return None
        try:
            return json.loads(content)
        except ValueError:
            return content

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """Asks until there is an answer; the watchdog of `serving` ends the server before long."""
        while not (answer := what()):
            assert self.is_up(), "the server is to answer before it is given up"
            time.sleep(0.1)
        return answer


@contextmanager
def serving(folder: Path, limit: float = LIMIT) -> Iterator[Server]:
    """TensorBoard on a folder, ended with the block."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host",
               "127.0.0.1", "--port", "0", "--load_fast", "false",
               "--reload_interval", "1"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        watchdog = threading.Timer(limit, server.kill)
        watchdog.start()
        try:
            assert server.stderr is not None
            found = None
            for line in server.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            assert found, "the server says where it listens"
            threading.Thread(target=server.stderr.read, daemon=True).start()  # else it may block
            yield Server(found[0], lambda: server.poll() is None)
        finally:
            watchdog.cancel()
            server.kill()
