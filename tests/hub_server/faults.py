"""Faults that a test asks of the Hub on loopback, and the log of what clients asked."""

import re
import threading
from dataclasses import dataclass


@dataclass
class Fault:
    """What goes wrong with the next requests whose method and path match.

    Attributes:
        pattern: Searched for in "PUT /large/models/me/net/..." .
        times: How many requests it meets.
        skip: How many matching requests it lets pass first.
        status: Answer with this and do nothing.
        retry_after: Seconds, as a header of that answer.
        upload_bytes: Break the connection after this many bytes of the request's body.
        answer_bytes: Do what was asked, and break the connection after this many bytes of the answer's body.
        seconds: Wait before doing what was asked.
    """

    pattern: str
    times: int = 1
    skip: int = 0
    status: int | None = None
    retry_after: int | None = None
    upload_bytes: int | None = None
    answer_bytes: int | None = None
    seconds: float = 0.0


class Faults:
    """The faults to come; each method adds one, and those first added meet a request first."""

    def __init__(self) -> None:
        self._coming: list[Fault] = []
        self._lock = threading.Lock()

    def fail_next(
        self, pattern: str, status: int = 503, times: int = 1, retry_after: int | None = None, skip: int = 0
    ) -> None:
        """Answer with a status."""
        self._coming.append(Fault(pattern, times, skip, status=status, retry_after=retry_after))

    def drop_upload(self, pattern: str, after_bytes: int = 0, times: int = 1, skip: int = 0) -> None:
        """Break the connection in the middle of what a client sends."""
        self._coming.append(Fault(pattern, times, skip, upload_bytes=after_bytes))

    def drop_answer(self, pattern: str, after_bytes: int = 0, times: int = 1, skip: int = 0) -> None:
        """Do what a client asks, and break the connection in the middle of the answer."""
        self._coming.append(Fault(pattern, times, skip, answer_bytes=after_bytes))

    def slow_next(self, pattern: str, seconds: float, times: int = 1, skip: int = 0) -> None:
        """Answer late."""
        self._coming.append(Fault(pattern, times, skip, seconds=seconds))

    @property
    def left(self) -> int:
        """How many requests are still to be met."""
        return sum(fault.times for fault in self._coming)

    def clear(self) -> None:
        self._coming.clear()

    def meet(self, line: str) -> Fault | None:
        """The fault that meets a request, if one does."""
        with self._lock:
            for fault in self._coming:
                if not re.search(fault.pattern, line):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self._coming.remove(fault)
                return fault
        return None


@dataclass
class Request:
    """One line of the log.

    Attributes:
        method: Such as "GET".
        path: Without the query, quoted as it came.
        query: What follows the question mark.
        range: The header of that name.
        received: Bytes of the body.
        status: Of the answer; 0 where the connection was broken before one.
        sent: Bytes of the answer's body.
    """

    method: str
    path: str
    query: str = ""
    range: str = ""
    received: int = 0
    status: int = 0
    sent: int = 0
