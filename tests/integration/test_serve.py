"""`sercli serve`: over HTTP, in a browser, and as a command."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from helpers.shell import InProcessShell

import sercli
from sercli.inference.serve import app
from sercli.inference.serve.worker import Chosen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory, small: list[str]) -> Chosen:
    shell = InProcessShell(tmp_path_factory.mktemp("serve"))
    shell.ok("train", *small, "experiment=demo", "trainer.steps=1", "trainer.eval_every=1")
    return Chosen("demo", shell.folder / "runs", fold="Session1")


@pytest.fixture(scope="module")
def classifier(chosen: Chosen) -> Iterator[app.Classifier]:
    found = app.Classifier(chosen)
    yield found
    found.close()


@pytest.fixture(scope="module")
def address(classifier: app.Classifier) -> Iterator[str]:
    with app.bound(0) as place:
        server = app.make_server(app.make_app(classifier))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        yield f"http://127.0.0.1:{place.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no upload is left on disk."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert not list(folder.rglob("recording*"))


def wav(seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(0).normal(size=round(16_000 * seconds))
    soundfile.write(file, noise, 16_000, format="WAV")
    return file.getvalue()


def asked(address: str, body: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
    """Return status, text and headers of a response."""
    request = urllib.request.Request(
        address, body, {"content-type": "application/octet-stream", **headers}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_it_answers_as_predict(address: str, chosen: Chosen, tmp_path: Path) -> None:
    status, text, _ = asked(f"{address}classify", wav())
    found = json.loads(text)
    assert status == 200, text
    (tmp_path / "a.wav").write_bytes(wav())
    model = sercli.load(chosen.model, runs=chosen.runs, fold=chosen.fold)
    (row,) = model.predict(tmp_path / "a.wav", attention=True).to_dict("records")
    assert found["predicted"] == row["predicted"]
    assert found["p"] == pytest.approx({name: row[f"p_{name}"] for name in model.classes}, abs=1e-6)
    assert found["attention"] == pytest.approx(row["attention"], abs=1e-6)
    image = found["spectrogram"]
    assert len(base64.b64decode(image["levels"])) == image["width"] * image["height"]
    assert image["width"] * image["step"] == pytest.approx(1, abs=0.03)


def test_bad_requests_are_answered_in_one_line(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{address}classify"
    two_hours = bytearray(wav())
    two_hours[40:44] = (2 * 3600 * 16_000 * 2).to_bytes(4, "little")
    for body, reason in (
        (b"no audio, but text", "not audio, or damaged"),
        (bytes(two_hours), "truncated"),
        (wav(0.03), "shorter than one frame"),
        (b"", "empty file"),
    ):
        status, text, headers = asked(place, body)
        assert status == 422
        assert reason in json.loads(text)["error"]
        assert "\n" not in json.loads(text)["error"]
        assert "default-src 'none'" in headers["content-security-policy"]
    assert asked(place, wav(), **{"Content-Length": "50000001"})[0] == 413
    monkeypatch.setattr(app, "LARGEST", 1000)
    status, text, _ = asked(place, iter([wav()]))  # type: ignore[arg-type] # chunked
    assert (status, "larger than" in json.loads(text)["error"]) == (413, True)
    assert asked(address, Host="attacker.example")[0] == 400
    assert asked(place, wav(), Origin="https://attacker.example")[0] == 403
    assert asked(f"{address}../../etc/passwd")[0] == 404
    assert asked(f"{address}worker.py")[0] == 404
    assert asked(place)[0] == 405


def test_an_error_of_the_server_is_one_line_with_all_headers(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(app, "_save", fail)
    status, text, headers = asked(f"{address}classify", wav())
    assert (status, "free some space" in json.loads(text)["error"]) == (500, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_recording_that_takes_too_long_is_refused_and_the_next_one_is_classified(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SECONDS", 0.0)
    status, text, _ = asked(f"{address}classify", wav())
    assert (status, json.loads(text)) == (422, {"error": "takes longer than 0 s to classify"})
    monkeypatch.setattr(app, "SECONDS", 300.0)
    assert asked(f"{address}classify", wav())[0] == 200


def test_names_are_escaped_in_the_page(classifier: app.Classifier) -> None:
    text = app._render(replace(classifier.facts, name="<b>&", classes=('"<script>',)))
    assert "<h1>&lt;b&gt;&amp;</h1>" in text
    assert "&#34;&lt;script&gt;" in text


def test_the_command_names_its_address_and_stops_at_an_interrupt(chosen: Chosen) -> None:
    with app.bound(0) as place:
        port = place.getsockname()[1]
    address, pages = f"http://127.0.0.1:{port}/", []

    def visit() -> None:
        for _ in range(6000):
            try:
                pages.append(asked(address)[1])
            except OSError:  # it does not listen yet
                time.sleep(0.05)
            else:
                break
        os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    shell = InProcessShell(chosen.runs.parent)
    done = shell("serve", "demo", "--fold", "Session1", "--port", str(port))
    visitor.join()
    assert "<h1>demo</h1>" in pages[0]
    assert done.stdout == f"{address} classifies recordings with demo; Ctrl-C stops it\n"
    assert (done.returncode, done.stderr) == (130, "sercli: stopped\n")


def test_a_server_that_cannot_start_says_why_in_one_line(
    chosen: Chosen, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = InProcessShell(chosen.runs.parent)
    port = address.rpartition(":")[2].strip("/")
    assert "already in use; --port 0 chooses" in shell.refused("serve", "demo", "--port", port)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'sercli[serve]'" in shell.refused("serve", "demo")


def test_a_file_is_dropped_and_a_voice_recorded(browser: Browser, address: str) -> None:
    # The last test: its driver runs an event loop in this thread to the end of the module.
    complaints: list[str] = []
    requests: list[str] = []
    tab = browser.new_page(viewport=PHONE, color_scheme="dark")  # type: ignore[arg-type]
    tab.set_default_timeout(60_000)
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(address)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 26)"
    tab.keyboard.press("Tab")
    assert tab.locator("#file").evaluate("part => part === document.activeElement")
    tab.keyboard.press("Tab")
    assert tab.locator("#record").evaluate("part => part === document.activeElement")

    tab.evaluate(
        """content => {
            const dataTransfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            dataTransfer.items.add(new File([bytes], "voice.wav"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }""",
        base64.b64encode(wav()).decode(),
    )
    tab.locator("#result").wait_for()
    assert tab.locator("#status").inner_text() == "voice.wav: 1.0 s"
    shares = [float(each) for each in tab.locator("tbody .number").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert shares == sorted(shares, reverse=True)
    assert "Line: attention weight" in tab.locator("#caption").inner_text()
    colours = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert tab.locator("#spectrogram").evaluate(colours) > 20
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    tab.locator("#record").press("Enter")
    tab.get_by_role("button", name=re.compile(r"Stop \((0\.[3-9]|[1-9])")).press("Enter")
    tab.locator("#result").wait_for()
    assert tab.locator("#status").inner_text().startswith("recording: ")
    assert complaints == []
    assert all(url.startswith((address, f"blob:{address[:-1]}", "data:")) for url in requests)

    tab.set_input_files("#file", {"name": "a.txt", "mimeType": "", "buffer": b"text"})
    tab.get_by_role("alert").filter(has_text="a.txt: not audio").wait_for()
    assert not tab.locator("#result").is_visible()
    tab.close()
