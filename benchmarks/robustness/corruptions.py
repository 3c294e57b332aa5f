"""The fifteen corruptions of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337), as strong as they are in that data set.

Written from the paper's descriptions; images are float64 of shape (N, 28, 28), 0 to 1, and every image draws its own chance.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.digits import IMAGE_SHAPE, MAX_PIXEL
from training.drawing import line

Images = NDArray[np.float64]
Corruption = Callable[[Images, np.random.Generator], Images]

_SIZE = IMAGE_SHAPE[0]


def corrupted(name: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `images`, uint8 (N, 784), with the corruption `name`; the same images give the same result."""
    light = images.reshape(-1, *IMAGE_SHAPE) / MAX_PIXEL
    changed = CORRUPTIONS[name](light, np.random.default_rng(list(name.encode())))
    return np.rint(np.clip(changed, 0, 1) * MAX_PIXEL).astype(np.uint8).reshape(images.shape)


def _shot_noise(images: Images, random: np.random.Generator) -> Images:
    photons = 3  # that a white pixel receives in the mean
    return random.poisson(images * photons) / photons


def _impulse_noise(images: Images, random: np.random.Generator) -> Images:
    share, chance = 0.17, random.random(images.shape)
    return np.select([chance < share / 2, chance < share], [0, 1], images)


def _blurred(images: Images, spread: float) -> Images:
    """Return `images` under a Gaussian with a standard deviation of `spread` pixels."""
    places = np.arange(_SIZE)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * spread**2))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ images @ weights.T


def _glass_blur(images: Images, random: np.random.Generator) -> Images:
    """Blur, exchange pixels with neighbours, blur."""
    spread, rounds = 0.7, 2
    blurred, every = _blurred(images, spread), np.arange(len(images))
    for row, column in list(product(range(_SIZE - 1, 0, -1), repeat=2)) * rounds:
        other_row, other_column = np.array([[row], [column]]) - random.integers(0, 2, (2, len(images)))
        here, there = blurred[:, row, column].copy(), blurred[every, other_row, other_column]
        is_moved = random.random(len(images)) < 0.5
        blurred[every, other_row, other_column] = np.where(is_moved, here, there)
        blurred[:, row, column] = np.where(is_moved, there, here)
    return _blurred(blurred, spread)


def _motion_blur(images: Images, random: np.random.Generator) -> Images:
    """Move the image along a line, up to 45° from the horizontal, and leave it there for ever shorter."""
    spread, pixels = 3, np.arange(11.0)
    angles = random.uniform(-np.pi / 4, np.pi / 4, len(images))
    weights, directions = np.exp(-(pixels**2) / (2 * spread**2)), np.stack((np.cos(angles), np.sin(angles)), axis=1)
    moved = np.zeros(images.shape)
    for pixel, weight in zip(pixels.tolist(), weights / weights.sum(), strict=True):
        moved += weight * _mapped(images, np.eye(2), pixel * directions)
    return moved


def _mapped(images: Images, matrices: NDArray[np.float64], shifts: NDArray[np.float64] | float = 0.0) -> Images:
    """Return what is at matrix · place + shift in each image, where a place is (x, y) from the centre; outside it is dark.

    `matrices` has the shape (2, 2) or (N, 2, 2), `shifts` (N, 2).
    """
    matrices = np.broadcast_to(matrices, (len(images), 2, 2))
    centre = np.full(2, _SIZE / 2)
    offsets = centre - matrices @ centre + shifts
    rows = np.concatenate((matrices, offsets[:, :, None]), axis=2).reshape(-1, 6)
    return np.stack([_affine(image, row) for image, row in zip(images.astype(np.float32), rows, strict=True)])


def _affine(image: NDArray[np.float32], row: NDArray[np.float64]) -> NDArray[np.float64]:
    method, resampling = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).transform(image.shape, method, row.tolist(), resampling), np.float64)


def _signs(random: np.random.Generator, shape: int | tuple[int, int]) -> NDArray[np.float64]:
    return random.choice((-1.0, 1.0), shape)


def _shear(images: Images, random: np.random.Generator) -> Images:
    matrices = np.tile(np.eye(2), (len(images), 1, 1))
    matrices[:, 0, 1] = 0.4 * _signs(random, len(images))
    return _mapped(images, matrices)


def _scale(images: Images, random: np.random.Generator) -> Images:
    return _mapped(images, np.eye(2) / 0.7)


def _rotate(images: Images, random: np.random.Generator) -> Images:
    radians = 0.4 * _signs(random, len(images))
    cosines, sines = np.cos(radians), np.sin(radians)
    return _mapped(images, np.moveaxis(np.array([[cosines, -sines], [sines, cosines]]), 2, 0))


def _brightness(images: Images, random: np.random.Generator) -> Images:
    return images + 0.5


def _translate(images: Images, random: np.random.Generator) -> Images:
    return _mapped(images, np.eye(2), 3 * _signs(random, (len(images), 2)))


