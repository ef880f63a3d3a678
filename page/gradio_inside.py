"""What the page needs of Gradio that Gradio does not promise to keep, all of it in this file.

`tests/test_gradio_inside.py` fails, and names the function, when another Gradio has renamed it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs

import gradio as gr
from anyio.to_thread import run_sync
from gradio import processing_utils, route_utils
from gradio.blocks import Block
from gradio.context import Context, LocalContext
from gradio.mcp import GradioMCPServer
from gradio.processing_utils import save_base64_to_cache
from gradio.queueing import Queue
from gradio.routes import App
from gradio.state_holder import SessionState
from gradio.utils import get_upload_folder
from starlette.types import Scope

# Paths, below whatever the page is mounted at: of uploads; of calls, whose parameters Gradio keeps
# until they are answered; and of what the page has no use for, but that would store what anybody
# sends, or give it to ffmpeg.
UPLOAD_PATH = "/gradio_api/upload"
CALL_PATHS = ("/gradio_api/queue/join", "/gradio_api/call/", "/gradio_api/mcp")
STREAM_PATH, ANSWER_PATH = "/gradio_api/queue/data", "/gradio_api/call/"
UNUSED_PATHS = ("/gradio_api/process_recording", "/gradio_api/deep_link", "/gradio_api/vibe-")

# The packages that an error may come of.
GRADIO, OWN = ("gradio", "gradio_client"), ("page", "nst_core")

# What Gradio raises for an endpoint that there is not.
UnknownEndpoint = route_utils.FnIndexInferError

# Where a request's scope has what `marked` puts there.
MARK = "page.mark"

Component = TypeVar("Component", bound=Block)


# --- The event that is being answered -----------------------------------------------------------


class Event(NamedTuple):
    """One call of a client, while it is answered."""

    queue: Queue
    id: str
    session: str


def event() -> Event | None:
    """The event that this thread answers; None outside of Gradio."""
    blocks, request = LocalContext.blocks.get(None), LocalContext.request.get(None)
    event_id = LocalContext.event_id.get(None)
    if blocks is None or request is None or event_id is None:
        return None
    return Event(blocks._queue, event_id, str(request.session_hash))


def session() -> str | None:
    """Whose event this thread answers; None outside of Gradio."""
    return getattr(LocalContext.request.get(None), "session_hash", None)


def client() -> str | None:
    """The network address whose event this thread answers; None outside of Gradio."""
    address = getattr(LocalContext.request.get(None), "client", None)
    return None if address is None else str(address.host)


def marked(scope: Scope, mark: Any) -> Scope:
    """A request that is known again when its call is one of those `unanswered`."""
    return {**scope, MARK: mark}


def unanswered(scope: Scope) -> set[Any]:
    """The marks of all calls that wait or are being answered, of the app that a request came to."""
    if not isinstance(scope.get("app"), App):
        return set()
    events = scope["app"].get_blocks()._queue.event_ids_to_events.values()
    marks = {event.request.scope.get(MARK) for event in events}
    return marks - {None}


def is_answered_to(scope: Scope) -> bool:
    """Whether there is, or was until it was read, what a request for a call's answers asks for.

    For what it does not know, Gradio would begin an answer, and break off with a traceback.
    """
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if scope["method"] != "GET" or not isinstance(scope.get("app"), App):
        return True
    queue = scope["app"].get_blocks()._queue
    if path == STREAM_PATH:
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        return asked.get("session_hash", [""])[-1] in queue.pending_messages_per_session
    if path.startswith(ANSWER_PATH):
        return _session_of(path.rpartition("/")[2], queue) in queue.pending_messages_per_session
    return True


def _session_of(event_id: str, queue: Queue) -> str | None:
    """Whose call it is; of one who did not say it, Gradio takes the call for the session."""
    event = queue.event_ids_to_events.get(event_id)
    if event is not None:
        return event.session_hash
    pending = list(queue.pending_event_ids_session.items())
    return next((session for session, events in pending if event_id in events), event_id)


def is_wrong_call(error: Exception) -> bool:
    """Whether it is a call that an error comes of, and not our code.

    For parameters and types that an endpoint does not have, Gradio's routes raise whatever they run
    into before they call anything of ours.
    """
    modules = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    packages = [module.partition(".")[0] for module in modules]
    *_, last = [name for name in packages if name in (*GRADIO, *OWN)] or [""]
    return last in GRADIO


def is_wanted(event: Event) -> bool:
    """Whether the client still waits for the answer: it has neither hung up nor cancelled."""
    jobs = [job for jobs in list(event.queue.active_jobs) for job in jobs or ()]
    return any(job._id == event.id and job.alive for job in jobs)


def count_unread(event: Event) -> int:
    """How many answers the client has not read; it may never have opened their stream."""
    messages = event.queue.pending_messages_per_session.get(event.session)
    return messages.qsize() if messages else 0


def oldest_unread(event: Event) -> object:
    """The answer that the client is to read next; None when it has read all.

    The event itself when there is nothing any more that could be read.
    """
    messages = event.queue.pending_messages_per_session.get(event.session)
    return event if messages is None else next(iter(messages._queue), None)


def accepted_languages() -> str | None:
    """The Accept-Language of the event that this thread answers; None outside of Gradio."""
    request = LocalContext.request.get(None)
    headers = getattr(request, "headers", None)
    return None if headers is None else str(headers.get("accept-language", ""))


def keep_no_values() -> None:
    """Let sessions keep nothing of what they send.

    Gradio keeps each component's last value, whole, of a hundred sessions: for a kind of link that
    the page does not have.
    """
    SessionState._update_value_in_config = lambda *_: None  # type: ignore[method-assign]


def is_tool_call() -> bool:
    """Whether an assistant called, by way of the MCP server."""
    headers = getattr(LocalContext.request.get(None), "headers", {})
    return bool(headers.get("x-gradio-user") == "mcp")


def hand_back_every_output() -> None:
    """Let the MCP server answer with each output of a tool by itself, pictures as pictures.

    Without it, an assistant that does not ask for progress gets several outputs as one text.
    """

    async def outputs(self: GradioMCPServer, job: Any) -> list[Any]:
        result = await run_sync(job.result)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    GradioMCPServer._execute_tool_without_progress = outputs  # type: ignore[method-assign]


# --- Languages ----------------------------------------------------------------------------------

# Of whoever asks for the page, and while a page is being laid out.
LANGUAGE: ContextVar[str] = ContextVar("language", default="en")

# What of a page is laid out in a language: texts are in the components, and in scripts of events.
SPOKEN = ("title", "components", "dependencies")


class Multilingual(gr.Blocks):
    """A page that is laid out once for each language; a browser gets the one of `LANGUAGE`.

    Whatever the others are asked comes to this one, whose components have the same numbers.
    """

    others: Mapping[str, gr.Blocks] = {}

    @property
    def config(self) -> Any:
        """What the browser gets."""
        return self._configs.get(LANGUAGE.get(), self._configs[""])

    @config.setter
    def config(self, config: Any) -> None:
        spoken: dict[str, Any] = {
            language: other.get_config_file() for language, other in self.others.items()
        }
        self._configs = {"": config} | {
            language: config | {name: one[name] for name in SPOKEN}
            for language, one in spoken.items()
        }

    def get_api_info(self, *args: Any, **options: Any) -> Any:
        """What other programs get, which is the same in all languages."""
        before = LANGUAGE.set("")
        try:
            return super().get_api_info(*args, **options)
        finally:
            LANGUAGE.reset(before)


def numbered_alike(make: Callable[[str], Component], languages: Sequence[str]) -> list[Component]:
    """A page in each of these languages, whose components have the same numbers."""
    first, pages = Context.id, []
    for language in languages:
        Context.id = first
        pages.append(make(language))
    return pages


# --- Files --------------------------------------------------------------------------------------


def move_in(name: str) -> None:
    """Give this program a folder of its own in Gradio's, which all programs of a machine share."""
    folder = upload_folder() / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)


