import pytest

from service.settings import Settings


def test_what_is_not_set_or_empty_has_its_default() -> None:
    assert Settings.from_environment({"DEVICE": "", "PATH": "/bin"}) == Settings()


def test_the_environment_is_read_with_its_types() -> None:
    settings = Settings.from_environment({"WORKERS": "2", "REQUEST_SECONDS": "0.5", "ACCESS_LOG": "true", "DEVICE": "cpu"})
    assert (settings.workers, settings.request_seconds, settings.access_log, settings.device) == (2, 0.5, True, "cpu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "tpu"),
        ("WORKERS", "0"),
        ("WORKERS", "two"),
        ("MAX_IMAGES", "-1"),
        ("REQUEST_SECONDS", "0"),
        ("MODEL", "other:1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}={value}: "):
        Settings.from_environment({name: value})
