"""Log lines as JSON on stderr, which hold no row, no key and no query string."""

import asyncio
import json
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

FIELDS = ("request_id", "trace_id", "route", "status", "reason", "seconds", "model", "omitted")
OWN = ("mlops", "uvicorn")
LENGTH = 300
REFUSALS = 10  # lines a second

logger = logging.getLogger("mlops.serving")


class Lines(logging.Formatter):
    """One JSON object a record: time, level, event, and of what is `extra` only FIELDS.

    An exception is told by its type and where it was raised, without its message, which may
    quote a row. Of other packages' records only the template is kept, for the same reason.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        own = record.name.partition(".")[0] in OWN
        event = (record.getMessage() if own else str(record.msg)).partition("\n")[0]
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": event[:LENGTH],
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None))}
        if record.exc_info and record.exc_info[1]:
            line["error"] = told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def told(error: BaseException) -> str:
    """Return an exception's type, the innermost places it passed through, and its cause's."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{frame.tb_lineno} {code.co_name}")
        frame = frame.tb_next
    line = " < ".join([type(error).__name__, *reversed(places[-4:])])
    return line if error.__cause__ is None else f"{line}, from {told(error.__cause__)}"


def configure(level: str = "info") -> None:
    """Send every logger of this process, uvicorn's too, to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn").setLevel(level.upper())
    access = logging.getLogger("uvicorn.access")  # it would log paths with their query strings
    access.handlers.clear()
    access.propagate = False
    logging.captureWarnings(True)


class Refusals:
    """Logs refused requests, at most `most` a second, and how many it left out."""

    def __init__(self, most: int = REFUSALS) -> None:
        self.most = most
        self._second = 0
        self._logged = 0
        self._omitted = 0

    def add(
        self, status: int, reason: str, request_id: str, trace_id: str = "", seconds: float = 0.0
    ) -> None:
        """Log one refusal; `reason` is the slug of the problem, never its detail."""
        second = int(time.monotonic())
        if second != self._second:
            self.flush()
            self._second, self._logged = second, 0
        if self._logged >= self.most:
            self._leave_out()
            return
        self._logged += 1
        told = {"request_id": request_id, "trace_id": trace_id, "status": status, "reason": reason}
        logger.warning("refused", extra={**told, "seconds": round(seconds, 6)})

    def flush(self) -> None:
        """Log how many were left out since it was last said."""
        if self._omitted:
            omitted, self._omitted = self._omitted, 0
            logger.warning("refusals left out", extra={"omitted": omitted})

    def _leave_out(self) -> None:
        """Count one, and see to it that the count is logged though nothing else is refused."""
        self._omitted += 1
        if self._omitted == 1:
            try:
                asyncio.get_running_loop().call_later(1, self.flush)
            except RuntimeError:
                return  # without a loop, the next refusal logs it
