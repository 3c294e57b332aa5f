"""Who may ask: a key in `Authorization: Bearer <key>`, where keys are set."""

import hashlib
import hmac

from service.errors import ApiError

# What answers without a key: an orchestrator's probes have none.
_PROBES = ("/livez", "/readyz")


class ApiKeyAuth:
    """The keys that are let in; with none, everybody is."""

    def __init__(self, keys: tuple[str, ...], public_metrics: bool) -> None:
        # Digests, because comparing takes constant time only for what is of one length.
        self._digests = [_digest(key.encode()) for key in keys]
        self._open = {*_PROBES, "/metrics"} if public_metrics else set(_PROBES)

    def check(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Let a request through.

        Raises:
            ApiError: 401, it has no key, or one that is not known.
        """
        if not self._digests or path in self._open:
            return
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        if scheme.lower() != b"bearer":
            raise _refusal("the request has no key")
        digest = _digest(key.strip())
        # Each is compared, so that the time does not tell which it was.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise _refusal("the key is not one of those that are let in")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _refusal(came: str) -> ApiError:
    sentence = f"{came}; send the header Authorization: Bearer <key>, with a key from whoever runs this service."
    return ApiError(401, "unauthenticated", sentence, {"WWW-Authenticate": 'Bearer realm="digit-classifier"'})
