"""Authentication: an API key in `Authorization: Bearer <key>`, where keys are set."""

import hashlib
import hmac

from service.errors import ApiError

# An orchestrator's probes have no key.
_PROBES = ("/livez", "/readyz")


class ApiKeyAuth:
    """Accepts requests that have one of `keys`; every request where none is set."""

    def __init__(self, keys: tuple[str, ...], public_metrics: bool) -> None:
        # Digests, because comparing takes constant time only for what is of one length.
        self._digests = [_digest(key.encode()) for key in keys]
        self._public = {*_PROBES, "/metrics"} if public_metrics else set(_PROBES)

    def check(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Return if the request is accepted.

        Raises:
            ApiError: 401, it has no key, or one that is not known.
        """
        if not self._digests or path in self._public:
            return
        value = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, key = value.partition(b" ")
        if scheme.lower() != b"bearer":
            raise _unauthenticated("the request has no key")
        digest = _digest(key.strip())
        # All are compared, so that the time does not tell which one matches.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise _unauthenticated("the key is not one of those that are accepted")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _unauthenticated(problem: str) -> ApiError:
    sentence = f"{problem}; send the header Authorization: Bearer <key>, with a key from whoever runs this service."
    return ApiError(401, "unauthenticated", sentence, {"WWW-Authenticate": 'Bearer realm="digit-classifier"'})
