"""A bucket that cannot be used is one sentence, within seconds."""

import http.server
import importlib.util
import socket
import threading

import pytest

from tsc_jax import buckets
from tsc_jax.errors import InputError
from tsc_jax.files import open_path

needs_gcsfs = pytest.mark.skipif(
    importlib.util.find_spec("gcsfs") is None, reason="needs gcsfs: pip install -r requirements-gcs.txt"
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Buckets are asked anew, and have half a second to answer."""
    monkeypatch.setattr(buckets, "SECONDS", 0.5)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    buckets._bucket.cache_clear()
    yield
    buckets._bucket.cache_clear()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status that the bucket's name ends with."""

    def do_GET(self):
        self.send_response(int(self.path.split("?")[0][-3:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@needs_gcsfs
@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "no such bucket"), (403, "not open to you"), (401, "no valid credentials"), (503, "cannot be used")],
)
def test_a_bucket_that_does_not_let_in(monkeypatch, status, message):
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.handle_request, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    with pytest.raises(InputError, match=rf"^gs://bucket-{status}: .*{message}"):
        open_path(f"gs://bucket-{status}/run")
    server.server_close()


@needs_gcsfs
@pytest.mark.parametrize("listens", [False, True])
def test_a_network_that_is_not_there_and_one_that_is_silent(monkeypatch, listens):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(InputError, match=r"gs://bucket: cannot be used \(") as caught:
            open_path("gs://bucket/run")
    assert "\n" not in str(caught.value)


@needs_gcsfs
def test_no_credentials(monkeypatch, tmp_path):
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"gs://bucket: no valid credentials .*gcloud auth application-default login"):
        open_path("gs://bucket/run")


def test_no_gcsfs(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -r requirements-gcs\.txt"):
        open_path("gs://bucket/run")


@pytest.mark.parametrize("address", ["s3://bucket/run", "https://x.org/run", "gs:/bucket/run"])
def test_other_addresses_are_told_which_are_expected(address):
    with pytest.raises(
        InputError, match=r"is an address, expected a .*folder of .* or of a bucket, gs://BUCKET/FOLDER"
    ):
        open_path(address)
