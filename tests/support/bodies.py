"""Request bodies: images in the formats that are read."""

import io
import json
import struct

import numpy as np


def json_of(images: np.ndarray) -> bytes:
    return json.dumps({"images": images.tolist()}).encode()


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version)
    return file.getvalue()


def npy_with_header(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1")
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


def form_of(*pictures: bytes) -> bytes:
    parts = [b'--frontier\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n%s\r\n' % each for each in pictures]
    return b"".join(parts) + b"--frontier--\r\n"
