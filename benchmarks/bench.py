"""One server under measurement: started on its core, its answers checked, driven, watched."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks import answers, processes, wrk
from benchmarks.answers import NoAnswerError, NotOfferedError, Probabilities, WrongAnswerError
from benchmarks.scenarios import FORMS, JSON, LOADS, MAX_IMAGES, Form, Images, Scenario
from benchmarks.servers import Server
from models.card import KERAS_FILE
from models.digits import MODEL_NAME
from service.inference.batcher import Answers
from service.protocols.native import encode_bytes, encode_json
from training.data import read_mnist

CLIENT_CORE, SERVER_CORE = 0, 1
_START_SECONDS = 120
_ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Bench:
    """What all servers are given: the store, the images that are asked for, what Keras answers, the floors' constants."""

    home: Path
    scratch: Path
    images: Images
    expected: Probabilities

    def body(self, form: Form, num_images: int) -> bytes:
        return form.encode(self.images[:num_images])

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "BENTOML_HOME": str(self.home),
            "BENTOML_DO_NOT_TRACK": "True",
            "FLOOR_ANSWERS": str(self.scratch / "answers"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }


@contextlib.contextmanager
def prepared(home: Path) -> Iterator[Bench]:
    """Make ready what all servers are given; `home` is a BENTOML_HOME that holds a published model."""
    versions = home / "models" / MODEL_NAME
    model_file = versions / (versions / "latest").read_text().strip() / KERAS_FILE
    images = read_mnist().test.images[:MAX_IMAGES]
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(home, Path(scratch), images, answers.keras_probabilities(model_file, images))
        write_constants(bench)
        yield bench


def write_constants(bench: Bench) -> None:
    """Write the answer that this service gives to each body, for the floors to answer with, named by the body's size."""
    folder = bench.scratch / "answers"
    folder.mkdir()
    for num_images in {num_images for num_images, _ in LOADS}:
        probabilities = bench.expected[:num_images]
        for form in FORMS:
            size = len(bench.body(form, num_images))
            if form.accept == JSON.accept:
                answers = Answers(probabilities.argmax(axis=1), probabilities.max(axis=1), probabilities)
                document = encode_json(f"{MODEL_NAME}:0123456789abcdef", answers, None)
                (folder / f"{size}.json").write_bytes(document)
            else:
                (folder / f"{size}.raw").write_bytes(encode_bytes(probabilities))


@dataclass(frozen=True)
class Measurement:
    """What one scenario showed of one server: wrk's counts, and the processor seconds of the server's processes."""

    load: wrk.Load
    server_cpu_seconds: float

    @property
    def cpu_us_per_request(self) -> float:
        return self.server_cpu_seconds / self.load.requests * 1e6


@dataclass
class RunningServer:
    """A server that has given its first correct answer."""

    server: Server
    bench: Bench
    port: int
    root: psutil.Process
    log: Path
    start_seconds: float = field(init=False)

    def url(self, form: Form) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.paths[form]}"

    def offers(self, scenario: Scenario) -> bool:
        """Check the answer in `scenario` against Keras's; False where the server does not take the form.

        Raises:
            WrongAnswerError: the answer is another.
        """
        if scenario.form not in self.server.paths:
            return False
        try:
            self._check(scenario.form, scenario.num_images, _ANSWER_SECONDS)
        except NotOfferedError:
            return False
        except WrongAnswerError as error:
            raise WrongAnswerError(f"{self.server.name}, {scenario}: {error}") from None
        return True

    def _check(self, form: Form, num_images: int, timeout_seconds: float) -> None:
        body = self.bench.body(form, num_images)
        answers.check(answers.ask(self.url(form), form, body, timeout_seconds), self.bench.expected[:num_images])

    def measure(self, scenario: Scenario, seconds: int, core: int | None = CLIENT_CORE) -> Measurement:
        """Drive the server with `scenario` and count what it used.

        Raises:
            LoadError: a request failed.
        """
        before = processes.cpu_seconds(self.root)
        try:
            load = self.drive(scenario, seconds, core)
        except wrk.LoadError as error:
            raise wrk.LoadError(f"{self.server.name}, {scenario}: {error}\n{self.log_end()}") from None
        return Measurement(load, processes.cpu_seconds(self.root) - before)

    def drive(self, scenario: Scenario, seconds: int, core: int | None = CLIENT_CORE) -> wrk.Load:
        body = self.bench.body(scenario.form, scenario.num_images)
        return wrk.drive(self.url(scenario.form), scenario.form, body, scenario.connections, seconds, core)

    def memory_mib(self) -> float:
        return processes.memory_mib(self.root)

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def wait_for_first_answer(self, since: float) -> None:
        """Ask for one image until there is an answer, which must be right, and note the seconds `since`."""
        while time.perf_counter() - since < _START_SECONDS:
            if processes.has_ended(self.root):
                raise RuntimeError(f"{self.server.name} ended before it answered:\n{self.log_end()}")
            # A socket may be open before anyone accepts: the request then waits, and is answered with the first ones.
            with contextlib.suppress(httpx.TransportError, NotOfferedError, NoAnswerError):
                self._check(JSON, 1, timeout_seconds=5)
                self.start_seconds = time.perf_counter() - since
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.server.name} gave no right answer in {_START_SECONDS} s:\n{self.log_end()}")


@contextlib.contextmanager
def serving(
    server: Server, bench: Bench, cores: frozenset[int] = frozenset({SERVER_CORE}), **settings: str
) -> Iterator[RunningServer]:
    """Run `server` on `cores` with `settings` in its environment, from its first correct answer until the block ends."""
    port, log = processes.free_port(), bench.scratch / f"{server.name}.log"
    environment = {**bench.environment, **server.environment, **settings}
    started = time.perf_counter()
    with processes.started(server.command_on(port), set(cores), environment, log) as root:
        running = RunningServer(server, bench, port, root, log)
        running.wait_for_first_answer(started)
        processes.require_on(root, set(cores))
        yield running
