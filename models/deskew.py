"""A digit centred, straightened and brought to one size by the moments of its ink, in operations that LiteRT has."""

import keras
import numpy as np
import tensorflow as tf

from models.digits import IMAGE_SHAPE, NUM_PIXELS

# The standard deviations along rows and columns, in pixels, that every digit is brought to; chosen on validation.
_WIDTH, _HEIGHT = 4.0, 5.0
# In pixels². A straight 1 has little more; what has less, as a single pixel, is not enlarged further.
_SMALLEST_VARIANCE = 1.0
# Grey levels that are no ink: a background that is a little lighter would weigh more than the digit. At 0 validation accuracy
# is 0.1 points higher, but 43 % instead of 91 % once all pixels are 5 % lighter.
_BACKGROUND = 32

_SIZE = IMAGE_SHAPE[0]
_MIDDLE = (_SIZE - 1) / 2
_FROM_MIDDLE = np.arange(_SIZE, dtype=np.float32) - _MIDDLE
# Counted from a whole number: the sums over whole pixels are then whole, and the same in whatever order they are added.
_ORIGIN = _SIZE // 2
_Y, _X = np.indices(IMAGE_SHAPE).reshape(2, NUM_PIXELS) - _ORIGIN
_POWERS = np.stack([np.ones(NUM_PIXELS), _X, _Y, _X * _X, _X * _Y, _Y * _Y], axis=1).astype(np.float32)

_STARTS_OF_ROWS = np.arange(0, _SIZE * (_SIZE + 2), _SIZE + 2, dtype=np.int32)[:, None]


@keras.saving.register_keras_serializable("models")
class Deskew(keras.Layer):
    """Takes and returns pixels, float32 of shape (N, 784), 0 to 255.

    The centre of mass is moved to the middle, the slant is sheared away, and the ink's standard deviations become those
    above (LeCun et al. 1998, doi:10.1109/5.726791, deslants and scales its digits so). Pixels between pixels are interpolated
    linearly; outside of the picture is 0.
    """

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        centre_x, centre_y, slant, width, height = _shape_of_ink(pixels)
        down = height * (_FROM_MIDDLE / _HEIGHT)  # (N, 28): how far from the centre each row of the answer was
        across = width * (_FROM_MIDDLE / _WIDTH)
        # With a border of 0, which is what lies outside; it shifts the first pixel to 1.
        picture = tf.pad(tf.reshape(pixels, (-1, _SIZE, _SIZE)), ((0, 0), (1, 1), (1, 1)))
        place, share = _place_and_share(down + (centre_y + 1))
        rows = _interpolated(picture, place, share[:, :, None])
        place, share = _place_and_share((across + (centre_x + 1))[:, None, :] + (slant * down)[:, :, None])
        places = tf.reshape(place + _STARTS_OF_ROWS, (-1, NUM_PIXELS))
        return _interpolated(tf.reshape(rows, (-1, _SIZE * (_SIZE + 2))), places, tf.reshape(share, (-1, NUM_PIXELS)))


def _shape_of_ink(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return for each image, as shape (N, 1): the centre's x and y, columns per row of slant, and both standard deviations."""
    sums = tf.matmul(tf.nn.relu(pixels - _BACKGROUND), _POWERS)
    x, y, xx, xy, yy = tf.split(sums[:, 1:] / tf.maximum(sums[:, :1], 1), 5, axis=1)  # of a blank image: 0
    variance_y = tf.maximum(yy - y * y, _SMALLEST_VARIANCE)
    covariance = xy - x * y
    slant = covariance / variance_y
    variance_x = tf.maximum(xx - x * x - slant * covariance, _SMALLEST_VARIANCE)  # once it is straight
    return x + _ORIGIN, y + _ORIGIN, slant, _root(variance_x), _root(variance_y)


def _root(variance: tf.Tensor) -> tf.Tensor:
    """Return the square root to four digits or more, by Heron's method.

    XNNPACK's own differs from TensorFlow's in the last bit of every third number, and pixels between pixels magnify that.
    """
    root = (variance + 16) / 8  # the tangent at 16, an ordinary variance
    for _ in range(4):
        root = (root + variance / root) / 2
    return root


def _place_and_share(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the place before each position, 0 to 28, and the share of the way to the next one."""
    inside = tf.clip_by_value(position, 0, _SIZE + 1)
    place = tf.minimum(tf.floor(inside), _SIZE)
    return tf.cast(place, tf.int32), inside - place


def _interpolated(values: tf.Tensor, place: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    before, after = (tf.gather(values, each, batch_dims=1) for each in (place, place + 1))
    return before + share * (after - before)
