"""Batches of training images that are never twice the same: moved, redrawn, lit, covered and noisy by chance."""

from collections.abc import Callable

import tensorflow as tf

from models.digits import IMAGE_SHAPE, MAX_PIXEL, NUM_PIXELS
from training.data import Split

Draw = Callable[[float, float], tf.Tensor]
"""Draws one number between two for each image of a batch, as shape (N, 1, 1, 1); each call draws others."""

_DRAWS = 32  # more than are made for a batch
_SIZE = IMAGE_SHAPE[0]
_MIDDLE = (_SIZE - 1) / 2


def augmented(train: Split, batch_size: int, seed: int) -> tf.data.Dataset:
    """Return one epoch of shuffled batches, and at each pass another: pixels (N, 784), 0 to 255, and one-hot labels.

    The same seed gives the same batches in the same order, although threads make several at once.
    """
    batches = tf.data.Dataset.from_tensor_slices((train.images, train.one_hot())).shuffle(len(train), seed).batch(batch_size)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

    def change(batch: tuple[tf.Tensor, tf.Tensor], number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        return _changed(tf.cast(images, tf.float32), tf.stack([tf.cast(seed, tf.int64), number])), labels

    return tf.data.Dataset.zip(batches, seeds).map(change, num_parallel_calls=2, deterministic=True).prefetch(2)


def _changed(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return `pixels` (N, 784), each image changed in its own way; `seed` is two whole numbers."""
    seeds = iter(tf.unstack(tf.random.split(seed, _DRAWS)))
    one_for_each = tf.stack([tf.shape(pixels)[0], 1, 1, 1])

    def draw(low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform(one_for_each, next(seeds), low, high)

    images = tf.reshape(pixels, (-1, *IMAGE_SHAPE, 1))
    for change in (_redrawn, _moved, _lit, _covered):
        images = change(images, draw)
    images = _noisy(images, draw, tf.random.stateless_uniform(tf.shape(images), next(seeds), -1, 1))
    return tf.reshape(images, (-1, NUM_PIXELS))


def _now_and_then(draw: Draw, share: float) -> tf.Tensor:
    """Return 1 for about that `share` of the images and 0 for the others."""
    return tf.cast(draw(0, 1) < share, tf.float32)


def _redrawn(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Make strokes up to 0.7 pixels wider or thinner, of one image in five after one pixel, and leave some outlines alone."""
    images = tf.where(draw(0, 1) < 0.2, _spread(images, tf.maximum), images)
    wide, thin = (_spread(images, extreme) for extreme in (tf.maximum, tf.minimum))
    wider = draw(-0.7, 0.7) * _now_and_then(draw, 0.7)
    strokes = images + tf.nn.relu(wider) * (wide - images) + tf.nn.relu(-wider) * (thin - images)
    return tf.where(draw(0, 1) < 0.05, wide - thin, strokes)


def _spread(images: tf.Tensor, extreme: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Return the extreme of each pixel, its neighbours to the left and above, and the one between these."""
    columns = extreme(images, tf.roll(images, 1, 2))
    return extreme(columns, tf.roll(columns, 1, 1))


def _moved(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Rotate by up to 15°, shear by up to 0.3, scale by 0.7 to 1.42, taper by up to 0.01 a pixel, shift by up to 2.5 pixels."""
    angle, shear, shift_x, shift_y = (draw(-limit, limit) for limit in (0.26, 0.3, 2.5, 2.5))
    both = draw(-0.2, 0.2)
    width, height = (tf.exp(both + draw(-0.15, 0.15)) for _ in range(2))
    taper_x, taper_y = draw(-0.01, 0.01), draw(-0.01, 0.01)
    cos, sin = tf.cos(angle), tf.sin(angle)
    # Each row says where in the image a pixel of the answer comes from, counted from the middle.
    rows = ((cos * width, cos * width * shear - sin * height), (sin * width, sin * width * shear + cos * height))
    x, y = _MIDDLE + shift_x, _MIDDLE + shift_y
    at_middle = 1 - taper_x * x - taper_y * y
    numbers = [n for a, b in rows for n in (a + _MIDDLE * taper_x, b + _MIDDLE * taper_y, _MIDDLE * at_middle - a * x - b * y)]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=(tf.concat([*numbers, taper_x, taper_y], axis=1) / at_middle)[:, :, 0, 0],
        output_shape=IMAGE_SHAPE,
        fill_value=0.0,
        interpolation="BILINEAR",
    )


def _lit(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Give two images in five a lighter background, up to 110, and fainter strokes, down to half."""
    is_lit = _now_and_then(draw, 0.4)
    share, gain = is_lit * draw(0, 0.43), 1 - is_lit * draw(0, 0.5)
    return share * MAX_PIXEL + (1 - share) * gain * images


def _covered(images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Lay a rectangle or a stripe over one image in seven, which brightens what is dark and darkens what is bright."""
    pixels = tf.range(_SIZE, dtype=tf.float32)
    top, left = draw(-14, 28), draw(-14, 28)
    rows, columns = pixels[None, :, None, None], pixels[None, None, :, None]
    is_row = (rows >= top) & (rows < top + draw(4, 20)) | (draw(0, 1) < 0.5)
    is_column = (columns >= left) & (columns < left + draw(4, 20))
    cover = draw(0, MAX_PIXEL) * _now_and_then(draw, 0.15)
    return tf.abs(tf.where(is_row & is_column, cover, 0) - images)


def _noisy(images: tf.Tensor, draw: Draw, noise: tf.Tensor) -> tf.Tensor:
    """Add `noise`, of -1 to 1, up to 80-fold to one image in five, and set up to 15 % of the pixels of others to 0 or 255."""
    amount, replaced = draw(0, 80) * _now_and_then(draw, 0.2), draw(0, 0.15) * _now_and_then(draw, 0.15)
    noisy = tf.clip_by_value(images + amount * noise, 0, MAX_PIXEL)
    return tf.where(tf.abs(noise) > 1 - replaced, tf.where(noise > 0, float(MAX_PIXEL), 0.0), noisy)
