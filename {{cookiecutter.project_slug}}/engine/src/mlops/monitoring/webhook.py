"""A message to whatever takes JSON by HTTP: a chat, a pager."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import ProjectError

VARIABLE = "MLOPS_WEBHOOK_URL"
LOCAL = ("localhost", "127.0.0.1", "::1")
SECONDS, PAUSE = 10.0, 1.0


class WebhookError(ProjectError):
    """The webhook cannot be told; the message has nothing of its address, which is a secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: what is sent goes where it was said to, or nowhere."""


def check(address: str) -> None:
    """Raise WebhookError unless what is sent there can be read by nobody on the way."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        host, parts = None, None
    if not host or parts is None or any(ord(letter) <= 32 for letter in address):
        raise WebhookError(f"${VARIABLE} is no address: set it like https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOCAL):
        raise WebhookError(f"${VARIABLE} is not https: only one of this machine may be http")


def post(address: str, content: Mapping[str, Any]) -> None:
    """Send JSON, twice where the first try got no answer; raise WebhookError where none took it."""
    check(address)
    reason = _tried(address, content)
    if reason is not None and reason[1]:
        time.sleep(PAUSE)
        reason = _tried(address, content)
    if reason is not None:
        raise WebhookError(
            f"the webhook of ${VARIABLE} was not told, as {reason[0]}: see to it that it takes "
            "JSON by POST, and tell it by hand"
        )


def _tried(address: str, content: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return why it failed and whether another try may help; None where it was taken."""
    body = json.dumps(content, ensure_ascii=False).encode()
    told = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "mlops"}
    request = urllib.request.Request(address, body, told)
    direct = [urllib.request.ProxyHandler({})] if urlsplit(address).hostname in LOCAL else []
    try:
        with urllib.request.build_opener(_NoRedirect, *direct).open(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        with error:
            where = " which points elsewhere and is not followed" if error.code // 100 == 3 else ""
            return f"it answered {error.code}{where}", error.code >= 500 or error.code == 429
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"it cannot be reached ({type(_cause(error)).__name__})", True


def _cause(error: Exception) -> BaseException:
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, BaseException) else error


def plain(words: object) -> str:
    """Return text in which no chat finds a mention or a link of its own making."""
    said = " ".join(str(words).split())
    for mark, by in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "@\u200b")):
        said = said.replace(mark, by)
    return said
