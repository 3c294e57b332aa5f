"""The seven of the other tests of the service, as a picture."""

import pytest

from tests.support.pictures import Pixels


@pytest.fixture
def seven(digit: Pixels) -> Pixels:
    return digit.reshape(28, 28)
