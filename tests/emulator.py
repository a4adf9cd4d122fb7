"""A bucket of Google Cloud Storage on this machine, in memory, for tests.

The package gcp-storage-emulator answers the requests. Added here: what TensorStore and the lease of a workdir rely on
(the generation of what is read, preconditions, ranges of names), what gcsfs calls (moveTo), and threads.
"""

import contextlib
import functools
import http.server
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from unittest import mock

import fsspec
from gcp_storage_emulator import server, settings
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects

BUCKET = "made-up"
_LOCK = threading.RLock()
_NAMED = r"/b/(?P<bucket_name>[-.\w]+)/o/(?P<object_id>.*[^/]+)"


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """Serves an empty bucket; yields its address, gs://BUCKET, which this process and its children then reach.

    The libraries keep the address, so a process may call it once.
    """
    storage = server.Server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)._storage
    storage._write_config_to_file = lambda: None  # it is in memory, and nobody else reads it
    with mock.patch.object(server, "HANDLERS", _handlers()):
        httpd = _Server(("127.0.0.1", 0), functools.partial(_Handler, storage))
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            with mock.patch.dict(os.environ):
                reach(f"http://127.0.0.1:{httpd.server_port}")
                yield f"gs://{BUCKET}"
        finally:
            httpd.shutdown()
            httpd.server_close()


def reach(url: str) -> None:
    """Leads the libraries of this process, and of the processes that it starts, to an emulator, without credentials."""
    os.environ |= {
        "STORAGE_EMULATOR_HOST": url,  # google-cloud-storage and gcsfs
        "TENSORSTORE_GCS_HTTP_URL": url,
        "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",  # TensorStore looks for no credentials
        "FSSPEC_GCS": '{"token": "anon"}',
        "NO_GCE_CHECK": "true",
    }
    fsspec.config.set_conf_env(fsspec.config.conf)  # it may have been imported before


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """TensorStore, and a process that is killed, leave without waiting for the answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(server.RequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def _handlers() -> tuple:
    """The table of the package with its handlers wrapped, and moveTo before it."""
    move = rf"^{re.escape(settings.API_ENDPOINT)}{_NAMED}/moveTo/o/(?P<dest_object_id>.*[^/]+)$"
    table = [(move, {"POST": _guarded(_move)})]
    for pattern, methods in server.HANDLERS:
        table.append((pattern, {method: _guarded(_WRAPPED.get(each, each)) for method, each in methods.items()}))
    return tuple(table)


def _guarded(handler: Callable) -> Callable:
    """One request at a time; 412 or 304 where a precondition does not hold; the generation of what is read."""

    def guarded(request, response, storage, *rest, **named):
        with _LOCK:
            name, bucket = _object_of(request), request.params.get("bucket_name")
            live = _generation(storage, bucket, name) if name else 0
            refused = _refused(request, live)
            if refused:
                _ = request.data  # otherwise the body would be taken for the next request
                response.status = refused
                if refused != HTTPStatus.NOT_MODIFIED:
                    response.json({"error": {"code": int(refused), "message": "conditionNotMet"}})
                return
            if request.method == "GET" and live:
                response["x-goog-generation"], response["x-goog-metageneration"] = str(live), "1"
            handler(request, response, storage, *rest, **named)

    return guarded


def _object_of(request) -> str | None:
    """The name of the object that a request reads, writes or deletes."""
    if request.method in ("GET", "DELETE", "PATCH"):
        return request.params.get("object_id")
    if "dest_object_id" in request.params:
        return request.params["dest_object_id"]
    if "name" in request.query:
        return request.query["name"][0]
    uploads = "uploadType" in request.query and isinstance(request.data, dict)
    return (request.data.get("meta") or request.data).get("name") if uploads else None


def _generation(storage, bucket: str, name: str) -> int:
    try:
        return int(storage.get_file_obj(bucket, name)["generation"])
    except NotFound:
        return 0


def _refused(request, live: int) -> HTTPStatus | None:
    match, differ = (request.query.get(f"ifGeneration{kind}Match", [None])[0] for kind in ("", "Not"))
    if match is not None and int(match) != live:
        return HTTPStatus.PRECONDITION_FAILED
    if differ is not None and int(differ) == live:
        return HTTPStatus.NOT_MODIFIED if request.method == "GET" else HTTPStatus.PRECONDITION_FAILED
    return None


def _list(request, response, storage, *_, **__) -> None:
    objects.ls(request, response, storage)
    start, end = (request.query.get(key, [""])[0] for key in ("startOffset", "endOffset"))
    if response.status == HTTPStatus.OK and (start or end):
        listed = json.loads(response._content)

        def wanted(name: str) -> bool:
            return name >= start and (not end or name < end)

        listed["items"] = [each for each in listed["items"] if wanted(each["name"])]
        listed["prefixes"] = [each for each in listed["prefixes"] if wanted(each)]
        response.json(listed)


def _move(request, response, storage, *_, **__) -> None:
    bucket, source, target = (request.params[key] for key in ("bucket_name", "object_id", "dest_object_id"))
    try:
        response.json(objects._copy(request.base_url, storage, bucket, source, bucket, target))
        if source != target:
            storage.delete_file(bucket, source)
    except NotFound:
        response.status = HTTPStatus.NOT_FOUND


_WRAPPED = {objects.ls: _list}
