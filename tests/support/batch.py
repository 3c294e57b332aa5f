"""The view for many pictures: files chosen in it, and what it shows of their answers."""

import io
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect


def file(name: str, content: bytes) -> dict:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def png(image: np.ndarray) -> bytes:
    """Return dark ink on white, enlarged."""
    content = io.BytesIO()
    Image.fromarray(255 - image.reshape(28, 28)).resize((112, 112)).save(content, "PNG")
    return content.getvalue()


def files_of(images: np.ndarray) -> list[dict]:
    return [file(f"{place}.png", png(image)) for place, image in enumerate(images)]


def choose(page: Page, *files: dict) -> None:
    page.locator("#files").set_input_files(list(files))  # pyright: ignore[reportArgumentType]


def answered(page: Page, count: int) -> None:
    """Wait until so many images are answered."""
    expect(page.locator("#progress")).to_contain_text(re.compile(f"(^| ){count:,} answered"), timeout=60_000)


def grid(page: Page) -> list[tuple[int, int]]:
    """Return digit and confidence in percent of each picture, in the order shown."""
    digits, sure = (page.locator(f"#grid {tag}").all_text_contents() for tag in ("b", "span"))
    return [(int(digit), int(share.removesuffix("\u00a0%"))) for digit, share in zip(digits, sure, strict=True)]


def digits_in_order(page: Page) -> list[int]:
    page.get_by_label("Sort by").select_option("file")
    return [digit for digit, _ in grid(page)]


def problems(page: Page) -> list[str]:
    return page.locator("#problem-list li").all_text_contents()
