"""What clients send, and what lies in the store, is read as data: no code in it runs. A file tells whether it did."""

import asyncio
import builtins
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from models.card import CARD_FILE, GOLDEN_FILE, KERAS_FILE, LITERT_FILE, WEIGHTS_FILE
from models.digits import MODEL_NAME
from service.inference.model_loading import ModelLoadError, find_version
from service.inference.model_repository import ModelRepository
from service.protocols.media_types import BYTES, JPEG, JSON, MULTIPART, NPY, PNG
from tests.support.bodies import form_of, npy, npy_with_header
from tests.support.serving import Server
from tests.support.store import LATEST, copy_version, make_latest, reseal
from tests.support.training import run_training


class Canary:
    """Once unpickled, it has made a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable, tuple[str, str]]:
        return builtins.open, (str(self.file), "w")


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    """Return a canary that works, and has not sung."""
    control = Canary(tmp_path / "control")
    pickle.loads(pickle.dumps(control)).close()
    assert control.file.exists()
    return Canary(tmp_path / "sung")


TYPES = [JSON, BYTES, NPY, PNG, JPEG, f"{MULTIPART}; boundary=frontier", "application/vnd.bentoml+pickle"]
TYPES += ["application/x-pickle", "application/python-pickle", "application/vnd.bentoml.multipart"]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_refused_whatever_it_is_called(server: Server, canary: Canary, content_type: str, protocol: int) -> None:
    answer = server.predict(pickle.dumps(canary, protocol), content_type)
    assert answer.status_code in (400, 415)
    assert not canary.file.exists()


def test_a_pickle_inside_of_another_form_is_refused(server: Server, canary: Canary) -> None:
    pickled = pickle.dumps(canary)
    objects = np.full((1, 784), canary, object)
    one_of_784 = np.zeros((1, 784), [("pixel", object)])
    code = f"{{'descr': '|u1', 'shape': (1, 784), 'fortran_order': open({str(canary.file)!r}, 'w')}}\n"
    bodies = {
        "objects": (npy(objects), NPY),
        "objects as fields": (npy(one_of_784), NPY),
        "code for a header": (npy_with_header(code, bytes(784)), NPY),
        "a part": (form_of(pickled), f"{MULTIPART}; boundary=frontier"),
        "an array as a part": (form_of(npy(objects)), f"{MULTIPART}; boundary=frontier"),
        "in JSON": (json.dumps({"images": {"__pickle__": pickled.hex()}}).encode(), JSON),
        "as bytes of an image": (pickled.ljust(784), BYTES),
    }
    for what, (body, content_type) in bodies.items():
        status = server.predict(body, content_type).status_code
        print(f"{what}: {status}")
        assert status == (200 if what == "as bytes of an image" else 400)
        assert not canary.file.exists()


def refused(tag: str = LATEST) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as error:
        ModelRepository(tag, "cpu").load()
    return error.value


@pytest.mark.parametrize(("name", "key"), [(GOLDEN_FILE, "images"), (GOLDEN_FILE, "probabilities"), (WEIGHTS_FILE, "biases")])
def test_a_pickle_among_the_published_arrays_is_refused(published_store: Path, canary: Canary, name: str, key: str) -> None:
    folder, _ = find_version(LATEST)
    with np.load(folder / name) as file:
        arrays = dict(file) | {key: np.array([canary], object)}
    np.savez(folder / name, allow_pickle=True, **arrays)
    assert refused().reason == "changed"
    reseal(folder)
    assert refused().reason == "shape"
    assert not canary.file.exists()


def test_neither_service_nor_store_runs_what_is_in_a_keras_file(published_store: Path, canary: Canary) -> None:
    folder, _ = find_version(LATEST)
    sing = keras.layers.Lambda(eval(f"lambda pixels: (open({str(canary.file)!r}, 'w'), pixels)[1]"), output_shape=(784,))
    keras.Sequential([keras.Input((784,)), sing, keras.layers.Dense(10)]).save(folder / KERAS_FILE)
    canary.file.unlink(missing_ok=True)  # Keras has called it once to see its shape
    assert refused().reason == "changed"
    reseal(folder)
    assert ModelRepository(LATEST, "cpu").load().card.version == folder.name
    with pytest.raises(ValueError, match="safe_mode"):
        keras.saving.load_model(folder / KERAS_FILE, compile=False)
    assert not canary.file.exists()
    keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=False).predict(np.zeros((1, 784)), verbose=0)  # pyright: ignore
    assert canary.file.exists(), "a file that can sing was to be tried"


def test_custom_objects_and_descriptions_that_are_code_do_not_run(published_store: Path, canary: Canary) -> None:
    folder, _ = find_version(LATEST)
    (folder / "custom_objects.pkl").write_bytes(pickle.dumps({"a": canary}))
    assert refused().reason == "changed"
    reseal(folder)
    assert ModelRepository(LATEST, "cpu").load().card.version == folder.name
    description = (folder / "model.yaml").read_text()
    (folder / "model.yaml").write_text(f"{description}\nx: !!python/object/apply:builtins.open ['{canary.file}', 'w']\n")
    assert refused().reason == "incomplete"
    assert not canary.file.exists()


CARDS = {
    "nothing": b"",
    "a list": b"[]",
    "not UTF-8": b'{"name": "\xff"}',
    "too deep": b"[" * 100_000,
    "keys that are not known": b'{"__class__": "os.system", "name": "x"}',
    "no numbers": b'{"fit_seconds": NaN, "created": 1e999}',
}


@pytest.mark.parametrize("card", CARDS)
def test_a_card_that_is_none_is_refused(published_store: Path, card: str) -> None:
    folder, _ = find_version(LATEST)
    (folder / CARD_FILE).write_bytes(CARDS[card])
    assert refused().reason == "incomplete"


def test_a_card_that_names_files_elsewhere_is_refused(published_store: Path, tmp_path: Path) -> None:
    folder, card = find_version(LATEST)
    (tmp_path / "elsewhere").write_text("x")
    for name in ("../../../elsewhere", str(tmp_path / "elsewhere")):
        (folder / CARD_FILE).write_text(card.model_copy(update={"sha256": card.sha256 | {name: "0"}}).model_dump_json())
        assert refused().reason == "changed"


def with_a_custom_operation(graph: bytes) -> bytes:
    """Return a graph for LiteRT with an operation that only TensorFlow has."""
    import tensorflow as tf

    def betainc(pixels):
        return tf.raw_ops.Betainc(a=pixels, b=pixels, x=pixels)[:, :10]

    concrete = tf.function(betainc).get_concrete_function(tf.TensorSpec((None, 784), tf.float32))  # pyright: ignore
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.allow_custom_ops = True
    return converter.convert()  # pyright: ignore[reportReturnType]


GRAPHS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda graph: b"",
    "garbage": lambda graph: np.random.default_rng(0).bytes(len(graph)),
    "garbage with the mark of a graph": lambda graph: graph[:8] + np.random.default_rng(0).bytes(len(graph) - 8),
    "half": lambda graph: graph[: len(graph) // 2],
    "a pickle": lambda graph: pickle.dumps(Canary(Path("/nowhere/at/all"))),
    "a custom operation": with_a_custom_operation,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_graph_that_is_none_is_refused_and_the_served_one_stays(published_store: Path, graph: str) -> None:
    repository = ModelRepository(LATEST, "cpu")
    served = repository.load()
    folder = copy_version(published_store, served.card.version, "hostile")
    (folder / LITERT_FILE).write_bytes(GRAPHS[graph]((folder / LITERT_FILE).read_bytes()))
    reseal(folder)
    make_latest(published_store, "hostile")
    asyncio.run(repository.poll())
    assert repository.served is served
    error = refused()
    print(f"{graph}: {str(error)[:160]}")
    assert error.reason == "internal"


def test_the_commands_read_a_hostile_store_as_data(home: Path, canary: Canary) -> None:
    versions = home / "models" / MODEL_NAME
    for name, spoilt in (("hostilecard", CARD_FILE), ("hostiletext", "model.yaml"), ("hostilearrays", GOLDEN_FILE)):
        folder = copy_version(versions, (versions / "latest").read_text(), name)
        (folder / spoilt).write_bytes(pickle.dumps(canary))
        (folder / "custom_objects.pkl").write_bytes(pickle.dumps(canary))
    listed = run_training(home, "list")
    assert listed.returncode == 0, listed.stderr
    for name in ("hostilecard", "hostiletext", "hostilearrays"):
        back = run_training(home, "rollback", name)
        assert (back.returncode, back.stdout) == (1, "")
        assert "Traceback" not in back.stderr
    assert not canary.file.exists()
