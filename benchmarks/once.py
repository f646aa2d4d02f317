"""A load generator for requests that can be sent once only: one request for each line of a file.

    python benchmarks/once.py PORT TEMPLATE VALUES CONNECTIONS

It sends the template with each line in the place of `@@` (the lines have one length), over so many
connections, and prints as JSON how many were answered 200, how long that took, and an answer that was none.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], done: asyncio.Queue[None]) -> None:
        self._requests, self._done = requests, done
        self._buffer = b""
        self.good = self.bad = 0
        self.wrong = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if head.startswith(b"HTTP/1.1 200"):
            self.good += 1
        else:
            self.bad += 1
            self.wrong = self._buffer.decode(errors="replace")
        self._buffer = b""
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            self._done.put_nowait(None)
        else:
            self._transport.write(request)


async def _run(port: int, requests: Iterator[bytes], connections: int) -> dict[str, object]:
    loop, done = asyncio.get_running_loop(), asyncio.Queue[None]()
    begin = time.perf_counter()
    made = []
    for _ in range(connections):
        _, protocol = await loop.create_connection(
            lambda: _Connection(requests, done), "127.0.0.1", port
        )
        made.append(protocol)
    for _ in range(connections):
        await done.get()
    seconds = time.perf_counter() - begin
    good, bad = sum(one.good for one in made), sum(one.bad for one in made)
    wrong = next((one.wrong for one in made if one.wrong), "")
    return {"good": good, "bad": bad, "seconds": seconds, "wrong": wrong}


def main() -> None:
    port, template, values, connections = sys.argv[1:5]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    before, _, after = Path(template).read_bytes().partition(b"@@")
    lines = Path(values).read_bytes().splitlines()
    requests = (before + line + after for line in lines)
    print(json.dumps(asyncio.run(_run(int(port), requests, int(connections)))))


if __name__ == "__main__":
    main()
