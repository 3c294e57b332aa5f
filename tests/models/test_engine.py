import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from models import engine
from models.card import NOVELTY_TOLERANCE, PARITY_TOLERANCE
from models.engine import NoGpuError, load_engine, require_gpu
from models.exported import load_saved_model
from service.inference.model_loading import find_version
from training.data import Mnist


@pytest.fixture
def folder(published_store):
    return find_version("digit-classifier:latest")[0]


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_without_a_gpu_litert_computes_on_the_cpu(folder, device) -> None:
    loaded = load_engine(folder, device)
    assert (loaded.runtime, loaded.device) == ("litert", "cpu")
    probabilities, novelty = loaded.run(np.zeros((3, 784), np.float32), True)
    assert probabilities.shape == (3, 10)
    assert novelty is not None
    assert novelty.shape == (3,)


def test_a_gpu_that_is_demanded_and_not_there_is_refused_with_advice(folder) -> None:
    for attempt in (require_gpu, lambda: load_engine(folder, "gpu")):
        with pytest.raises(NoGpuError, match=r"no GPU.*requirements/gpu\.txt.*DEVICE=cpu"):
            attempt()


def test_a_missing_tensorflow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoGpuError, match="TensorFlow is not installed"):
        require_gpu()


def test_a_gpu_that_tensorflow_cannot_use_is_said_or_passed_over(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_driver_sees_gpu", lambda: True)
    with pytest.raises(NoGpuError, match="TensorFlow cannot use the GPU"):
        load_engine(folder, "gpu")
    assert load_engine(folder, "auto").runtime == "litert"


def test_tensorflow_answers_as_litert_does_and_without_tf32(folder, mnist: Mnist) -> None:
    pixels = mnist.test.images.astype(np.float32)
    (one, one_novelty), (other, other_novelty) = (
        load_saved_model(folder)(pixels, True),
        load_engine(folder, "cpu").run(pixels, True),
    )
    assert np.abs(one - other).max() <= 2 * PARITY_TOLERANCE
    assert one_novelty is not None
    assert other_novelty is not None
    np.testing.assert_allclose(one_novelty, other_novelty, rtol=2 * NOVELTY_TOLERANCE)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
