"""`cit agent probe`: which nodes can build a job, asked of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from citgit.errors import NotFound
from citgit.flows.enqueue import Change, Wish, planned
from citgit.model.record import Config
from citgit.programs import complete
from citgit.programs.probing import hosts, probe, progress
from citgit.programs.reach import reach
from citgit.programs.wording import builtins, emit, plain
from citgit.rules.ranking import Answer
from citgit.wiring.asking import SECONDS, way_of
from citgit.wiring.checkout import revision
from citgit.wiring.clone import open_clone


@click.command("probe", epilog="Example: cit agent probe check")
@click.argument("job", shell_complete=complete.jobs)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--ref", default="HEAD", shell_complete=complete.refs, help="what to build: a branch or a commit")
@click.option(
    "--config-ref", default="", metavar="BRANCH", shell_complete=complete.refs,
    help="where the jobs come from; default: what is built",
)  # fmt: skip
@click.option("--set", "values", multiple=True, metavar="K=V", help="a parameter")
@click.option("--pool", default="", shell_complete=complete.pools, help="whose agents to ask; default: the job's")
@click.option("--seconds", default=SECONDS, help="for how long to wait for a node")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per agent, the best first")
@click.pass_context
def probe_job(
    ctx: click.Context, job: str, directory: str, ref: str, config_ref: str, values: tuple[str, ...], pool: str,
    seconds: float, as_json: bool,
) -> None:  # fmt: skip
    """Asks all agents of the pool over ssh whether they can build a job now; nothing is asked for.

    The exit status is 0 if at least one can start it, else 1.
    """
    clone = open_clone(Path(directory))
    snapshot = reach(clone).snapshot
    commit, branch = revision(clone.git_dir, ref)
    config = revision(clone.git_dir, config_ref) if config_ref else None
    change = Change(
        url=str(clone.repository), branch=branch, commit=commit,
        config=Config(branch=config[1], commit=config[0]) if config else None,
    )  # fmt: skip
    from citgit.programs.run import parameters

    wish = Wish(jobs=[job], parameters=parameters(values), pool=pool)
    wanted = planned(clone.state, snapshot, clone.doors, change, wish)
    team = snapshot.policies.tip.team
    good = False
    for request, queue, _ in wanted:
        # a pipeline's other builds come when their time has come; the one that was named is meant
        all_of = [request, *(promise.request for promise in request.promises)]
        for one in [each for each in all_of if each.job == job]:
            if not hosts(team, queue):
                raise NotFound(
                    f"no agent of pool {queue!r} can be asked: none has a 'host' in team.toml",
                    hint="cit agent install [USER@]HOST",
                )
            answers = probe(team, queue, one, f"person:{clone.person}", way_of(clone), seconds=seconds, tell=progress)
            good = good or any(answer.fits for answer in answers)
            cell = " ".join(f"{key}={value}" for key, value in sorted(one.cell.items()))
            _show(answers, f"{job} {cell}".strip(), as_json)
    ctx.exit(0 if good else 1)


def _show(answers: Sequence[Answer], what: str, as_json: bool) -> None:
    if as_json:
        for rank, one in enumerate(answers, 1):
            emit({
                "job": what, "rank": rank, "agent": one.agent, "host": one.host, "fits": one.fits, "away": one.away,
                "free": one.free, "slots": one.slots, "load": one.load, "warm": one.warm,
                "seconds": round(one.seconds, 3), "decisions": builtins(one.decisions),
            })  # fmt: skip
        return
    click.echo(what)
    for one in answers:
        word = "yes" if one.fits else "away" if one.away else "busy" if one.busy else "no"
        about = one.away or f"{one.free}/{one.slots} free, load {one.load:.2f}" + (
            ", has the revision" if one.warm else ""
        )
        click.echo(f"  {one.agent:<16} {word:<5} {one.seconds:5.1f} s  {plain(about)}")
        for lack in one.lacks:
            click.echo(f"  {'':<16}       lacks {plain(lack.check)} (found: {plain(lack.found) or 'nothing'})")
