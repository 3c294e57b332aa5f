"""A stand-in for curl, with the options that the documents use, for machines that have none."""

import argparse
import shlex
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", "--data-binary", dest="data")
    parser.add_argument("-F", dest="fields", action="append", default=[])
    parser.add_argument("-o", dest="output")
    parser.add_argument("-w", dest="written", default="")
    words = parser.parse_args()
    content_type, body = form(words.fields) if words.fields else (None, words.data and content_of(words.data))
    request = urllib.request.Request(words.url if "://" in words.url else f"http://{words.url}", body)
    for line in [f"content-type: {content_type}"] * bool(content_type) + words.headers:
        name, _, value = line.partition(":")
        request.add_header(name, value.strip())
    try:
        response = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        response = error  # curl too shows what an error says
    answer = response.read()
    if words.output:
        Path(words.output).write_bytes(answer)
    else:
        sys.stdout.buffer.write(answer)
    sys.stdout.write(words.written.replace("%{http_code}", str(response.status)).replace("\\n", "\n"))


def content_of(value: str) -> bytes:
    return Path(value[1:]).read_bytes() if value.startswith("@") else value.encode()


def form(fields: list[str]) -> tuple[str, bytes]:
    """Return the media type and the body of a form with `fields`, each name=value or name=@file."""
    boundary, body = "-" * 24 + "a-stand-in-for-curl", b""
    for name, _, value in (field.partition("=") for field in fields):
        file = f'; filename="{Path(value[1:]).name}"' if value.startswith("@") else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        body += content_of(value) + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def write_stand_in(folder: Path) -> Path:
    """Write a program `curl` into `folder` that runs this."""
    stand_in = folder / "curl"
    stand_in.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, __file__])} "$@"\n')
    stand_in.chmod(0o755)
    return stand_in


if __name__ == "__main__":
    main()
