"""How well a published model reads digits unlike those it learned from, and what it says of images that are none."""
