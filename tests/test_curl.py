"""The stand-in for curl, held against curl where there is one."""

import http.server
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.curl import write_stand_in


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses every POST with its media type and its body, every boundary replaced."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        content_type, _, boundary = self.headers["content-type"].partition("; boundary=")
        self.send_response(400)
        self.end_headers()
        self.wfile.write(content_type.encode() + b"\n" + body.replace(boundary.encode() or b"\0", b"BOUNDARY"))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (so it is called there)
        pass


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl to compare with")
@pytest.mark.parametrize(
    "options",
    [
        ["-d", "a=b"],
        ["-H", "content-type: application/json", "-d", '{"images": []}'],
        ["-H", "content-type: image/png", "--data-binary", "@FOLDER/digits.bin"],
        ["-F", "first=@FOLDER/digits.bin", "-F", "second=words"],
        ["-d", "@FOLDER/digits.bin", "-o", "FOLDER/output"],
        ["-d", "a=b", "-o", "FOLDER/output", "-w", "%{http_code}\\n"],
    ],
    ids=lambda options: " ".join(options[:1] + options[-2:-1]),
)
def test_the_stand_in_for_curl_sends_and_shows_what_curl_does(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "digits.bin").write_bytes(bytes(range(14, 256)))
    server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    results = []
    for curl in ("curl", str(write_stand_in(tmp_path))):
        words = [word.replace("FOLDER", str(tmp_path)) for word in options]
        printed = subprocess.check_output([curl, "-s", f"127.0.0.1:{server.server_port}/", *words])
        results.append((printed, (tmp_path / "output").read_bytes() if "-o" in options else b""))
    server.shutdown()
    results = [tuple(re.sub(rb"\r\nContent-Type: [^\r]*", b"", part) for part in parts) for parts in results]
    assert results[0] == results[1]
    assert any(results[0])
