"""Watch: ranks learn within seconds that one of them is gone, has failed, or is waited for.

Rank 0 has a connection from every other rank. The operating system closes it when a process ends,
however it ends, and its keep-alive ends it when a machine does; a rank that is merely slow keeps
it. A thread of each rank listens, also while the rank waits in a collective.

Rank 0 states what has happened, in one line; of itself the first of the other ranks does. A rank
that does not leave the collective by itself is then ended after `GRACE_SECONDS`.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jlrun.errors import FAILED, RunError
from jlrun.ranks import environment
from jlrun.ranks.calls import Calls
from jlrun.ranks.hang import Place, hang_line

GRACE_SECONDS = 5.0  # until a rank that does not end by itself is ended
ANSWER_SECONDS = 2.0  # in which ranks say where they are
TICK_SECONDS = 0.2
_MOST_BYTES = 100_000  # of a message

Send = Callable[[Mapping[str, Any]], None]


class Peer:
    """Connection to another rank, over which JSON objects go, one a line.

    Args:
        rank: of the other.
        connection: to it.
    """

    def __init__(self, rank: int, connection: socket.socket) -> None:
        self.rank = rank
        self.connection = connection
        self.left = False
        self._rest = b""
        _keep_alive(connection)

    def send(self, message: Mapping[str, Any]) -> bool:
        """Return whether the message could be sent."""
        try:
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> list[dict[str, Any]] | None:
        """Return what has come; None if the other rank has closed the connection."""
        try:
            found = self.connection.recv(65536)
        except OSError:
            return None
        if not found or len(self._rest) > _MOST_BYTES:
            return None
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [json.loads(line) for line in lines]


class Watch:
    """What a rank knows of the others; a thread of its own.

    Args:
        rank: of this process.
        peers: on rank 0 all others, on these rank 0.
        calls: collectives that this rank has called.
        timeout: seconds after which a collective hangs.
    """

    def __init__(self, rank: int, peers: list[Peer], calls: Calls, timeout: float) -> None:
        self._rank, self._calls, self._timeout = rank, calls, timeout
        self._peers = {peer.rank: peer for peer in peers}
        self._line: str | None = None  # what has happened, known to all
        self._known = threading.Event()
        self._ending = threading.Event()
        self._places: dict[int, Place] = {}
        self._asked_at: float | None = None
        self._main = threading.main_thread().ident
        self.last_words: Callable[[str], None] = lambda line: None
        calls.explain = self._explained
        self._thread = threading.Thread(target=self._run, name="jlrun-watch", daemon=True)
        self._thread.start()

    @property
    def line(self) -> str | None:
        """What ends the run, as far as it is known."""
        return self._line

    def fail(self, message: str) -> None:
        """State that this rank fails; if rank 0 can't be told, it is for this rank to say so."""
        self._ending.set()
        if self._rank == 0:
            self._send_all({"line": message, "rank": 0})
        elif self._line is None:
            environment.spoken.value = self._peers[0].send({"failed": message})

    def leave(self, seconds: float) -> None:
        """Leave without a fault; others than rank 0 wait until that leaves, too, for a while."""
        self._ending.set()
        self._send_all({"bye": True})
        if self._rank > 0:
            until = time.monotonic() + seconds
            while not self._peers[0].left and self._line is None and time.monotonic() < until:
                time.sleep(TICK_SECONDS / 4)
            environment.spoken.value = self._peers[0].left

    def _explained(self, error: RuntimeError) -> Exception:
        """Return what an error in a collective means; others of jlrun are returned as they are."""
        if isinstance(error, RunError):
            return error
        # The connection of the collective may be closed before that of the watch.
        return RunError(self._line) if self._known.wait(2 * ANSWER_SECONDS) else error

    def _send_all(self, message: Mapping[str, Any]) -> None:
        for peer in self._peers.values():
            peer.send(message)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for peer in self._peers.values():
                selector.register(peer.connection, selectors.EVENT_READ, peer)
            while selector.get_map() and self._line is None:
                for key, _ in selector.select(TICK_SECONDS):
                    peer: Peer = key.data
                    messages = peer.receive()
                    for message in messages or ():
                        self._take(peer, message)
                    if messages is None:
                        selector.unregister(peer.connection)
                        if not peer.left and self._line is None:
                            self._decide(_gone(peer.rank), peer.rank)
                self._look_for_hang()
        if self._line is not None:
            self._end_soon()

    def _take(self, peer: Peer, message: Mapping[str, Any]) -> None:
        match message:
            case {"bye": _}:
                peer.left = True
            case {"failed": str(line)}:
                self._decide(f"rank {peer.rank}: {line}", peer.rank)
            case {"line": str(line), "rank": int(_)}:
                environment.spoken.value = True
                self._know(line)
            case {"hangs": _}:
                self._ask_all()
            case {"where": _}:
                peer.send({"place": self._place().to_json()})
            case {"place": dict(place)}:
                self._places[peer.rank] = Place.from_json(place)
            case _:
                pass

    def _decide(self, line: str, cause: int) -> None:
        """State what has happened: on rank 0 to all, elsewhere only of rank 0 itself."""
        if self._rank > 0:
            # Without rank 0 the first of the others speaks.
            environment.spoken.first_is_gone = True
            environment.spoken.value = self._rank > 1
        for rank, peer in self._peers.items():
            if rank != cause:
                peer.send({"line": line, "rank": cause})
        self._know(line)

    def _know(self, line: str) -> None:
        if self._line is None:
            self._line = line
            self._known.set()

    def _place(self) -> Place:
        call = self._calls.current
        waiting = None if call is None else time.monotonic() - call.since
        frame = sys._current_frames().get(self._main or 0)
        return Place(call and call.name, self._calls.number, waiting, _where(frame))

    def _look_for_hang(self) -> None:
        call, now = self._calls.current, time.monotonic()
        if self._asked_at is not None:
            if now - self._asked_at > ANSWER_SECONDS:
                self._places[0] = self._place()
                self._asked_at = None
                line = hang_line(self._places, len(self._peers) + 1, self._timeout)
                if line is not None:
                    self._decide(f"{line} (engine.timeout)", 0)
        elif call is not None and call.timed and now - call.since > self._timeout:
            if self._rank == 0:
                self._ask_all()
            else:
                self._peers[0].send({"hangs": True})
                call = None

    def _ask_all(self) -> None:
        if self._asked_at is None:
            self._places = {}
            self._asked_at = time.monotonic()
            self._send_all({"where": True})

    def _end_soon(self) -> None:
        """End the process, unless it ends by itself."""
        if self._ending.wait(GRACE_SECONDS):
            return
        assert self._line is not None
        self.last_words(self._line)
        if self._rank == 0 or not environment.spoken.value:
            who = "" if self._rank == 0 else f"rank {self._rank}: "
            print(f"{who}jlrun: {self._line}", file=sys.__stderr__, flush=True)
        os._exit(FAILED)


def _gone(rank: int) -> str:
    return (
        f"rank {rank} is gone: it was killed, by hand or for want of memory, or its machine failed"
    )


def _where(frame: Any) -> str:
    """Return the innermost place of jlrun, or of the user's own code, that a thread is in."""
    package = Path(__file__).parents[1]
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(package) and path.parent != package / "ranks":
            shown = path.relative_to(package.parent)
            return f"{shown}:{frame.f_lineno} ({frame.f_code.co_name})"
        frame = frame.f_back
    return ""


def _keep_alive(connection: socket.socket) -> None:
    """Have the system notice within 10 s that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 9000}
    for name, value in options.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
