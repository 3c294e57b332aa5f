"""The published model as a function on a device: LiteRT on the CPU, TensorFlow on a GPU."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.card import LITERT_FILE, SAVED_MODEL_FOLDER
from models.exported import Graph, load_litert, load_saved_model, native_chatter_held_back

Device = Literal["auto", "cpu", "gpu"]


class NoGpuError(ValueError):
    """A GPU was asked for, and there is none that TensorFlow can use."""


@dataclass(frozen=True)
class Engine:
    """A loaded model and what computes it."""

    runtime: Literal["litert", "tensorflow"]
    device: Literal["cpu", "gpu"]
    run: Graph


def load_engine(folder: Path, device: Device) -> Engine:
    """Load the version in `folder`. TensorFlow is imported only where it will compute.

    Raises:
        NoGpuError: `device` is "gpu", and TensorFlow finds none.
    """
    if device == "gpu":
        require_gpu()
    if device == "cpu" or not (_driver_sees_gpu() and _tensorflow_is_installed()):
        return Engine("litert", "cpu", load_litert(folder / LITERT_FILE))
    if _tensorflow_sees_gpu():
        return Engine("tensorflow", "gpu", load_saved_model(folder / SAVED_MODEL_FOLDER))
    if device == "gpu":
        raise NoGpuError(_advice("the driver reports a GPU, but TensorFlow cannot use it (are its CUDA packages installed?)"))
    return Engine("litert", "cpu", load_litert(folder / LITERT_FILE))


def require_gpu() -> None:
    """Check without importing TensorFlow that a GPU may be had.

    Raises:
        NoGpuError: TensorFlow is not installed, or the driver reports no GPU.
    """
    if not _tensorflow_is_installed():
        raise NoGpuError(_advice("TensorFlow is not installed"))
    if not _driver_sees_gpu():
        raise NoGpuError(_advice("the NVIDIA driver reports no GPU to this process"))


def _advice(finding: str) -> str:
    return (
        f"DEVICE=gpu, but {finding}. Install requirements/gpu.txt, give the container a GPU (docker run --gpus all), "
        "or set DEVICE=auto or DEVICE=cpu to compute on the CPU."
    )


def _tensorflow_is_installed() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _driver_sees_gpu() -> bool:
    # NVML answers in milliseconds; asking TensorFlow would cost a CPU worker 400 MB and seconds.
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetCount() > 0
    except pynvml.NVMLError:
        return False


def _tensorflow_sees_gpu() -> bool:
    with native_chatter_held_back():
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
    for each in devices:
        tf.config.experimental.set_memory_growth(each, True)  # else one worker takes the whole card
    return bool(devices)