def _stripe(images: Images, random: np.random.Generator) -> Images:
    """Invert the left and the right quarter."""
    is_inverted = np.abs(np.arange(_SIZE) - _SIZE / 2 + 0.5) > _SIZE / 4
    return np.where(is_inverted, 1 - images, images)


def _fog(images: Images, random: np.random.Generator) -> Images:
    """Add three times a fractal, whose wavelengths halve and whose heights divide by 1.4, and bring that into the range."""
    density, decay, halvings = 3, 1.4, 8
    height = 1 / 6 / np.sqrt(sum(decay ** (-2 * k) for k in range(halvings)))  # 0 to 1 are three standard deviations
    fractal = np.full(images.shape, 0.5)
    for k in range(halvings):
        corners = int(np.ceil(_SIZE * 2**k / 256)) + 1
        fractal += height * decay**-k * _stretched(random.normal(size=(len(images), corners, corners)))
    return (images + density * fractal) / (1 + density)


def _stretched(corners: Images) -> Images:
    """Return grids of few values as images, by linear interpolation."""
    places = np.linspace(0, corners.shape[1] - 1, _SIZE)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(corners.shape[1])))
    return weights @ corners @ weights.T


def _spatter(images: Images, random: np.random.Generator) -> Images:
    """Cover parts with drops of dark grey mud."""
    is_mud = _blurred(random.normal(0.65, 0.3, images.shape), 1) > 0.65
    mud = _blurred(is_mud.astype(np.float64), 1.5)
    mud = np.where(mud < 0.8, 0, mud)
    return images * (1 - mud) + 63 / MAX_PIXEL * mud


def _with_lines(images: Images, corners: Callable[[], NDArray[np.float64]]) -> Images:
    return images + np.stack([np.asarray(line(corners(), 2)) for _ in images]) / MAX_PIXEL


def _dotted_line(images: Images, random: np.random.Generator) -> Images:
    """Draw a line from the left edge to the right, of which two columns are there and two are not."""
    is_drawn = np.arange(_SIZE) // 2 % 2 == 1
    lines = _with_lines(np.zeros(images.shape), lambda: np.stack(([0, _SIZE], random.uniform(0, _SIZE, 2)), axis=1))
    return images + lines * is_drawn


def _zigzag(images: Images, random: np.random.Generator) -> Images:
    """Draw a line of teeth, 4 pixels high and each 4 after the last, nearly from edge to edge."""

    def corners() -> NDArray[np.float64]:
        columns = np.array([2, *range(4, 25, 4), 25])
        slope, teeth = random.uniform(-5, 5) / 23, np.array([0, *([2, -2] * 3), 0])
        return np.stack((columns, random.uniform(0, _SIZE) + slope * columns + teeth), axis=1)

    return _with_lines(images, corners)


def _canny_edges(images: Images, random: np.random.Generator) -> Images:
    """Keep the edges alone (Canny 1986, IEEE Transactions on Pattern Analysis and Machine Intelligence 8:679-698)."""
    smooth = np.pad(_blurred(images, 1), ((0, 0), (1, 1), (1, 1)))
    down, right = (_sobel(each) for each in (smooth, smooth.swapaxes(1, 2)))
    slope_down, slope_right = down, right.swapaxes(1, 2)
    strength = np.hypot(slope_down, slope_right)
    # Of each pixel, the neighbours across the edge: to the right, down and right, down, down and left.
    octant = np.rint(np.arctan2(slope_down, slope_right) / (np.pi / 4)).astype(int) % 4
    is_crest = np.zeros(images.shape, bool)
    for number, step in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        is_higher = (strength > _beside(strength, step)) & (strength >= _beside(strength, (-step[0], -step[1])))
        is_crest |= (octant == number) & is_higher
    return _connected(is_crest & (strength > 0.2), is_crest & (strength > 0.1)).astype(np.float64)


def _sobel(padded: Images) -> Images:
    """Return how much lighter it gets downwards; `padded` has a pixel more on each side."""
    columns = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return columns[:, 2:] - columns[:, :-2]


def _beside(images: NDArray, step: tuple[int, int]) -> NDArray:
    """Return of each pixel the neighbour at `step` (down, right); 0 outside."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 + step[0] : 1 + step[0] + _SIZE, 1 + step[1] : 1 + step[1] + _SIZE]


def _connected(sure: NDArray[np.bool_], possible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is `possible` and hangs together with something `sure`."""
    steps = (-1, 0, 1)
    while True:
        grown = np.logical_or.reduce([_beside(sure, (down, right)) for down in steps for right in steps]) & possible
        if (grown == sure).all():
            return sure
        sure = grown


CORRUPTIONS: dict[str, Corruption] = {
    "shot noise": _shot_noise,
    "impulse noise": _impulse_noise,
    "glass blur": _glass_blur,
    "motion blur": _motion_blur,
    "shear": _shear,
    "scale": _scale,
    "rotation": _rotate,
    "brightness": _brightness,
    "translation": _translate,
    "stripe": _stripe,
    "fog": _fog,
    "spatter": _spatter,
    "dotted line": _dotted_line,
    "zigzag": _zigzag,
    "Canny edges": _canny_edges,
}
