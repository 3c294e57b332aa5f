import gzip
import re
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.support.training import idx_bytes
from training import data
from training.data import (
    BUNDLED_DATA,
    MNIST_SHA256,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    DataError,
    Mnist,
    Split,
    read_idx,
    read_mnist,
)


def files_of(train: int = 24, test: int = 5) -> dict[str, bytes]:
    """Return a data set of so many random images, by file name."""
    random = np.random.default_rng(0)
    return {
        TRAIN_IMAGES: idx_bytes(random.integers(0, 256, (train, 28, 28), np.uint8)),
        TRAIN_LABELS: idx_bytes(random.integers(0, 10, train, np.uint8)),
        TEST_IMAGES: idx_bytes(random.integers(0, 256, (test, 28, 28), np.uint8)),
        TEST_LABELS: idx_bytes(random.integers(0, 10, test, np.uint8)),
    }


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def refusal_of(folder: Path) -> str:
    with pytest.raises(DataError) as refused:
        read_mnist(folder)
    return str(refused.value)


def unpacked(name: str) -> bytes:
    return gzip.decompress((BUNDLED_DATA / f"{name}.gz").read_bytes())


def all_images(mnist: Mnist) -> list[np.ndarray]:
    return [array for split in (mnist.train, mnist.validation, mnist.test) for array in (split.images, split.labels)]


def test_mnist_is_split_in_order_into_55000_and_5000_and_10000(mnist: Mnist):
    assert [len(split) for split in (mnist.train, mnist.validation, mnist.test)] == [55_000, 5_000, 10_000]
    train_images, train_labels = read_idx(Path(), unpacked(TRAIN_IMAGES), 3), read_idx(Path(), unpacked(TRAIN_LABELS), 1)
    assert np.array_equal(np.concatenate([mnist.train.images, mnist.validation.images]), train_images.reshape(-1, 784))
    assert np.array_equal(np.concatenate([mnist.train.labels, mnist.validation.labels]), train_labels)
    assert np.array_equal(mnist.test.images, read_idx(Path(), unpacked(TEST_IMAGES), 3).reshape(-1, 784))
    assert np.array_equal(mnist.test.labels, read_idx(Path(), unpacked(TEST_LABELS), 1))


def test_mnist_is_known_by_its_checksums_and_other_data_is_not(mnist: Mnist, tiny_data: Path):
    assert mnist.is_bundled
    assert not read_mnist(tiny_data).is_bundled


@pytest.mark.parametrize("changed", MNIST_SHA256)
def test_one_flipped_bit_in_a_bundled_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str):
    for name in MNIST_SHA256.keys() - {changed}:
        shutil.copy(BUNDLED_DATA / f"{name}.gz", tmp_path)
    content = bytearray(unpacked(changed))
    content[5000] ^= 1  # of a label, 8 becomes 9: only the checksum can tell
    (tmp_path / changed).write_bytes(content)
    monkeypatch.setattr(data, "BUNDLED_DATA", tmp_path)
    sentence = refusal_of(tmp_path)
    assert str(tmp_path / changed) in sentence
    how_to = "restore the file with `git checkout data/mnist`, or pass your own folder with --data."
    assert sentence.endswith(f"MNIST's is {MNIST_SHA256[changed]}; {how_to}")


def test_the_bundled_files_are_checked_also_when_a_link_leads_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(written(tmp_path / "real", files_of()))
    monkeypatch.setattr(data, "BUNDLED_DATA", tmp_path / "link")
    assert "SHA-256" in refusal_of(tmp_path / "link")
    assert "SHA-256" in refusal_of(tmp_path / "real")


