"""What a client may send that is no request, or has no end; and many clients that send it."""

import random
import re
import selectors
import socket
import time
from collections import Counter
from contextlib import ExitStack
from typing import NamedTuple


class Stream(NamedTuple):
    """Bytes to begin with, and what follows them without end, if anything does."""

    begun: bytes
    more: bytes = b""
    reads: bool = True


def head(line: str, *headers: str) -> bytes:
    """Return a head without the blank line at its end."""
    return "\r\n".join([f"{line} HTTP/1.1", "host: a", *headers, ""]).encode()


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


JSON = "content-type: application/json"
CHUNKED = "transfer-encoding: chunked"
OFFER = "connection: upgrade, http2-settings"
END = b"\r\n"
HUGE = f"content-length: {10**15}"
GET = head("GET /healthz")
PREDICT = head("POST /predict", JSON, CHUNKED) + END
LETTERS = b"a" * 4096
NOISE = random.Random(0).randbytes(4096)
HELLO = bytes.fromhex("16030100c8010000c40303") + NOISE[:200]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

STREAMS: dict[str, Stream] = {
    # Endless before the body
    "method": Stream(b"G", b"G" * 4096),
    "request line": Stream(b"GET /", LETTERS),
    "query": Stream(b"GET /healthz?", b"a=b&" * 1000),
    "percent signs": Stream(b"GET /", b"%41" * 1000),
    "name of a header": Stream(GET, LETTERS),
    "value of a header": Stream(GET + b"x: ", LETTERS),
    "folded header": Stream(GET + b"x: a", b"\r\n a" * 1000),
    "headers": Stream(GET, b"a: b\r\n" * 700),
    "cookies": Stream(GET, b"cookie: a=b\r\n" * 300),
    "blank lines": Stream(b"", END * 2000),
    "line feeds": Stream(b"", b"\n" * 4096),
    # Endless around the body
    "extension of a chunk": Stream(PREDICT + b"1;", LETTERS),
    "extensions of chunks": Stream(PREDICT, chunk(b"[", b";" + b"a" * 500)),
    "size of a chunk": Stream(PREDICT, b"0" * 4096),
    "chunks of one byte": Stream(PREDICT, b"1\r\n[\r\n" * 700),
    "chunks of one byte to nowhere": Stream(head("POST /x", CHUNKED) + END, b"1\r\n[\r\n" * 700),
    "trailers": Stream(PREDICT + b"0\r\n", b"a: b\r\n" * 700),
    "trailer": Stream(PREDICT + b"0\r\na: ", LETTERS),
    # Endless bodies
    "body": Stream(head("POST /predict", JSON, HUGE) + END, LETTERS),
    "body in chunks": Stream(PREDICT, chunk(b"[" * 4096)),
    "body to be explained": Stream(head("POST /explain", JSON, CHUNKED) + END, chunk(LETTERS)),
    "body of tensors": Stream(head("POST /v2/models/a/infer", CHUNKED) + END, chunk(LETTERS)),
    "body of what has none": Stream(head("GET /healthz", HUGE) + END, LETTERS),
    "body that waits": Stream(head("POST /predict", HUGE, "expect: 100-continue") + END, LETTERS),
    "body after the last request": Stream(head("GET /x", "connection: close") + END, LETTERS),
    # Other protocols
    "offer": Stream(head("GET /x", OFFER, "upgrade: h2c") + b"http2-settings: ", LETTERS),
    "after an offer": Stream(head("GET /x", OFFER, "upgrade: h2c") + END, LETTERS),
    "offers": Stream(b"", (head("GET /x", OFFER, "upgrade: h2c") + END) * 30),
    "frames": Stream(head("GET /", "connection: upgrade", "upgrade: websocket") + END, NOISE),
    "tunnel": Stream(head("CONNECT a:443") + END, NOISE),
    "HTTP/2": Stream(PREFACE, b"\0\0\0\4\0\0\0\0\0" * 400),
    "TLS": Stream(HELLO, NOISE),
    "noise": Stream(b"", NOISE),
    "zeros": Stream(b"", bytes(4096)),
    # Requests without end, of which nobody reads an answer
    "requests": Stream(b"", (GET + END) * 100, reads=False),
    "requests for nothing": Stream(b"", (head("GET /x") + END) * 100, reads=False),
    "heads": Stream(b"", (head("HEAD /") + END) * 100, reads=False),
    "empty bodies": Stream(b"", (head("POST /predict", "content-length: 0") + END) * 60, False),
    # No requests
    "no version": Stream(b"GET /healthz\r\n\r\n"),
    "version of another age": Stream(b"GET / HTTP/9.9\r\n\r\n"),
    "negative length": Stream(head("POST /predict", "content-length: -1") + END),
    "length that is none": Stream(head("POST /predict", "content-length: 1e3") + END),
    "two lengths": Stream(head("POST /predict", "content-length: 1", "content-length: 2") + END),
    "two framings": Stream(head("POST /predict", "content-length: 1", CHUNKED) + END),
    "unknown encoding": Stream(head("POST /predict", "transfer-encoding: gzip") + END),
    "size that is none": Stream(PREDICT + b"zz\r\n"),
    "size beyond all": Stream(PREDICT + b"f" * 17 + END),
    "no colon": Stream(GET + b"nothing\r\n\r\n"),
    "space before the colon": Stream(GET + b"a : b\r\n\r\n"),
    "zero in a header": Stream(GET + b"a: \0\r\n\r\n"),
    "bare return": Stream(GET + b"a: b\rc: d\r\n\r\n"),
    "path beyond ASCII": Stream("GET /ü HTTP/1.1\r\n\r\n".encode()),
    "path that is none": Stream(b"GET http://a HTTP/1.1\r\nhost: a\r\n\r\n"),
    "percent of nothing": Stream(head("GET /%zz%ff%00") + END),
    "nested too deep": Stream(PREDICT + chunk(b"[" * 100_000) + b"0\r\n\r\n"),
    "no JSON": Stream(PREDICT + chunk(NOISE) + b"0\r\n\r\n"),
}


