"""What git and the host said about a push, as answers: DONE, STALE, DENIED, or UNKNOWN where neither is sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citgit.git.program import Output
from citgit.interfaces import Answer, Pushed, Update
from citgit.model.pattern import pattern

# Words of git 2.39 to 2.51 (send-pack, receive-pack, refs) and of forges. What is not listed stays UNKNOWN:
# whoever asks then fetches and looks, which is never wrong.
_STALE = pattern(
    r"stale info|fetch first|non-fast-forward|already exists|needs force|remote ref updated since checkout"
    r"|incorrect old value provided|reference does not exist|but expected|remote ref does not exist"
)
_DENIED = pattern(
    r"(?i)hook declined|prohibited|denied|denying|deny |permission|not allowed|not permitted|funny refname"
    r"|refusing|protected (branch|ref|tag)|is read.only|hidden ref|unauthori[sz]ed|forbidden"
    r"|refname conflict|cannot create '"
)
_NO_ACCESS = pattern(
    r"(?i)permission denied|access denied|authentication failed|could not read (Username|Password)"
    r"|repository .*not found|returned error: (401|403|404)|HTTP (401|403|404)|host key verification failed"
    r"|not authori[sz]ed|dubious ownership|service not enabled|unable to write to|insufficient permission"
    r"|read-only file ?system|is read-only|transport '.*' not allowed"
)
# The host tells the cause beside its report; another ref of the same push may have had another one.
_CAUSE_ELSEWHERE = pattern(r"failed to (update ref|delete|write)|cannot lock|unable to lock")
# Names may hold any words, "protected" or "denied" too: what is quoted does not decide.
_QUOTED = pattern(r"'[^']*'")
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f]")
_NOISE = pattern(r"hint:|To |error: failed to push some refs|Everything up|Please make sure|and the repository exists")


def no_access(words: str) -> bool:
    """Whether the host (or ssh on our side) said that this user may not; trying again would not help."""
    return _NO_ACCESS.search(_QUOTED.sub("''", words)) is not None


def answers(updates: Sequence[Update], output: Output) -> list[Pushed]:
    """One answer for each update of a `git push --porcelain`, in their order."""
    lines = _by_ref(output.stdout)
    said = _lines(output.stderr)
    found: list[Pushed] = []
    for update in updates:
        line = lines.get(update.ref)
        if line is None:
            denied = not lines and not output.timed_out and no_access(output.stderr)
            found.append(Pushed(update, Answer.DENIED if denied else Answer.UNKNOWN, one_line(output.stderr)))
        else:
            found.append(_judge(update, *line, said))
    return found


def _by_ref(stdout: bytes) -> Mapping[str, tuple[str, str]]:
    """Flag and summary of each porcelain line, by the name of the ref at the host."""
    lines: dict[str, tuple[str, str]] = {}
    for line in stdout.decode("utf-8", "replace").split("\n"):
        parts = line.split("\t")
        if len(parts) == 3 and len(parts[0]) == 1:
            lines[parts[1].rpartition(":")[2]] = (parts[0], parts[2])
    return lines


def _judge(update: Update, flag: str, summary: str, said: list[str]) -> Pushed:
    if flag in (" ", "+", "*", "-", "="):
        # "=" says that the host's tip was our oid already: ours, since every record holds a nonce
        return Pushed(update, Answer.DONE)
    reason = summary.rpartition("(")[2].rstrip(")")
    everything = _joined([reason, *said])
    if summary.startswith("[remote failure]"):
        return Pushed(update, Answer.UNKNOWN, everything)
    if _CAUSE_ELSEWHERE.match(reason):
        own = [line for line in said if f"'{update.ref}'" in line or f"{update.ref}.lock" in line]
        if not own:
            return Pushed(update, Answer.UNKNOWN, everything)
        reason = everything = _joined(own)
    told = _QUOTED.sub("''", reason)
    if _DENIED.search(told):
        # citgit's own hook names the ref, the rule and the record: one push may have been refused for several refs
        rules = [line.partition(f"cit: refused {update.ref}: ")[2] for line in said]
        return Pushed(update, Answer.DENIED, _joined([rule for rule in rules if rule]) or everything)
    if _STALE.search(told):
        # said by our git it means that our lease is old; said by the host it is a rule about rewinding
        rule = summary.startswith("[remote rejected]") and reason == "non-fast-forward"
        return Pushed(update, Answer.DENIED if rule else Answer.STALE, reason)
    return Pushed(update, Answer.UNKNOWN, everything)


def one_line(stderr: str) -> str:
    """What git and the host said, for a message: without progress, advice and terminal controls."""
    return _joined(_lines(stderr))


def _joined(lines: list[str]) -> str:
    return "; ".join(lines)[-1000:]


def _lines(stderr: str) -> list[str]:
    lines = (_CONTROL.sub("?", line.strip()) for line in stderr.replace("\r", "\n").split("\n"))
    return [line.removeprefix("remote: ") for line in lines if line and not _NOISE.match(line)]
