"""Forms of pictures: `multipart/form-data`, one PNG or JPEG in each part."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import ApiError, too_many_images
from service.images.normalisation import read_picture


def read_multipart(body: bytes, content_type: str, max_images: int, is_wanted: Callable[[], bool]) -> NDArray[np.uint8]:
    """Read one picture from each part, in order, into shape (N, 28, 28).

    Raises:
        ApiError: 413 for more than `max_images` parts; 504 once `is_wanted` returns False.
        ValueError: it is no such form; the message names the part.
    """
    parts = _parts(body, content_type, max_images)
    if not parts:
        raise ValueError("the form has no parts; send one PNG or JPEG in each part.")
    pictures = []
    for index, part in enumerate(parts):
        try:
            pictures.append(read_picture(part, is_wanted))
        except TimeoutError:
            sentence = f"{index} of {len(parts)} pictures were read in time; send fewer at a time."
            raise ApiError(504, "deadline_exceeded", sentence) from None
        except ValueError as error:
            raise ValueError(f"part {index}: {error}") from None
    return np.stack(pictures)


def _parts(body: bytes, content_type: str, max_parts: int) -> list[memoryview]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ValueError("the Content-Type has no boundary; send multipart/form-data; boundary=… as HTTP clients do.")
    spans: list[list[int]] = []
    ends = []

    def begin() -> None:
        if len(spans) == max_parts:
            raise too_many_images(f"more than {max_parts:,} parts", max_parts)
        spans.append([])

    def extend(data: bytes, start: int, stop: int) -> None:
        spans[-1] += start, stop  # what the parser has, all at once, is `body`

    try:
        parser = MultipartParser(
            boundary, {"on_part_begin": begin, "on_part_data": extend, "on_end": lambda: ends.append(True)}
        )
        parser.write(body)
    except FormParserError as error:
        raise ValueError(f"the form cannot be read ({error}); send multipart/form-data as HTTP clients do.") from None
    if not ends:
        raise ValueError("the form ends before its closing boundary; send all of it.")
    return [memoryview(body)[span[0] : span[-1]] if span else memoryview(b"") for span in spans]
