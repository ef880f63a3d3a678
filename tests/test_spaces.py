"""The page as a Space shows it: inside of another page, under a prefix, on a disk that empties.

As hosts run it, and in a real Chromium.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest
import uvicorn
import visitor
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route
from stranger import LIMIT, Server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
PREFIX = "/painter"

# What a browser does that blocks the storage of pages inside of pages.
NO_STORAGE = """(() => {
    if (window === window.top) return;
    for (const name of ["localStorage", "sessionStorage", "indexedDB"])
        Object.defineProperty(window, name, {
            get() { throw new DOMException("Access is denied.", "SecurityError"); },
            configurable: true,
        });
    Object.defineProperty(document, "cookie", { get: () => "", set() {} });
})();"""


@contextlib.contextmanager
def serving(app: Starlette) -> Iterator[int]:
    """An app in a thread of its own; gives its port."""
    port = visitor.free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    visitor.wait_until_open(port)
    try:
        yield port
    finally:
        server.should_exit = server.force_exit = True
        thread.join(LIMIT)


def proxy(addresses: Sequence[str], prefix: str = "") -> Starlette:
    """Hands requests below a prefix on to the addresses, to each in turn."""
    turn = itertools.cycle(addresses)
    client = httpx.AsyncClient(timeout=LIMIT)

    async def hand_on(request: Request) -> StreamingResponse:
        path = request.url.path.removeprefix(prefix).lstrip("/")
        headers = [(k, v) for k, v in request.headers.items() if k not in HOP_BY_HOP]
        query, body = request.url.query.encode(), await request.body()
        url = httpx.URL(next(turn) + path, query=query)
        asked = client.build_request(request.method, url, headers=headers, content=body)
        answer = await client.send(asked, stream=True)
        kept = {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP}
        done = BackgroundTask(answer.aclose)
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=done)

    return Starlette(routes=[Route(f"{prefix}/{{path:path}}", hand_on, methods=METHODS)])


# --- Other origins ------------------------------------------------------------------------------


@pytest.mark.attack
@pytest.mark.parametrize(
    ("host", "origin", "may_read"),
    [
        ("painter.example", "https://blog.example", True),
        ("painter.example", "null", True),
        ("127.0.0.1", "https://blog.example", False),
        ("localhost:7860", "https://blog.example", False),
        ("localhost:7860", "null", False),
        ("127.0.0.1", "http://localhost:3000", True),
    ],
)
def test_which_pages_may_call(server, host, origin, may_read):
    """Any, of a server in the world; of one on the own machine those of this machine alone."""
    sender = {"host": host, "origin": origin}
    asking = sender | {"access-control-request-method": "POST"}
    for answer in (
        server.http.get("health", headers=sender),
        server.http.post("gradio_api/process_recording", headers=sender),  # is refused
        server.http.options("gradio_api/call/v2/preview", headers=asking),
    ):
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (origin if may_read else None), (answer.request.url, answer.status_code)


@pytest.mark.browser
def test_inside_of_another_page_without_any_storage(browser, page_address):
    """A link is opened and painted; only what would be kept for the next visit is not."""
    around = f'<iframe src="{page_address}{visitor.SHORT}" width="1280" height="900"></iframe>'

    async def show(_request: Request) -> HTMLResponse:
        return HTMLResponse(around)

    with serving(Starlette(routes=[Route("/", show)])) as port, browser.new_context() as context:
        page, problems = context.new_page(), []
        page.set_default_timeout(1000 * LIMIT)
        page.set_viewport_size({"width": 1320, "height": 940})
        page.on("pageerror", lambda error: problems.append(error.message))
        page.add_init_script(NO_STORAGE)
        page.goto(f"http://localhost:{port}/")  # of another site than 127.0.0.1
        inside = page.frame_locator("iframe")
        expect(inside.locator("#paint")).to_contain_text("· 8 ")
        inside.locator("#paint").click()
        expect(inside.locator("#status")).to_contain_text("Done")
        expect(inside.locator("#save")).to_be_enabled()
        visitor.shoot(page, "inside-of-another-page")
    assert not problems


# --- Under a prefix, and several behind one address ---------------------------------------------


@pytest.mark.browser
def test_behind_a_proxy_that_takes_a_prefix_away(browser, tmp_path):
    with (
        visitor.started(tmp_path, visitor.FAKE_APP, GRADIO_ROOT_PATH=PREFIX) as address,
        serving(proxy([address], PREFIX)) as port,
        visitor.visit(browser, f"http://127.0.0.1:{port}{PREFIX}/", visitor.SHORT) as page,
    ):
        visitor.paint_to_the_end(page)
        assert visitor.save(page, "#save", tmp_path).stat().st_size


@pytest.mark.attack
def test_two_replicas_behind_one_address_paint_or_say_why_not(tmp_path):
    """Where each request comes to another one, files and runs are not where they are asked for."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with contextlib.ExitStack() as stack:
        apps = [stack.enter_context(visitor.started(one, visitor.FAKE_APP)) for one in folders]
        port = stack.enter_context(serving(proxy(apps)))
        seen = Server(f"http://127.0.0.1:{port}/", folders[0])
        outcomes = [_paint(seen) for _ in range(4)]
    assert all(outcomes), outcomes


def _paint(server: Server) -> str:
    """What comes of a run: done, or the words why not."""
    pair = server.upload_pair() | {"steps": 2}
    event, data = server.call("stylize", **pair)
    return event if event == "complete" else str(data.get("error") or data.get("detail") or "")


# --- A disk that empties ------------------------------------------------------------------------


@pytest.mark.attack
def test_a_disk_that_is_emptied_during_life(tmp_path):
    with visitor.started(tmp_path, visitor.FAKE_APP) as address:
        server = Server(address, tmp_path)
        pair = server.upload_pair() | {"steps": 2}
        assert server.call("stylize", **pair)[0] == "complete"
        shutil.rmtree(server.cache)
        event, data = server.call("stylize", **pair)
        assert event != "complete"
        assert str(data.get("error") or data.get("detail")), data
        assert server.call("stylize", **server.upload_pair(), steps=2)[0] == "complete"
        assert "Traceback" not in server.log(), server.log()[-3000:]


@pytest.mark.browser
def test_a_restart_with_an_empty_disk(browser, tmp_path):
    """Who comes back finds the page as it opens, and paints."""
    port = visitor.free_port()
    with browser.new_context() as context:
        context.add_init_script(visitor.FOLLOW)
        for _ in range(2):
            page = context.new_page()
            page.set_default_timeout(1000 * LIMIT)
            with visitor.started(tmp_path, visitor.FAKE_APP, port=port) as address:
                visitor.open_page(page, address, visitor.SHORT)
                visitor.paint_to_the_end(page)
            page.close()
            shutil.rmtree(tmp_path / "cache")
