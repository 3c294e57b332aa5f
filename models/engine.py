"""The published model as a function on a device: LiteRT on the CPU, TensorFlow on a GPU."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.exported import Graph, load_litert, load_saved_model, native_chatter_held_back

Device = Literal["auto", "cpu", "gpu"]
"""What to compute on; auto: a GPU if TensorFlow can use one, else the CPU."""

# LiteRT computes 256 images in 0.2 ms; the way to another thread and back costs 0.1 ms of CPU time.
_MAX_INLINE_IMAGES = 256


class NoGpuError(ValueError):
    """A GPU was asked for, and there is none that TensorFlow can use."""

    def __init__(self, obstacle: str) -> None:
        super().__init__(
            f"DEVICE=gpu, but {obstacle}. Install requirements/gpu.txt, give the container a GPU (docker run --gpus all), "
            "or set DEVICE=auto or DEVICE=cpu to compute on the CPU."
        )


@dataclass(frozen=True)
class Engine:
    """A loaded model and what computes it. Up to `max_inline_images` it is quicker than the way to another thread."""

    runtime: Literal["litert", "tensorflow"]
    device: Literal["cpu", "gpu"]
    run: Graph
    max_inline_images: int


def load_engine(folder: Path, device: Device) -> Engine:
    """Load the version in `folder`. TensorFlow is imported only where a GPU is in sight.

    Raises:
        NoGpuError: `device` is "gpu", and TensorFlow finds none.
    """
    obstacle = "the CPU was asked for" if device == "cpu" else _obstacle_before_tensorflow() or _obstacle_in_tensorflow()
    if obstacle and device == "gpu":
        raise NoGpuError(obstacle)
    if obstacle:
        return Engine("litert", "cpu", load_litert(folder), _MAX_INLINE_IMAGES)
    return Engine("tensorflow", "gpu", load_saved_model(folder), 0)


def require_gpu() -> None:
    """Check, without importing TensorFlow, that there may be a GPU to compute on.

    Raises:
        NoGpuError: TensorFlow is not installed, or the driver reports no GPU.
    """
    if obstacle := _obstacle_before_tensorflow():
        raise NoGpuError(obstacle)


def _obstacle_before_tensorflow() -> str | None:
    if importlib.util.find_spec("tensorflow") is None:
        return "TensorFlow is not installed"
    return None if _driver_sees_gpu() else "the NVIDIA driver reports no GPU to this process"


def _driver_sees_gpu() -> bool:
    # NVML answers in milliseconds; asking TensorFlow would cost a CPU worker 400 MB and seconds.
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetCount() > 0
    except pynvml.NVMLError:
        return False


def _obstacle_in_tensorflow() -> str | None:
    with native_chatter_held_back():
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
    for each in devices:
        tf.config.experimental.set_memory_growth(each, True)  # else one worker takes the whole card
    return None if devices else "TensorFlow cannot use the GPU that the driver reports (are its CUDA packages installed?)"
