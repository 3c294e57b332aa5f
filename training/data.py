"""MNIST from its IDX files, checked, and split as everything here expects it."""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.digits import IMAGE_SHAPE, NUM_CLASSES, NUM_PIXELS

BUNDLED_DATA = Path(__file__).parent.parent / "data" / "mnist"

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

# Of the unpacked files.
MNIST_SHA256 = {
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# The last twelfth of the training images validates: 5,000 of MNIST's 60,000.
VALIDATION_SHARE = 12

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


class DataError(ValueError):
    """A data file is missing or is not what it says it is."""


@dataclass
class Split:
    """Images of one purpose. `images` is uint8 (N, 784), `labels` uint8 (N,); `seed` orders `next_batch`."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    seed: int = 0
    _shuffled: Iterator[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self._shuffled = chain.from_iterable(random.permutation(len(self)) for _ in count())

    def __len__(self) -> int:
        return len(self.images)

    def one_hot(self) -> NDArray[np.float32]:
        """Return the labels as float32 (N, 10), 1 at the label and 0 elsewhere."""
        return np.eye(NUM_CLASSES, dtype=np.float32)[self.labels]

    def next_batch(self, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the next `size` images and one-hot labels of a shuffle that never ends.

        Every epoch is a new permutation, so within one no image is dropped or repeated; a batch may span two.
        """
        if size < 1:
            raise ValueError(f"next_batch({size}): ask for at least one image.")
        chosen = list(islice(self._shuffled, size))
        return self.images[chosen], np.eye(NUM_CLASSES, dtype=np.float32)[self.labels[chosen]]


@dataclass(frozen=True)
class Mnist:
    """A data set in three splits, and the SHA-256 of the unpacked files that it came from."""

    train: Split
    validation: Split
    test: Split
    sha256: dict[str, str]

    @property
    def is_bundled(self) -> bool:
        return self.sha256 == MNIST_SHA256


def read_mnist(folder: Path = BUNDLED_DATA, seed: int = 0) -> Mnist:
    """Read the four IDX files in `folder`, gzip or plain.

    Raises:
        DataError: a file is missing, damaged or does not fit the others; the message has its path.
    """
    files = {name: _read(folder, name) for name in MNIST_SHA256}
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, (_, content) in files.items()}
    changed = [name for name in sha256 if sha256[name] != MNIST_SHA256[name]]
    if changed and folder.resolve() == BUNDLED_DATA.resolve():
        raise DataError(
            f"{BUNDLED_DATA / changed[0]}: the SHA-256 is {sha256[changed[0]]}, MNIST's is {MNIST_SHA256[changed[0]]}; "
            "restore the file with `git checkout data/mnist`, or pass your own folder with --data."
        )
    images, labels = _labelled_images(files[TRAIN_IMAGES], files[TRAIN_LABELS])
    boundary = len(images) - len(images) // VALIDATION_SHARE
    if boundary == len(images):
        raise DataError(f"{files[TRAIN_IMAGES][0]} has {len(images)} images; at least {VALIDATION_SHARE} are needed.")
    train, validation = (Split(images[part], labels[part], seed) for part in (slice(boundary), slice(boundary, None)))
    return Mnist(train, validation, Split(*_labelled_images(files[TEST_IMAGES], files[TEST_LABELS]), seed), sha256)


_File = tuple[Path, bytes]  # its path, and its content unpacked


def _read(folder: Path, name: str) -> _File:
    paths = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if not paths:
        raise DataError(f"{folder} has neither {name} nor {name}.gz; --data takes a folder with the four files of MNIST.")
    if len(paths) > 1:  # they may differ
        raise DataError(f"{folder} has both {name} and {name}.gz; remove the one that is not meant.")
    return paths[0], _unpacked(paths[0])


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except zlib.error as error:
        raise DataError(f"{path} is damaged: {error}.") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is truncated or damaged: {error}.") from None


def read_idx(path: Path, content: bytes, num_dimensions: int) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes in IDX form (http://yann.lecun.com/exdb/mnist/, "File formats").

    Raises:
        DataError: magic number, element type, dimensions or length are wrong; the message starts with `path`.
    """
    if any(content[:2]):  # first: it says most of an error page that was saved under this name
        raise DataError(f"{path} is not an IDX file: it starts with 0x{content[:4].hex()}, not with two zero bytes.")
    header_bytes = 4 + 4 * num_dimensions
    if len(content) < header_bytes:
        raise DataError(f"{path} is truncated: {len(content)} bytes, and its header alone has {header_bytes}.")
    element_type, dimensions = struct.unpack_from(">2xBB", content)
    if element_type != _UNSIGNED_BYTE:
        raise DataError(f"{path} has elements of type 0x{element_type:02x}; unsigned bytes (0x08) are expected.")
    if dimensions != num_dimensions:
        raise DataError(f"{path} has {dimensions} dimensions; {num_dimensions} are expected.")
    shape = struct.unpack_from(f">{num_dimensions}I", content, 4)
    expected_bytes = header_bytes + int(np.prod(shape, dtype=object))
    if len(content) != expected_bytes:
        wrong = "is truncated" if len(content) < expected_bytes else "has trailing bytes"
        raise DataError(f"{path} {wrong}: {len(content):,} bytes, and its header {shape} says {expected_bytes:,}.")
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)


def _labelled_images(images_file: _File, labels_file: _File) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(*images_file, 3), read_idx(*labels_file, 1)
    (images_path, _), (labels_path, _) = images_file, labels_file
    if images.shape[1:] != IMAGE_SHAPE:
        raise DataError(f"{images_path} has images of {images.shape[1]}×{images.shape[2]}; 28×28 are expected.")
    if len(images) != len(labels):
        raise DataError(f"{images_path} has {len(images):,} images, but {labels_path} has {len(labels):,} labels.")
    if not len(images):
        raise DataError(f"{images_path} has no images.")
    wrong = np.flatnonzero(labels >= NUM_CLASSES)
    if len(wrong):
        raise DataError(f"{labels_path}: label {wrong[0]:,} is {labels[wrong[0]]}; labels are digits from 0 to 9.")
    return images.reshape(-1, NUM_PIXELS), labels
