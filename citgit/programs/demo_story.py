"""The demo's story: green, red and why, a killed worker, and everything verified."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from citgit.errors import Errored
from citgit.flows.control import outcome_text
from citgit.model.build import Build
from citgit.model.record import Claim, Outcome, Progress, RecordType
from citgit.programs.demo_stage import Stage
from citgit.programs.log_place import local_log
from citgit.wiring import logs
from citgit.wiring.clone import init_bare
from citgit.wiring.keys import generate
from citgit.wiring.logs import LocalLog, visible
from citgit.wiring.shipped import SHIPPED

HERE = Path(__file__).resolve().parents[2]
SLOW = '\n[job.slow]\ncommand = ["sh", "-c", "echo started; sleep 4; echo finished"]\ntrigger.push = ["slow"]\n'


def tell(stage: Stage, *, with_self: bool) -> None:
    """Plays the story. Raises Errored if anything does not come out as it must."""
    _build_the_stage(stage)
    _green(stage)
    _red(stage)
    _killed(stage)
    if with_self and (HERE / ".git").exists() and (HERE / "cit.toml").is_file():
        _itself(stage)
    _verify(stage)


def _build_the_stage(stage: Stage) -> None:
    stage.say("chapter", "A bare repository, a clone, two agents with a key each")
    os.environ.update({key: stage.env[key] for key in ("HOME", "CITGIT_HOME")})
    init_bare(stage.bare)
    stage.run("git", "-C", str(stage.bare), "symbolic-ref", "HEAD", "refs/heads/main", cwd=stage.top)
    stage.run("git", "clone", "--quiet", str(stage.bare), str(stage.clone_dir), cwd=stage.top)
    stage.git("checkout", "--quiet", "-B", "main")
    shutil.copytree(SHIPPED / "hello", stage.clone_dir, dirs_exist_ok=True)
    stage.git("add", "--all")
    stage.git("commit", "--quiet", "--message", "A greeting: a library and a program")
    made = stage.cit("init", "--name", "anna").splitlines()
    stage.say("init", next(line for line in made if "root policy" in line))
    agents = "".join(_agent(stage, name) for name in ("lab1", "lab2"))
    team = (stage.clone_dir / "team.toml").read_text()
    (stage.clone_dir / "team.toml").write_text(team + agents + '\n[limits]\nttl = "4 s"\nbeat = "1 s"\n')
    toml = (stage.clone_dir / "cit.toml").read_text()
    toml = toml.replace('trigger.push = ["main"]', 'trigger.push = ["main", "try/*"]')
    (stage.clone_dir / "cit.toml").write_text(toml + SLOW)
    stage.git("commit", "--quiet", "--all", "--message", "Register the agents lab1 and lab2")
    stage.git("push", "--quiet", "origin", "main")
    stage.say("policy", stage.cit("policy", "publish").splitlines()[-1])
    for agent in ("lab1", "lab2"):
        stage.worker(agent)
        stage.say("worker", f"{agent} polls {stage.bare}")
    _until_baseline(stage)


def _agent(stage: Stage, name: str) -> str:
    key = generate(stage.top / "home" / "citgit" / "keys" / name, name)
    return f'\n[agent.{name}]\nkey = "{key}"\n'


def _until_baseline(stage: Stage) -> None:
    def look() -> Build | None:
        ready = all((stage.top / agent / "heads.json").exists() for agent in ("lab1", "lab2"))
        return _NOTHING if ready else None

    stage.until("the workers", look)


_NOTHING = Build(id="", pool="", ref="", tip="", state="none")


def _watched(stage: Stage, job: str, branch: str, *, wanted: Outcome) -> Build:
    """Waits until the build is final, telling each record and what is printed as it appears."""

    def look() -> Build | None:
        build = _news(stage, job, branch)
        return build if build and build.is_final else None

    build = stage.until(f"job {job} on {branch}", look)
    if build.outcome is not wanted:
        raise Errored(f"job {job} on {branch} is {outcome_text(build)}, not {wanted.value}")
    return build


def _news(stage: Stage, job: str, branch: str) -> Build | None:
    """The build, once there is one; what is new in its records and in its log is told."""
    for build in stage.builds():
        if not build.request or (build.request.job, build.request.branch) != (job, branch):
            continue
        for entry in build.entries:
            record = entry.link.record
            if record and record.head.type == RecordType.RESULT.value:
                _print(stage, build)
            if record and entry.link.oid not in stage.told:
                stage.told.add(entry.link.oid)
                _narrate(stage, build, record.head.type, record.head.actor, record.body)
        _print(stage, build)
        return build
    return None


def _print(stage: Stage, build: Build) -> None:
    """Prints the newest lines of the log that were not there before."""
    root = local_log(build)
    found = list(filter(None, logs.watch(LocalLog(root), lambda: True))) if root else []
    lines = [f"{component}: {line.text}" if component else line.text for component, line in found]
    for text in lines[stage.printed.get(str(root), 0) :][-3:]:
        stage.say("", f"  {visible(text)}", build.id)
    stage.printed[str(root)] = len(lines)


def _narrate(stage: Stage, build: Build, kind: str, actor: str, body: object) -> None:
    match body:
        case Claim():
            text = f"by {actor}, attempt {body.attempt}" + (
                ", taken over: the holder fell silent" if body.takeover else ""
            )
            stage.say("claim", text, build.id)
        case Progress():
            stage.say("output", f"in {body.where}/log", build.id)
        case _ if kind == RecordType.REQUEST.value:
            door = "the developer's hook" if actor.startswith("person:") else "a worker's poll"
            stage.say("door", f"{door} noticed it and asked as {actor}", build.id)
            stage.say("queued", f"{build.id} in pool {build.pool}", build.id)
        case _ if kind == RecordType.RESULT.value:
            stage.say("result", f"{outcome_text(build)}, signed by {actor}", build.id)


def _green(stage: Stage) -> None:
    stage.say("chapter", "A change to a job, pushed on a branch")
    stage.git("checkout", "--quiet", "-b", "try/verbose")
    toml = (stage.clone_dir / "cit.toml").read_text()
    (stage.clone_dir / "cit.toml").write_text(toml.replace('["make", "check"]', '["make", "-j2", "check"]'))
    stage.git("commit", "--quiet", "--all", "--message", "Check with two processors")
    stage.git("push", "--quiet", "origin", "try/verbose")
    stage.say("push", "try/verbose: command = make -j2 check")
    _watched(stage, "check", "try/verbose", wanted=Outcome.PASSED)


def _red(stage: Stage) -> None:
    stage.say("chapter", "A fault, pushed; the red build explained")
    stage.git("checkout", "--quiet", "-b", "try/fault", "main")
    config = stage.clone_dir / "config.mk"
    config.write_text(config.read_text().replace("FAULT = 0", "FAULT = 1"))
    stage.git("commit", "--quiet", "--all", "--message", "Break the greeting")
    stage.git("push", "--quiet", "origin", "try/fault")
    stage.say("push", "try/fault: FAULT = 1")
    build = _watched(stage, "check", "try/fault", wanted=Outcome.FAILED)
    for line in stage.cit("why", build.id, ok=(0, 1)).splitlines()[:8]:
        stage.say("why", line, build.id)


def _killed(stage: Stage) -> None:
    stage.say("chapter", "A worker and its build killed in the middle")
    stage.git("checkout", "--quiet", "-b", "slow", "main")
    stage.git("commit", "--quiet", "--allow-empty", "--message", "Take your time")
    stage.git("push", "--quiet", "origin", "slow")

    stage.say("push", "slow: a job that takes four seconds")

    def running() -> Build | None:
        build = _news(stage, "slow", "slow")
        return (
            build if build and any(isinstance(_body(build, at), Progress) for at in range(len(build.entries))) else None
        )

    build = stage.until("job slow to run", running)
    holder = build.held.actor.removeprefix("agent:") if build.held else ""
    stage.kill(holder)
    stage.say("kill", f"{holder} and everything it ran: SIGKILL", build.id)
    done = _watched(stage, "slow", "slow", wanted=Outcome.PASSED)
    results = [
        entry
        for entry in done.entries
        if not entry.void and entry.link.record and entry.link.record.head.type == "result"
    ]
    if len(results) != 1 or done.valid_claims != 2:
        raise Errored(f"build {done.id} has {len(results)} results and {done.valid_claims} claims")
    stage.say("once", f"{done.valid_claims} claims, exactly one result", done.id)


def _body(build: Build, at: int) -> object:
    record = build.entries[at].link.record
    return record.body if record else None


def _itself(stage: Stage) -> None:
    stage.say("chapter", "citgit builds itself: its fast tests")
    own = stage.top / "citgit"
    stage.run("git", "clone", "--quiet", "--no-local", "--", str(HERE), str(own), cwd=stage.top)
    stage.run("git", "-C", str(own), "remote", "remove", "origin")
    stage.cit("init", "--name", "anna", "-C", str(own))
    for line in stage.cit("run", "fast", "--here", "-C", str(own)).splitlines()[-4:]:
        stage.say("self", line)


def _verify(stage: Stage) -> None:
    stage.say("chapter", "Everything verified, with citgit and with git alone")
    for line in stage.cit("verify", "--all").splitlines()[-4:]:
        stage.say("verify", line)
    stage.bare_git("fsck", "--strict", "--no-dangling")
    # in one go: workers still archive, and what was archived loses its ref
    stage.git("fetch", "--quiet", "origin", "+refs/cit/*:refs/demo/*")
    fetched = stage.git("for-each-ref", "--format=%(refname)", "refs/demo/").split()
    for name in fetched:
        stage.git("verify-commit", name)
    refs = [name.replace("refs/demo/", "refs/cit/", 1) for name in fetched]
    stage.say("git", f"git fsck is clean; git verify-commit accepts the tips of {len(refs)} refs")
    _further(stage, next(ref for ref in refs if "/archive/" in ref))


def _further(stage: Stage, archive: str) -> None:
    """Commands that can be pasted; the folder stays for them."""
    stage.say("chapter", "Look further; all of it stays until you remove the folder")
    further = (
        f"cd {stage.clone_dir}",
        f"export CITGIT_HOME={stage.env['CITGIT_HOME']} PATH={Path(sys.executable).parent}:$PATH",
        "cit status --all",
        "cit show check@try/fault",
        "cit log --failed check@try/fault",
        "cit why slow@slow",
        "cit verify --all",
        f"git -C {stage.bare} log --oneline {archive}",
        f"git -C {stage.bare} show --stat {archive}",
    )
    for line in further:
        stage.say("further", line)