def upload_folder() -> Path:
    """Where uploads arrive, and where files are served from."""
    return Path(get_upload_folder())


def store_base64(component: Block, text: str) -> str:
    """The file of a picture that came inside a request; raises `ValueError` for damaged base64."""
    return save_base64_to_cache(text, component.GRADIO_CACHE)


def fetch_nothing(error: Callable[[], Exception]) -> None:
    """Let no address be fetched that a client gives for a file; raises `error()` instead.

    Gradio would download it whole, for any component, and before that looks at the value.
    """

    async def refuse(*_: Any, **__: Any) -> Any:
        raise error()

    processing_utils.async_ssrf_protected_download = refuse
    processing_utils.async_ssrf_protected_get = refuse


# --- Components ---------------------------------------------------------------------------------


def take_anything(component: Component) -> Component:
    """Let a component hand over whatever arrives: `Settings` says better what is wrong with it."""
    component.preprocess = lambda payload: payload  # type: ignore[attr-defined]
    return component


def drawn_as_parent(kind: type[Component]) -> type[Component]:
    """For a subclass of a component, which browsers are to show as they show its parent."""
    kind.is_template = True  # type: ignore[attr-defined]
    return kind


def without_blobs(kind: type[Component]) -> type[Component]:
    """For an image editor: Gradio's would keep whatever anybody sends in memory.

    What is drawn here comes as files.
    """
    kind.accept_blobs = None  # type: ignore[attr-defined]
    return kind
