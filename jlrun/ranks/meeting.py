"""Meeting of the ranks at the start of a run: who is there, and the connections of the watch."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store  # nowhere public
from torch.distributed.rendezvous import rendezvous

from jlrun.errors import RunError, UserError
from jlrun.ranks.calls import Calls
from jlrun.ranks.watch import Peer, Watch

_CONNECT_SECONDS = 30


def store_of_all(timeout: float) -> tuple[Store, int, int]:
    """Return the store of the ranks, the rank of this process and their number.

    Raises:
        RunError: if a rank has not come within ``timeout`` seconds; the line names it.
        UserError: if the environment does not say where they meet.
    """
    try:
        found: Any = next(rendezvous("env://", timeout=timedelta(seconds=timeout)))
    except ValueError as error:
        raise UserError.of("torchrun", f"the ranks can't meet: {error}") from error
    except RuntimeError as error:  # of the store: nobody listens there, or not all have come
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise RunError(f"the ranks could not meet at {where} in {timeout:g} s: {error}") from error
    kept, rank, size = found
    # torchrun keeps its store when it starts the ranks again, with addresses where nobody listens.
    store = PrefixStore(f"start{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", kept)
    store.set(f"here/{rank}", "yes")
    names = [f"here/{other}" for other in range(size)]
    try:
        store.wait(names, timedelta(seconds=timeout))
    except RuntimeError as error:
        missing = ", ".join(str(r) for r, name in enumerate(names) if not store.check([name]))
        message = f"rank {missing} has not started within {timeout:g} s (engine.timeout)"
        raise RunError(message) from error
    return store, rank, size


def begin_group(backend: str, store: Store, rank: int, size: int, limit: timedelta) -> None:
    """Begin PyTorch's process group of all ranks.

    Raises:
        RunError: if they can't connect to each other.
    """
    try:
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=limit)
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0]
        raise RunError(f"rank {rank} can't connect to the others: {said}") from error


def watch(store: Store, rank: int, size: int, calls: Calls, timeout: float) -> Watch:
    """Return the watch over all ranks.

    Raises:
        RunError: if another rank can't be reached.
    """
    try:
        peers = _listen(store, size) if rank == 0 else [_connect(store, rank)]
    except OSError as error:
        raise RunError(f"rank {rank} can't reach the others: {error}") from error
    return Watch(rank, peers, calls, timeout)


def _listen(store: Store, size: int) -> list[Peer]:
    """Return the other ranks, each of which knows a word that only the store has."""
    word = secrets.token_hex(16)
    host = "127.0.0.1" if os.environ.get("LOCAL_WORLD_SIZE") == str(size) else ""
    peers: list[Peer] = []
    with socket.create_server((host, 0), backlog=size) as server:
        server.settimeout(_CONNECT_SECONDS)
        address = "127.0.0.1" if host else os.environ["MASTER_ADDR"]
        store.set("watch", f"{address} {server.getsockname()[1]} {word}")
        while len(peers) < size - 1:
            connection, _ = server.accept()
            connection.settimeout(_CONNECT_SECONDS)
            said, _, number = _line_of(connection).partition(" ")
            if secrets.compare_digest(said, word) and number.isdecimal():
                connection.settimeout(None)
                peers.append(Peer(int(number), connection))
            else:
                connection.close()
    return peers


def _connect(store: Store, rank: int) -> Peer:
    address, port, word = store.get("watch").decode().split()
    connection = socket.create_connection((address, int(port)), timeout=_CONNECT_SECONDS)
    connection.sendall(f"{word} {rank}\n".encode())
    connection.settimeout(None)
    return Peer(0, connection)


def _line_of(connection: socket.socket) -> str:
    found = b""
    while not found.endswith(b"\n") and len(found) < 100:
        byte = connection.recv(1)
        if not byte:
            break
        found += byte
    return found.decode("ascii", "replace").strip()
