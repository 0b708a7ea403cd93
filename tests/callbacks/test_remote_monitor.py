"""RemoteMonitor, with a server of its own on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import LambdaCallback, RemoteMonitor
from kerasish.layers import Linear

NAN, INF = float("nan"), float("inf")


class Server(ThreadingHTTPServer):
    """Keeps what it is sent, and answers with a status that a test sets."""

    status, location, delay = 200, "", threading.Event()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str, dict[str, str], str]] = []
        self.waits = False
        self.root = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((self.command, self.path, dict(self.headers), body))
        if self.server.waits:
            self.server.delay.wait(10)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        server.delay = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.delay.set()
            server.shutdown()
            thread.join()


def fit(*callbacks, epochs: int = 2):
    model, x = Model(Linear(1), device="cpu"), torch.ones(4, 1)
    model.compile("sgd", "mse")
    return model.fit(x, x, epochs=epochs, verbose=0, callbacks=list(callbacks)).history


def test_the_logs_of_each_epoch_are_sent_in_a_form(server: Server) -> None:
    history = fit(RemoteMonitor(server.root))
    assert len(server.got) == 2
    for epoch, (method, path, headers, body) in enumerate(server.got):
        assert (method, path) == ("POST", "/publish/epoch/end/")
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        (text,) = parse_qs(body)["data"]
        assert json.loads(text) == {"epoch": epoch, "loss": history["loss"][epoch]}


def test_or_as_json(server: Server) -> None:
    history = fit(RemoteMonitor(server.root + "/", "in", "ignored", {"X-Key": "k"}, True), epochs=1)
    ((_, path, headers, body),) = server.got
    assert path == "/in" and headers["X-Key"] == "k"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"epoch": 0, "loss": history["loss"][0]}


def test_the_field_and_the_content_type_may_be_chosen(server: Server) -> None:
    fit(RemoteMonitor(server.root, field="my data", headers={"Content-Type": "text/x"}), epochs=1)
    ((_, _, headers, body),) = server.got
    assert list(parse_qs(body)) == ["my data"] and headers["Content-Type"] == "text/x"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (NAN, None), (INF, None), (-INF, None), (np.float32(0.5), 0.5), (np.int64(3), 3),
        (torch.tensor(0.25), 0.25), (np.array([1.0, NAN]), [1.0, None]), (None, None), (True, True),
        (torch.tensor([[1, 2]]), [[1, 2]]), ({1: (NAN, "a")}, {"1": [None, "a"]}), (1j, "1j"),
        ("text é", "text é"), (np.float64(NAN), None),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("as_json", [True, False])
def test_any_value_is_sent_as_what_json_has(server: Server, value, sent, as_json: bool) -> None:
    RemoteMonitor(server.root, send_as_json=as_json).on_epoch_end(0, {"value": value})
    body = server.got[0][3]
    text = body if as_json else parse_qs(body)["data"][0]
    assert json.loads(text, parse_constant=pytest.fail) == {"epoch": 0, "value": sent}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr()
    assert lines.out == "" and len(lines.err.splitlines()) == 1
    return lines.err


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_server_that_fails_is_told_of_once_and_training_goes_on(server, status, capsys) -> None:
    server.status = status
    assert len(fit(RemoteMonitor(server.root), epochs=3)["loss"]) == 3
    message = said(capsys)
    assert "epoch 1" in message and server.root in message and str(status) in message
    assert len(server.got) == 3, "it is asked again in each epoch"


def test_each_fit_tells_anew(server: Server, capsys) -> None:
    server.status, callback = 500, RemoteMonitor(server.root)
    for _ in range(2):
        fit(callback)
        assert said(capsys)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/elsewhere", "ftp://127.0.0.1/x", "file:///etc/hosts"])
def test_redirects_are_not_followed(server: Server, status: int, where: str, capsys) -> None:
    server.status, server.location = status, where
    fit(RemoteMonitor(server.root), epochs=1)
    assert str(status) in said(capsys)
    assert [path for _, path, _, _ in server.got] == ["/publish/epoch/end/"]


def test_nobody_listening_is_a_failure_too(server: Server, capsys) -> None:
    server.server_close()
    assert len(fit(RemoteMonitor(server.root, timeout=0.5))["loss"]) == 2
    assert server.root in said(capsys)


def test_a_server_that_does_not_answer_is_given_up_in_time(server: Server, capsys) -> None:
    server.waits = True
    assert len(fit(RemoteMonitor(server.root, timeout=0.05))["loss"]) == 2
    assert "timed out" in said(capsys)


def test_an_address_that_no_request_can_have_is_a_failure(capsys) -> None:
    assert len(fit(RemoteMonitor("http://a..b"))["loss"]) == 2
    assert "RemoteMonitor" in capsys.readouterr().err


def test_what_earlier_callbacks_log_is_sent_too(server: Server) -> None:
    mine = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=1.5))
    fit(mine, RemoteMonitor(server.root, send_as_json=True), epochs=1)
    assert json.loads(server.got[0][3])["mine"] == 1.5


@pytest.mark.parametrize("root", ["http://a:1", "http://a:1/"])
@pytest.mark.parametrize("path", ["b/", "/b/"])
def test_root_and_path_meet_in_one_slash(root: str, path: str) -> None:
    assert RemoteMonitor(root, path).url == "http://a:1/b/"


@pytest.mark.parametrize("root", ["http://[::1]:8000", "https://bücher.example", "http://a/b?c=d"])
def test_what_an_address_may_be_is_taken(root: str) -> None:
    headers = {"Authorization": "Bearer a-b_c.d=", "X-Name": "Bücher\tund mehr"}
    assert RemoteMonitor(root, headers=headers).headers == headers


def test_a_trial_run_leaves_it_out() -> None:
    assert RemoteMonitor.leaves_traces


@pytest.mark.parametrize(
    "root",
    ["localhost:9000", "ftp://localhost", "file:///tmp/x", "http://", "", None, 9000, "http:/x",
     "http://a:99999999", "http://a:0", "http://a:b", "http://a:-1", "http://[::1", "http://a b",
     "http://a\r\nHost: b", "http://a\n"],
    ids=repr,
)
def test_a_root_that_is_no_address_is_refused(root) -> None:
    with pytest.raises(ValueError, match=r"RemoteMonitor\(root\) expects .*http") as caught:
        RemoteMonitor(root)
    assert repr(root) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "/a\nb"}, r"\(path\) expects what an address may hold.*urllib.parse.quote"),
        ({"path": "/a b"}, r"\(path\) expects what an address may hold"),
        ({"path": "/ä"}, r"\(path\) expects what an address may hold"),
        ({"headers": {"a": "b\r\nc: d"}}, r"\(headers\) expects names of letters"),
        ({"headers": {"a": "b\n"}}, r"\(headers\) expects names of letters"),
        ({"headers": {"a": "€"}}, r"\(headers\) expects names of letters"),
        ({"headers": {"a b": "c"}}, r"\(headers\) expects names of letters"),
        ({"headers": {"a\r\n": "c"}}, r"\(headers\) expects names of letters"),
        ({"headers": {"": "c"}}, r"\(headers\) expects names of letters"),
        ({"send_as_json": "yes"}, r"\(send_as_json\) expects True or False; got 'yes'"),
        ({"path": 3}, r"\(path\) expects text; got 3"),
        ({"field": None}, r"\(field\) expects text; got None"),
        ({"headers": {"a": 1}}, r"\(headers\) expects text by names; got {'a': 1}"),
        ({"headers": {1: "a"}}, r"\(headers\) expects text by names"),
        ({"headers": "a: b"}, r"\(headers\) expects text by names; got 'a: b'"),
        ({"timeout": 0}, r"\(timeout\) expects a finite number above 0; got 0"),
        ({"timeout": None}, r"\(timeout\).*got None"),
        ({"timeout": INF}, r"\(timeout\).*got inf"),
    ],
    ids=str,
)
def test_other_settings_are_checked_at_the_door(arguments, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"RemoteMonitor{message}"):
        RemoteMonitor(**arguments)