def test_gzip_and_plain_files_and_a_mixture_are_the_same_data(tmp_path: Path, tiny_data: Path):
    packed = read_mnist(tiny_data)
    for mixture in (list(MNIST_SHA256)[:2], list(MNIST_SHA256)):
        folder = Path(shutil.copytree(tiny_data, tmp_path / f"{len(mixture)} plain"))
        for name in mixture:
            (folder / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
            (folder / f"{name}.gz").unlink()
        plain = read_mnist(folder)
        assert plain.sha256 == packed.sha256
        assert all(np.array_equal(*pair) for pair in zip(all_images(plain), all_images(packed), strict=True))


@pytest.mark.parametrize(("train", "expected"), [(1200, (1100, 100)), (24, (22, 2)), (25, (23, 2)), (12, (11, 1))])
def test_a_data_set_of_another_size_is_split_by_the_same_share(tmp_path: Path, train: int, expected: tuple[int, int]):
    mnist = read_mnist(written(tmp_path, files_of(train)))
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (*expected, 5)


def test_eleven_training_images_cannot_be_split(tmp_path: Path):
    sentence = refusal_of(written(tmp_path, files_of(11)))
    assert sentence == f"{tmp_path / TRAIN_IMAGES} has 11 images; at least 12 are needed."


SOUND = files_of()
DAMAGED = {
    "magic": (TRAIN_IMAGES, b"\x89PNG" + SOUND[TRAIN_IMAGES][4:], "is not an IDX file: it starts with 0x89504e47"),
    "type": (TEST_LABELS, b"\0\0\x0d\x01" + SOUND[TEST_LABELS][4:], "type 0x0d; unsigned bytes (0x08)"),
    "a type above 127": (TEST_LABELS, b"\0\0\xfd\x01" + SOUND[TEST_LABELS][4:], "type 0xfd; unsigned bytes (0x08)"),
    "dimensions": (TRAIN_IMAGES, SOUND[TRAIN_LABELS], "has 1 dimensions; 3 are expected"),
    "too many dimensions": (TRAIN_LABELS, SOUND[TRAIN_IMAGES], "has 3 dimensions; 1 are expected"),
    "a page": (TRAIN_IMAGES, b"<html>\n", "is not an IDX file: it starts with 0x3c68746d, not with two zero bytes"),
    "one byte": (TRAIN_IMAGES, b"<", "is not an IDX file: it starts with 0x3c"),
    "no bytes": (TEST_IMAGES, b"", "is truncated: 0 bytes, and its header alone has 16"),
    "header": (TEST_IMAGES, SOUND[TEST_IMAGES][:15], "is truncated: 15 bytes, and its header alone has 16"),
    "body": (TEST_IMAGES, SOUND[TEST_IMAGES][:-1], "is truncated: 3,935 bytes, and its header (5, 28, 28) says 3,936"),
    "trailing": (TRAIN_LABELS, SOUND[TRAIN_LABELS] + b"\0", "has trailing bytes: 33 bytes, and its header (24,) says 32"),
    "size": (TEST_IMAGES, idx_bytes(np.zeros((5, 28, 27), np.uint8)), "has images of 28×27; 28×28 are expected"),
    "fewer": (
        TRAIN_LABELS,
        idx_bytes(np.zeros(23, np.uint8)),
        f"{TRAIN_LABELS} has 23 labels",
    ),
    "more": (TEST_IMAGES, idx_bytes(np.zeros((6, 28, 28), np.uint8)), f"{TEST_LABELS} has 5 labels"),
    "truncated gzip": (TRAIN_IMAGES, gzip.compress(SOUND[TRAIN_IMAGES])[:-20], "is truncated or damaged: "),
    "gzip of a wrong sum": (TEST_LABELS, gzip.compress(SOUND[TEST_LABELS])[:-8] + bytes(8), "is truncated or damaged: "),
    "gzip header only": (TEST_LABELS, b"\x1f\x8b", "is truncated or damaged: "),
    "damaged gzip": (TRAIN_LABELS, gzip.compress(SOUND[TRAIN_LABELS])[:10] + b"\xff" * 40, "is damaged: "),
}


@pytest.mark.parametrize(("name", "content", "wrong"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_by_name_and_with_what_is_wrong(tmp_path: Path, name: str, content: bytes, wrong: str):
    sentence = refusal_of(written(tmp_path, SOUND | {name: content}))
    assert str(tmp_path / name) in sentence
    assert wrong in sentence


def test_a_damaged_file_in_gzip_is_named_as_it_lies_there(tmp_path: Path):
    written(tmp_path, SOUND | {f"{TEST_LABELS}.gz": gzip.compress(b"<html>")})
    (tmp_path / TEST_LABELS).unlink()
    assert refusal_of(tmp_path).startswith(f"{tmp_path / TEST_LABELS}.gz is not an IDX file")


def test_a_file_that_is_there_both_plain_and_as_gzip_is_refused(tmp_path: Path):
    written(tmp_path, SOUND | {f"{TEST_LABELS}.gz": gzip.compress(SOUND[TEST_LABELS])})
    assert refusal_of(tmp_path) == (
        f"{tmp_path} has both {TEST_LABELS} and {TEST_LABELS}.gz; remove the one that is not meant."
    )


def test_the_readme_beside_the_files_has_their_checksums():
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)$", (BUNDLED_DATA / "README.md").read_text(), re.MULTILINE)
    assert {name: sha256 for sha256, name in listed} == MNIST_SHA256


def test_a_label_above_nine_is_refused_by_name_and_position(tmp_path: Path):
    labels = np.zeros(24, np.uint8)
    labels[[7, 9]] = 10, 255
    sentence = refusal_of(written(tmp_path, SOUND | {TRAIN_LABELS: idx_bytes(labels)}))
    assert sentence == f"{tmp_path / TRAIN_LABELS}: label 7 is 10; labels are digits from 0 to 9."


@pytest.mark.parametrize(("sizes", "name"), [((0, 5), TRAIN_IMAGES), ((24, 0), TEST_IMAGES)])
def test_a_set_without_images_is_refused(tmp_path: Path, sizes: tuple[int, int], name: str):
    assert refusal_of(written(tmp_path, files_of(*sizes))) == f"{tmp_path / name} has no images."


@pytest.mark.parametrize("missing", MNIST_SHA256)
def test_a_missing_file_is_named_in_both_forms(tmp_path: Path, missing: str):
    written(tmp_path, SOUND)
    (tmp_path / missing).unlink()
    assert f"{tmp_path} has neither {missing} nor {missing}.gz" in refusal_of(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path):
    assert f"{tmp_path / 'nowhere'} has neither " in refusal_of(tmp_path / "nowhere")


@pytest.mark.parametrize("shape", [(2**32 - 1, 28, 28), (2**32 - 1, 2**32 - 1, 2**32 - 1), (2**31, 2**31, 4)])
def test_a_header_that_claims_more_images_than_there_is_memory_allocates_nothing(shape: tuple[int, int, int]):
    content = struct.pack(">HBB3I", 0, 8, 3, *shape) + bytes(784)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"is truncated: 800 bytes") as refused:
        read_idx(Path("lies"), content, 3)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert f"{16 + shape[0] * shape[1] * shape[2]:,}" in str(refused.value)


def test_the_seed_of_read_mnist_is_that_of_its_splits(tiny_data: Path):
    assert [split.seed for split in vars(read_mnist(tiny_data, seed=5)).values() if isinstance(split, Split)] == [5, 5, 5]
    assert read_mnist(tiny_data).train.seed == 0
