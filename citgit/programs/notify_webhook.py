"""`cit-notify-webhook`: a notice as JSON, by HTTP POST.

Settings: `url` (http or https). The variable CIT_WEBHOOK_SECRET, if it is set where `cit notify` runs, signs it.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import sys
import urllib.parse
import urllib.request

import msgspec

from citgit.errors import CitError, TryAgain, UsageError
from citgit.model.notice import Notice
from citgit.programs.cit import report
from citgit.programs.notice_text import body, read_notice, subject

_TIMEOUT_S = 30


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a post that is led on becomes a GET, and nobody is told."""

    def redirect_request(self, *_: object) -> None:
        """None: the answer counts as it is."""


def main() -> int:
    """Posts the notice on stdin; the exit status."""
    try:
        post(read_notice(sys.stdin.buffer.read()))
    except CitError as error:
        return report("cit-notify-webhook", error)
    return 0


def post(notice: Notice) -> None:
    """Posts it. Raises UsageError, TryAgain."""
    url = notice.settings.get("url", "")
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise UsageError(f"not an address to post to: {url!r}", hint="write settings.url in notify.toml")
    told = {**msgspec.to_builtins(notice), "subject": subject(notice), "text": body(notice), "settings": {}}
    data = msgspec.json.encode(told)
    headers = {"Content-Type": "application/json", "Idempotency-Key": notice.id, "User-Agent": "citgit"}
    if secret := os.environ.get("CIT_WEBHOOK_SECRET", ""):
        headers["X-Cit-Signature"] = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    try:
        with urllib.request.build_opener(_Straight).open(
            urllib.request.Request(url, data, headers), timeout=_TIMEOUT_S
        ):
            pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TryAgain(f"{urllib.parse.urlsplit(url).netloc!r} did not take it: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
