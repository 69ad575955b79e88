"""A transport in this process, which keeps what a protocol does with it."""

from typing import Any


class Wire:
    """Keeps what is written, whether the server would read on, and whether it has closed."""

    def __init__(self) -> None:
        self.reads = True
        self.closed = False
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def close(self) -> None:
        self.closed = True
