"""Which route a path belongs to: at once for most, then among those with parameters."""

from collections.abc import Mapping

from starlette.routing import Match, Route
from starlette.types import Scope


class Router:
    """Routes by path. One with a parameter, as in "/v2/models/{model}/infer", costs the others nothing."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._exact = {path: route for path, route in routes.items() if "{" not in path}
        self._with_parameters = [route for path, route in routes.items() if "{" in path]

    def find(self, scope: Scope) -> Route | None:
        """Return the route of the request, whatever its method, and put the parameters in its path into `scope`."""
        if route := self._exact.get(scope["path"]):
            return route
        for route in self._with_parameters:
            match, found = route.matches(scope)
            if match is not Match.NONE:
                scope.update(found)
                return route
        return None
