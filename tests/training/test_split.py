import numpy as np
import pytest

from training.data import Split


def test_one_hot_is_one_at_the_label_and_zero_elsewhere():
    hot = Split(np.zeros((3, 784), np.uint8), np.array([0, 9, 4], np.uint8)).one_hot()
    assert hot.dtype == np.float32
    assert hot.tolist() == [[1] + [0] * 9, [0] * 9 + [1], [0] * 4 + [1] + [0] * 5]


def numbered(count: int, seed: int = 0) -> Split:
    """Return `count` images, each filled with its place, whose labels are the last digit of the place."""
    places = np.arange(count, dtype=np.uint8)
    return Split(np.repeat(places[:, None], 784, axis=1), places % 10, seed)


def drawn(split: Split, *sizes: int) -> list[int]:
    """Return the places of the images in batches of `sizes`, having checked that image and label belong together."""
    places = []
    for size in sizes:
        images, labels = split.next_batch(size)
        assert images.shape == (size, 784)
        assert (images.dtype, labels.dtype) == (np.uint8, np.float32)
        assert np.array_equal(labels.argmax(axis=1), images[:, 0] % 10)
        places += images[:, 0].tolist()
    return places


@pytest.mark.parametrize("size", [1, 3, 7, 10, 25])
def test_every_image_comes_once_in_an_epoch_whatever_the_batch_size(size: int):
    places = drawn(numbered(10), *[size] * 42)
    epochs = [places[start : start + 10] for start in range(0, len(places) - 9, 10)]
    assert len(epochs) == 42 * size // 10
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)


def test_a_batch_of_more_than_the_split_spans_epochs():
    places = drawn(numbered(4), 10)
    assert sorted(places[:4]) == sorted(places[4:8]) == [0, 1, 2, 3]


def test_every_epoch_is_another_order():
    places = drawn(numbered(200), 200, 200)
    assert places[:200] != list(range(200))
    assert places[:200] != places[200:]


def test_the_seed_decides_the_order_of_batches():
    assert drawn(numbered(200, seed=3), 70, 70) == drawn(numbered(200, seed=3), 70, 70)
    assert drawn(numbered(200, seed=3), 70, 70) != drawn(numbered(200, seed=4), 70, 70)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_images_is_refused(size: int):
    with pytest.raises(ValueError, match=rf"next_batch\({size}\): ask for at least one image"):
        numbered(10).next_batch(size)
