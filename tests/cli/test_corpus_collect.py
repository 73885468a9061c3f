"""`fuzz corpus collect` from a hub that stands in for the real one, by the hub's own client."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("huggingface_hub", reason="the hub's client")

TASKS = {"image-classification": {"label": "Image Classification", "summary": "What a picture shows."}, "odd": {}}
CARD = """---
model-index:
- results:
  - task: {type: t}
    dataset: {type: imdb}
    metrics: [{type: acc, value: 1}]
---
"""
DUMP = [{"url": "https://paperswithcode.com/dataset/imdb", "name": "IMDb", "description": "Films.", "tasks": []}]


class Hub(BaseHTTPRequestHandler):
    """Five models on pages of two, one of them without a card, one long; a dataset; a mirror with a dump."""

    def do_GET(self):  # noqa: PLR0911 - the name is theirs; an address a line
        hub, parts = self.server, urlsplit(self.path)
        hub.asked.append(parts.path)
        if hub.refuse and parts.path.startswith("/m2/"):
            hub.refuse -= 1
            return self.answer(429, b"", {"Retry-After": "0"})
        if parts.path == hub.breaks_at:
            return self.answer(418, b"")
        if parts.path == "/api/tasks":
            return self.answer(200, json.dumps(TASKS).encode())
        if parts.path == "/api/models":
            return self.page(int(parse_qs(parts.query).get("page", ["0"])[0]))
        if parts.path == "/api/datasets":
            row = {"id": "me/diary", "lastModified": "2024-01-01T00:00:00.000Z", "tags": ["task_categories:odd"]}
            return self.answer(200, json.dumps([row]).encode())
        if parts.path.startswith("/api/datasets/pwc-archive/files"):
            name = "jul-28-datasets.json"
            files = [{"type": "file", "path": name, "rfilename": name, "size": 1, "oid": "0"}]
            body = files if "/tree/" in parts.path else {"id": "pwc-archive/files", "sha": "0" * 40, "siblings": files}
            return self.answer(200, json.dumps(body).encode())
        if parts.path.endswith("datasets.json"):
            headers = {"ETag": '"1"', "X-Repo-Commit": "0" * 40}
            return self.answer(200, json.dumps(DUMP).encode(), headers)
        if parts.path.startswith("/m4/"):
            return self.answer(200, b"Trained on IMDb. " * 300_000)
        if parts.path.startswith("/m1/"):
            return self.answer(404, b"")
        return self.answer(200, CARD.encode())

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def page(self, number: int) -> None:
        names = [f"m{n}/net" for n in range(5)][2 * number : 2 * number + 2]
        more = {"tags": ["dataset:imdb"], "lastModified": self.server.modified, "pipeline_tag": "odd"}
        rows = [{"id": name, **more} for name in names]
        after = f'<http://{self.headers["Host"]}/api/models?page={number + 1}>; rel="next"'
        self.answer(200, json.dumps(rows).encode(), {"Link": after} if number < 2 else {})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.refuse, server.breaks_at, server.modified = [], 0, "", "2024-01-01T00:00:00.000Z"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def collect(fuzz, hub, tmp_path):
    def run(*arguments: str, **more: str):
        address = f"http://127.0.0.1:{hub.server_address[1]}"
        hub.asked.clear()
        environment = {
            "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        }  # fmt: skip
        return fuzz("corpus", "collect", *arguments, "--out", "got", **environment, **more)

    return run


def test_all_kinds_and_on_to_matches(fuzz, hub, collect):
    hub.refuse = 1
    done = collect("--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fetched"] == {"tasks": 2, "papers-with-code": 1, "datasets": 1, "models": 4}
    assert told["without"] == {"datasets": 0, "models": 1}
    assert told["evaluations"] == 3
    rows = [json.loads(line) for line in (fuzz.home / "got" / "models" / "cards.jsonl").read_text().splitlines()]
    assert [row["modelId"] for row in rows] == [f"m{n}/net" for n in range(5)]
    assert rows[1]["absent"] == 404
    assert rows[4]["cut"]
    assert len(rows[4]["card"]) == 2**18
    done = fuzz("corpus", "match", "got/models", "--datasets", "got/papers-with-code", "--datasets", "got/datasets",
                "--datasets", "got/tasks", "--json")  # fmt: skip
    assert json.loads(done.stdout)["datasets"] == {"imdb": 5}


def test_a_run_goes_on_where_it_was_ended(fuzz, hub, collect):
    hub.breaks_at = "/m3/net/resolve/main/README.md"
    done = collect("models")
    assert done.returncode == 2
    assert "answers 418" in done.stderr
    assert done.stderr.count("\n") == 1
    path = fuzz.home / "got" / "models" / "cards.jsonl"
    assert len(path.read_text().splitlines()) == 3
    path.write_text(path.read_text() + '{"modelId": "m3/net", "ca')
    hub.breaks_at = ""
    told = json.loads(collect("models", "--json").stdout)
    assert (told["before"], told["fetched"]) == ({"models": 3}, {"models": 2})
    assert not [path for path in hub.asked if path.startswith("/m0/")]
    hub.modified = "2025-01-01T00:00:00.000Z"
    assert json.loads(collect("models", "--json", "--limit", "1").stdout)["fetched"] == {"models": 1}
    assert len(path.read_text().splitlines()) == 5


def test_no_network_is_one_line(fuzz, refused):
    refused(fuzz("corpus", "collect", "tasks", HF_ENDPOINT="http://127.0.0.1:9"), "cannot be reached", "network")
    refused(fuzz("corpus", "collect", "tasks", HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE is set")
