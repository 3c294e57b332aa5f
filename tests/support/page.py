"""The page as a visitor has it: sizes of screens, strokes drawn with the mouse, files dropped, pixels shown."""

from collections.abc import Callable, Iterable, Sequence

from playwright.sync_api import Page

# The strokes of a seven, of a one and of a crossed-out A, as shares of the paper's side.
SEVEN = [[(0.28, 0.22), (0.5, 0.22), (0.74, 0.22), (0.66, 0.4), (0.56, 0.6), (0.48, 0.84)]]
ONE = [[(0.52, 0.2), (0.5, 0.5), (0.48, 0.8)]]
NO_DIGIT = [[(0.2, 0.8), (0.5, 0.15), (0.8, 0.8)], [(0.3, 0.55), (0.7, 0.55)], [(0.1, 0.1), (0.9, 0.9)]]


# Drops a PNG of these bytes on the element of this id.
DROP = """([id, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "digit.png", { type: "image/png" }));
  document.getElementById(id).dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""
# Lets each answer to /predict come so many milliseconds late.
SLOW_ANSWERS = """(milliseconds) => {
  const fetched = window.fetch;
  window.fetch = async (path, options) => {
    const answer = await fetched(path, options);
    if (String(path).startsWith("predict")) await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return answer;
  };
}"""
# Waits until a canvas shows a picture of the service's, more than 500 pixels wide.
WHEN_PAINTED = """async (canvas) => {
  while (canvas.width <= 500) await new Promise((resolve) => setTimeout(resolve, 20));
}"""
# What reaches over the right edge, but for what may be scrolled or is for screen readers alone.
CUT_OFF = """() => [...document.querySelectorAll("nav a, main *")]
  .filter((it) => it.checkVisibility() && !it.closest(".unseen, svg, .scroll"))
  .filter((it) => it.getBoundingClientRect().right > innerWidth + 1)
  .map((it) => it.outerHTML.slice(0, 80))"""
PHONE, DESKTOP = (320, 700), (1440, 900)
OpenPage = Callable[..., Page]


def draw(page: Page, strokes: Iterable[Iterable[Sequence[float]]], steps: int = 6) -> None:
    """Draw with the mouse, which moves in so many steps from point to point."""
    paper = page.locator("#pad").bounding_box()
    assert paper
    for stroke in strokes:
        points = [(paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=steps)
        page.mouse.up()


def pixels_shown(page: Page, canvas: str) -> list[int]:
    """Return the red values of the 784 pixels of a canvas."""
    return page.evaluate(
        """id => [...document.getElementById(id).getContext("2d").getImageData(0, 0, 28, 28).data]
             .filter((_, index) => index % 4 === 0)""",
        canvas,
    )
