"""For how long answers to `POST /predict` are said to take: from the complete body on, by kind, without clients' mistakes."""

import time
from pathlib import Path

from PIL import Image

from service.protocols.media_types import BYTES, JSON, MULTIPART, PNG
from tests.support.bodies import form_of
from tests.support.metrics import Series, scrape, value
from tests.support.pictures import encoded
from tests.support.project import SEVEN, SEVEN_PNG
from tests.support.raw_http import Connection, post
from tests.support.serving import Server, serving
from tests.support.waiting import until

KINDS = ("small", "large", "picture")


def counts(series: Series) -> dict[str, float]:
    return {kind: value(series, "answer_duration_seconds_count", kind=kind) for kind in KINDS}


def more(server: Server, before: Series) -> dict[str, float]:
    """Return how many answers of each kind were counted since `before`."""
    return {kind: count - counts(before)[kind] for kind, count in counts(scrape(server)).items()}


def test_answers_are_counted_by_what_was_asked_for(server: Server) -> None:
    before = scrape(server)
    for body, content_type, query in [
        (SEVEN, JSON, ""),
        (bytes(64 * 784), BYTES, "?seen=true"),
        (bytes(65 * 784), BYTES, ""),
        (SEVEN, JSON, "?explain=true"),
        (SEVEN_PNG, PNG, "?explain=true"),
        (form_of(SEVEN_PNG, SEVEN_PNG), f"{MULTIPART}; boundary=frontier", ""),
    ]:
        assert server.predict(body, content_type, query).status_code == 200
    assert more(server, before) == {"small": 2, "large": 2, "picture": 2}
    assert value(scrape(server), "answer_duration_seconds_bucket", kind="small", le="0.05") > 0


def test_the_time_that_a_client_takes_to_send_its_body_is_not_in_it(server: Server) -> None:
    def seconds(name: str, **labels: str) -> float:
        return value(scrape(server), f"{name}_duration_seconds_sum", **labels)

    answered, requested = seconds("answer", kind="small"), seconds("request", route="/predict")
    request = post(SEVEN)
    with Connection(server.address) as connection:
        connection.send(request[:-1])
        time.sleep(1)
        connection.send(request[-1:])
        assert connection.next_answer().status == 200
    assert seconds("request", route="/predict") - requested > 1
    assert seconds("answer", kind="small") - answered < 0.5


def test_what_clients_did_wrong_and_those_that_left_are_not_counted(server: Server) -> None:
    before, large = scrape(server), encoded(Image.new("L", (3000, 3000), 255))
    statuses = [server.predict(body, kind).status_code for body, kind in ((b"{", JSON), (b"x", "text/plain"), (large, PNG))]
    assert statuses == [400, 415, 400]
    left = value(before, "requests_total", route="/predict", status="499")
    with Connection(server.address) as connection:
        connection.send(post(large, PNG))
    until(lambda: value(scrape(server), "requests_total", route="/predict", status="499") == left + 1)
    assert more(server, before) == dict.fromkeys(KINDS, 0)


def test_a_request_that_was_not_answered_in_time_is_counted(reading_home: Path) -> None:
    with serving(reading_home, REQUEST_TIMEOUT_SECONDS="0.05") as server:
        assert server.predict(encoded(Image.new("L", (4000, 4000), 255)), PNG).status_code == 504
        assert counts(scrape(server)) == {"small": 0, "large": 0, "picture": 1}