class Seen(NamedTuple):
    """What came of an attack: answers by status, bytes that the server took, connections."""

    statuses: Counter[int]
    sent: int
    opened: int


def attack(
    port: int,
    stream: Stream,
    clients: int = 20,
    most: int = 1 << 22,
    seconds: float = 30,
    *,
    again: bool = False,
) -> Seen:
    """Have clients send a stream until `most` bytes are sent, or `seconds` are over.

    Who is closed meanwhile comes again; who had an answer to what has an end, only if told to.
    """
    statuses: Counter[int] = Counter()
    sent = opened = 0
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector, ExitStack() as stack:

        def begin() -> None:
            nonlocal opened
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            client.setblocking(False)
            selector.register(client, 3, [stream.begun or stream.more, bytearray()])
            opened += 1

        for _ in range(clients):
            begin()
        while selector.get_map() and sent < most and time.monotonic() < until:
            for key, ready in selector.select(0.1):
                client, (waiting, answer) = key.fileobj, key.data
                assert isinstance(client, socket.socket)
                try:
                    if ready & selectors.EVENT_WRITE and waiting:
                        taken = client.send(waiting)
                        sent += taken
                        key.data[0] = waiting[taken:] or stream.more
                    if ready & selectors.EVENT_READ and stream.reads:
                        part = client.recv(1 << 16)
                        answer += part
                        if not part:
                            raise ConnectionResetError
                    if not key.data[0]:
                        selector.modify(client, selectors.EVENT_READ, key.data)
                    is_whole = not stream.more and b"\r\n\r\n" in answer
                except BlockingIOError:
                    continue
                except OSError:
                    is_whole = True
                if is_whole:
                    statuses.update(map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)))
                    selector.unregister(client)
                    client.close()
                    if stream.more or again:
                        begin()
        for key in list(selector.get_map().values()):
            statuses.update(map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", key.data[1])))
    return Seen(statuses, sent, opened)
