"""`cit-notify-mail`: a notice as a mail, by sendmail(8) or an SMTP server.

Settings: `to` (addresses, commas between), `from`, `smtp` ("HOST:PORT"; without it, the sendmail program).
"""

from __future__ import annotations

import shutil
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from email.utils import formatdate

from citgit.errors import CitError, NotFound, TryAgain, UsageError
from citgit.model.notice import Notice
from citgit.programs.cit import report
from citgit.programs.notice_text import body, read_notice, subject

_TIMEOUT_S = 30


def main() -> int:
    """Sends the notice on stdin; the exit status."""
    try:
        send(read_notice(sys.stdin.buffer.read()))
    except CitError as error:
        return report("cit-notify-mail", error)
    return 0


def message(notice: Notice) -> EmailMessage:
    """The mail. Its Message-ID is the notice's, so that a mail that is sent twice can be known to be one."""
    to = notice.settings.get("to", "")
    if not to:
        raise UsageError("no address to tell", hint="write settings.to in notify.toml")
    made = EmailMessage()
    try:
        made["Subject"] = subject(notice)
        made["To"] = to
        made["From"] = notice.settings.get("from", "citgit@localhost")
    except ValueError as error:
        raise UsageError(f"not an address: {error}", hint="look at settings in notify.toml") from None
    made["Date"] = formatdate(notice.ended or None)
    made["Message-ID"] = f"<{notice.id}@citgit>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(body(notice))
    return made


def send(notice: Notice) -> None:
    """Hands the mail over. Raises UsageError, NotFound, TryAgain."""
    mail = message(notice)
    smtp = notice.settings.get("smtp", "")
    if not smtp:
        _sendmail(mail)
        return
    host, _, port = smtp.rpartition(":")
    try:
        with smtplib.SMTP(host or smtp, int(port) if host else 25, timeout=_TIMEOUT_S) as server:
            server.send_message(mail)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise TryAgain(f"the mail server {smtp!r} did not take it: {error}") from None


def _sendmail(mail: EmailMessage) -> None:
    program = shutil.which("sendmail", path="/usr/sbin:/usr/lib:/usr/bin:/usr/local/sbin")
    if program is None:
        raise NotFound("no sendmail program on this machine", hint='write settings.smtp = "HOST:PORT" in notify.toml')
    done = subprocess.run([program, "-t", "-oi"], input=bytes(mail), capture_output=True, check=False)
    if done.returncode:
        raise TryAgain(f"sendmail ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:].strip()}")


if __name__ == "__main__":
    sys.exit(main())
