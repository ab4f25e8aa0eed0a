"""The only way out of a container without network: chosen ports of its loopback lead to those of the host.

The sockets are made by a thread that has entered the container's network, and stay in it; whoever accepts on them
stands outside. Entering takes Linux and root.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

HOST = "127.0.0.1"

_CLONE_NEWNET = 0x40000000
_CHUNK_BYTES = 1 << 16


class Door:
    """Open from its making until `close`, whatever becomes of the container."""

    def __init__(self, pid: int, ports: Sequence[int]) -> None:
        """`pid` is a process in the container. Raises OSError."""
        with ThreadPoolExecutor(1) as inside:
            sockets = inside.submit(_listening, pid, ports).result()
        self._loop = asyncio.new_event_loop()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=[sockets], name=f"door-{pid}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()

    def _run(self, sockets: Sequence[socket.socket]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # which ends what still goes through
            runner.run(self._serve(sockets))

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        async with contextlib.AsyncExitStack() as servers:
            for listening in sockets:
                port = listening.getsockname()[1]
                server = await asyncio.start_server(functools.partial(_through, port), sock=listening)
                await servers.enter_async_context(server)
            await self._closed.wait()


async def _through(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        answers, asks = await asyncio.open_connection(HOST, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pump(reader, asks), _pump(answers, writer))
    finally:
        asks.close()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # whoever has gone is missed by nobody
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _listening(pid: int, ports: Sequence[int]) -> list[socket.socket]:
    """Runs in a thread of its own, which never comes back from that network."""
    with open(f"/proc/{pid}/ns/net") as network:
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    return [socket.create_server((HOST, port)) for port in ports]
