"""Whatever clients send, over real sockets: the worker lives, answers in time, as documented, and stays right."""

import itertools
import json
import multiprocessing
import os
import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from service.http.transport import MAX_HEADER_BYTES
from tests.support.fuzz_cases import Case, cases
from tests.support.project import SEVEN
from tests.support.raw_http import Answer, Connection
from tests.support.serving import Server, serving

CASES_IN_AN_EXAMPLE = 50
CASES_BETWEEN_GOOD_ONES = 1000
CASES = int(os.environ.get("FUZZ_CASES", "100_000"))


class FuzzClient:
    """Sends cases and checks the answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._operations = operations(server)
        self._workers = server.workers()
        self.statuses: Counter[str] = Counter()
        self.cases = 0

    def try_all(self, batch: list[Case], pipelined: int) -> None:
        whole = [case for case in batch if case.is_whole]
        while whole:
            with Connection(self._server.address) as connection:
                whole = self._try_whole(connection, whole, pipelined)
        for case in batch:
            if not case.is_whole:
                self._try_other(case)
        before, self.cases = self.cases, self.cases + len(batch)
        if before // CASES_BETWEEN_GOOD_ONES < self.cases // CASES_BETWEEN_GOOD_ONES:
            assert self._server.predict(SEVEN).json()["digits"] == [7]
            assert self._server.workers() == self._workers

    def _try_whole(self, connection: Connection, left: list[Case], pipelined: int) -> list[Case]:
        """Send `pipelined` cases at a time and expect as many answers; return what an end of the connection has left."""
        while left:
            # uvicorn hears nothing more on a connection whose client has asked for another protocol.
            ends = next((index for index, case in enumerate(left) if case.asks_to_upgrade), len(left)) + 1
            group = left[: min(pipelined, ends)]
            connection.send(b"".join(case.data for case in group))
            for case in group:
                answer = connection.answer(case.method)
                assert answer, f"no answer to {case}"
                self._check(case, answer)
                left = left[1:]
                if answer.is_last or case.asks_to_upgrade:
                    return left
        return left

    def _try_other(self, case: Case) -> None:
        with Connection(self._server.address) as connection:
            connection.send(case.data)
            if case.is_endless:
                return  # leaves; test_limits.py waits for what becomes of those who stay
            while answer := connection.answer(case.method):
                is_uvicorns = answer.content == b"Invalid HTTP request received."
                assert answer.status == 400 if is_uvicorns else self._check(case, answer) is None, case
                self.statuses["400 before HTTP is understood"] += is_uvicorns

    def _check(self, case: Case, answer: Answer) -> None:
        if answer.status == 431 and len(case.data) > MAX_HEADER_BYTES:  # before HTTP is understood, like uvicorn's 400
            self.statuses["431"] += 1
            return
        assert str(answer.status) in self._allowed(case), (case, answer)
        if answer.status >= 400 and case.method != "HEAD":
            document = json.loads(answer.content)
            assert list(document) == ["error"], (case, answer)
            assert document["error"].endswith((".", "…")), document
        self.statuses[str(answer.status)] += 1

    def _allowed(self, case: Case) -> set[str]:
        if case.path not in self._operations:
            return {"404"}
        method = "GET" if case.method == "HEAD" else case.method
        return {status for status in self._operations[case.path].get(method, ["405"]) if status < "500"}


def operations(server: Server) -> dict[str, dict[str, list[str]]]:
    """Return the documented statuses by path and method."""
    found: dict[str, dict[str, list[str]]] = {}
    for path, item in httpx.get(f"{server.url}/docs.json").json()["paths"].items():
        for method, operation in item.items():
            in_path = [each for each in operation.get("parameters", []) if each["in"] == "path"]
            for values in itertools.product(*(each["schema"]["enum"] for each in in_path)):
                filled = path.format(**dict(zip((each["name"] for each in in_path), values, strict=True)))
                found.setdefault(filled, {})[method.upper()] = list(operation["responses"])
    return found


def fuzz(server: Server, num_cases: int, its_seed: int) -> None:
    client = FuzzClient(server)

    @seed(its_seed)
    @settings(
        max_examples=num_cases // CASES_IN_AN_EXAMPLE,
        deadline=None,
        report_multiple_bugs=False,
        database=None,
        phases=(Phase.generate,),  # what hangs would hang again at each step of a search for a smaller example
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
    )
    @given(st.lists(cases(), min_size=CASES_IN_AN_EXAMPLE, max_size=CASES_IN_AN_EXAMPLE), st.sampled_from([1, 1, 1, 5, 50]))
    def run(batch: list[Case], pipelined: int) -> None:
        client.try_all(batch, pipelined)

    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    print(f"{client.cases:,} cases, {client.cases / seconds:,.0f}/s, seed {its_seed}: {dict(client.statuses.most_common())}")
    assert client.cases >= num_cases
    assert len(client.statuses) >= 5, "hardly anything was tried"


def fuzz_from_apart(url: str, pid: int, num_cases: int, its_seed: int) -> None:
    """Do the same in another process than the one that has started the server."""
    process = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=pid))
    fuzz(Server(url, process, Path()), num_cases, its_seed)


def test_five_thousand_random_requests_are_answered_as_documented(server: Server) -> None:
    fuzz(server, 5000, its_seed=0)


@pytest.mark.slow
def test_a_hundred_thousand_random_requests_are_answered_as_documented_half_of_them_by_conv(
    server: Server, conv_home: Path
) -> None:
    its_seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    print(f"repeat this with FUZZ_SEED={its_seed}")
    # Making up requests takes longer than answering them.
    with serving(conv_home) as conv, ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        halves = [
            processes.submit(fuzz_from_apart, each.url, each.process.pid, CASES // 2, its_seed + number)
            for number, each in enumerate((server, conv))
        ]
        for half in halves:
            half.result()
