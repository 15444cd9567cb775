"""Which of several servers gets the next request: one that works, with the fewest in flight.

A server that fails (no connection, no answer in time, 429, 5xx) rests, twice as long each time up to half a minute,
or as long as it asks for. Then one request tries it, and only after its answer the others follow. So a server that
dies is taken out, and comes back when it answers again; and one that refuses quickly does not draw all requests to
itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FIRST_REST = 0.5  # seconds
LONGEST_REST = 30.0


class NoServerError(Exception):
    """Every server has failed for too long."""


@dataclass
class Server:
    """One server and how it does.

    Args:
        url (`str`): Its address.
        client: Whatever sends requests to it.
        in_flight (`int`, *optional*): Requests that it has not answered yet.
        failures (`int`, *optional*): Rests since it last answered.
        failing_since (`float`, *optional*): When it first failed since it last answered; `None` while it works.
        rest_until (`float`, *optional*): It gets no request before.
        on_trial (`bool`, *optional*): It has failed, is up again, and works on the request that tries it.
    """

    url: str
    client: Any
    in_flight: int = 0
    failures: int = 0
    failing_since: float | None = None
    rest_until: float = 0.0
    on_trial: bool = False


class Servers:
    """Hands out servers. Times are those of `time.monotonic()`.

    Args:
        servers (`Sequence[Server]`): At least one.
        limit (`int`): Requests in flight to each.
        timeout (`float`): Seconds for which all may fail.
    """

    def __init__(self, servers: Sequence[Server], limit: int, timeout: float) -> None:
        self.servers = list(servers)
        self.limit = limit
        self.timeout = timeout
        self.last_error = ""
        self._changed = asyncio.Condition()

    async def acquire(self) -> Server:
        """Waits for a server that may have one more request.

        Raises:
            NoServerError: All have failed for too long.
        """
        async with self._changed:
            while True:
                now = time.monotonic()
                free = [server for server in self.servers if self._has_room(server, now)]
                if free:
                    server = min(free, key=lambda server: server.in_flight)
                    server.in_flight += 1
                    return server
                self._check(now)
                wakes = [server.rest_until - now for server in self.servers if server.rest_until > now]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wakes, default=1.0)):
                        await self._changed.wait()

    async def answered(self, server: Server) -> None:
        """The server has done its work, and works."""
        server.failures, server.failing_since, server.rest_until = 0, None, 0.0
        await self._done(server)

    async def failed(self, server: Server, sent: float, error: Exception, rest: float | None = None) -> None:
        """The server has failed, and rests.

        Args:
            server ([`Server`]): Which.
            sent (`float`): When the request was sent. Those that were in flight with one that failed before count
                no more.
            error (`Exception`): What went wrong.
            rest (`float`, *optional*): Seconds, where the server asks for them.
        """
        now = time.monotonic()
        self.last_error = f"{server.url}: {str(error) or type(error).__name__}"
        if server.failing_since is None or sent >= server.rest_until:
            seconds = min(FIRST_REST * 2**server.failures, LONGEST_REST)
            server.failures += 1
            server.rest_until = now + (seconds if rest is None else rest)
            server.failing_since = now if server.failing_since is None else server.failing_since
        await self._done(server)
        self._check(now)

    async def _done(self, server: Server) -> None:
        server.in_flight -= 1
        server.on_trial = False
        async with self._changed:
            self._changed.notify_all()

    def _has_room(self, server: Server, now: float) -> bool:
        limit = self.limit if server.failing_since is None else 1
        return server.in_flight < limit and server.rest_until <= now

    def _check(self, now: float) -> None:
        since = [server.failing_since for server in self.servers if not server.on_trial]
        failing = [begin for begin in since if begin is not None]
        if len(failing) == len(self.servers) and now - max(failing) > self.timeout:
            raise NoServerError(self.last_error)
