"""Bounds on what a client may send, and the layer of the server that counts the bytes of a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from audiozoo import audio
from audiozoo.checks import require_number

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on requests.

    Args:
        megabytes: Largest upload (MB).
        seconds: Longest sound (seconds).
        waiting: Largest number of requests that are answered or wait at a time. Further ones get the status 503.

    Raises:
        ValueError: A value is not positive.
    """

    megabytes: float = 20.0
    seconds: float = 600.0
    waiting: int = 64

    def __post_init__(self) -> None:
        require_number("megabytes", self.megabytes, 1e-3, 10_000)
        require_number("seconds", self.seconds, 1e-3, 86_400)
        require_number("waiting", self.waiting, 1, 10_000)

    @property
    def most_bytes(self) -> int:
        """Largest upload (bytes)."""
        return round(self.megabytes * 1e6)

    def check_sound(self, source: audio.Source) -> None:
        """Check the length of a sound by its header, which the decoder never exceeds.

        Raises:
            ValueError: The sound is longer than allowed, or no sound.
        """
        seconds, _, _ = audio.measure(source)
        if seconds > self.seconds:
            raise ValueError(
                f"{audio.describe(source)}: the sound lasts {seconds:.0f} s, at most {self.seconds:g} s are allowed: cut it"
            )


class BodyLimit:
    """Layer (ASGI middleware) that refuses a request whose body is too large, while it arrives.

    Args:
        app: Application behind this layer.
        most: Largest body (bytes).
    """

    def __init__(self, app: Any, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: Any) -> None:
        """Pass a request on, and raise the HTTP error 413 when the application reads more than the limit."""
        received = 0

        async def counted() -> _Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            # The header Content-Length may lie, so the bytes that arrive are counted.
            if received > self._most:
                raise _too_large(self._most)
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


def _too_large(most: int) -> Exception:
    from starlette.exceptions import HTTPException

    return HTTPException(413, f"the upload is larger than {most / 1e6:g} MB: send a shorter sound, or a compressed one")
