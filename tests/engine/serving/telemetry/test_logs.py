"""Lines are JSON, say what they may, and never what a client sent."""

import json
import subprocess
import sys
import textwrap
from typing import Any

SECRET = "4111-1111"


def lines(code: str) -> list[dict[str, Any]]:
    """Run code in a process with logs configured, and return what it logged."""
    start = "import logging\nfrom mlops.serving.telemetry import logs\nlogs.configure()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.stdout == ""
    assert SECRET not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_fields_are_those_that_are_known() -> None:
    (line,) = lines(f"""
        extra = dict(request_id="r1", status=422, reason="bad-value", seconds=0.5, row="{SECRET}")
        logging.getLogger("mlops.serving").info("refused", extra=extra)
    """)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "refused",
        "request_id": "r1",
        "status": 422,
        "reason": "bad-value",
        "seconds": 0.5,
    }


def test_an_exception_is_told_without_its_message() -> None:
    (line,) = lines(f"""
        def work():
            raise ValueError("could not read {SECRET}")
        try:
            work()
        except ValueError:
            logging.getLogger("mlops.serving").exception("failed")
    """)
    assert line["event"] == "failed"
    assert line["error"].startswith("ValueError < <string>:")
    assert "work" in line["error"]


def test_other_packages_are_logged_without_their_arguments() -> None:
    (line,) = lines(f"""
        logging.getLogger("httpx").warning("request to %s", "/predict?card={SECRET}")
        logging.getLogger("httpx").info("not at all")
    """)
    assert line["event"] == "request to %s"


def test_a_task_that_failed_unseen_does_not_quote_its_exception() -> None:
    (line,) = lines(f"""
        import asyncio, gc
        async def fail():
            raise ValueError("{SECRET}")
        async def main():
            task = asyncio.get_running_loop().create_task(fail())
            await asyncio.sleep(0.01)
            del task
            gc.collect()
        asyncio.run(main())
    """)
    assert line["event"] == "Task exception was never retrieved"
    assert line["error"].startswith("ValueError < ")


def test_uvicorn_speaks_json_and_logs_no_requests() -> None:
    found = lines(f"""
        logging.getLogger("uvicorn.error").info("Uvicorn running on %s", "http://host")
        logging.getLogger("uvicorn.access").info('%s - "%s"', "client", "GET /?card={SECRET}")
    """)
    assert [line["event"] for line in found] == ["Uvicorn running on http://host"]


def test_refusals_are_counted_beyond_so_many_a_second() -> None:
    found = lines("""
        import asyncio
        refusals = logs.Refusals(most=3)
        async def main():
            for number in range(50):
                refusals.add(422, "bad-value", f"r{number}", "t", 0.001)
            while refusals._omitted:
                await asyncio.sleep(0.05)
        asyncio.run(main())
    """)
    told = [line for line in found if line["event"] == "refused"]
    omitted = sum(line["omitted"] for line in found if line["event"] == "refusals left out")
    assert len(told) + omitted == 50
    assert 3 <= len(told) <= 6  # they may fall on two seconds
    assert told[0]["trace_id"] == "t"


def test_without_a_loop_the_next_refusal_tells_the_count() -> None:
    found = lines("""
        refusals = logs.Refusals(most=1)
        for number in range(5):
            refusals.add(401, "unauthorized", "r")
        refusals.flush()
    """)
    omitted = sum(line.get("omitted", 0) for line in found)
    assert omitted + sum(line["event"] == "refused" for line in found) == 5
