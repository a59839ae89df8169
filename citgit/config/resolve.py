"""From a job's name to what is built: matrix expanded, parameters typed, fields replaced. No effects.

A cell's values and the parameters reach the command in two ways: as variables (`CIT_MATRIX_CC`,
`CIT_PARAM_LEVEL`) and as fields (`{matrix.cc}`, `{parameter.level}`) in arguments of the command and in
values of `env.set`. Each argument stays one argument; nothing goes through a shell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from citgit.config.check_jobs import needs_value, value_fault
from citgit.config.faults import unknown
from citgit.config.templates import filled, value_text, variable
from citgit.errors import NotFound, UsageError
from citgit.model.globs import matches_any, matches_branch
from citgit.model.job import CitToml, Job, Parameter, ParameterType, ResolvedJob, Value


def resolve(config: CitToml, name: str, *, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
    """One resolved job for each cell of the matrix, in an order that depends on names and values alone.

    Raises:
        NotFound: there is no job `name`.
        UsageError: the job can only be extended, or a parameter is unknown, missing or has a wrong value.
    """
    if name not in config.job:
        raise NotFound(unknown("job", name, (key for key, job in config.job.items() if job.command)))
    job = config.job[name]
    if not job.command:
        raise UsageError(f"job {name!a} has no command, it can only be extended")
    chosen = _parameters(name, job, parameters)
    return [_resolved(name, job, cell, chosen) for cell in _cells(job)]


def selected_by_push(config: CitToml, branch: str, changed_paths: Sequence[str] | None) -> list[str]:
    """The jobs that a push to `branch` starts, in the order of the config.

    `changed_paths` are the files that the push touches; None means that they are not known, and matches.
    """
    return [name for name, job in config.job.items() if _pushed(job, branch, changed_paths)]


def _pushed(job: Job, branch: str, changed_paths: Sequence[str] | None) -> bool:
    trigger = job.trigger
    if not job.command or not matches_branch(trigger.push, branch):
        return False
    return not trigger.paths or changed_paths is None or matches_any(trigger.paths, changed_paths)


def _cells(job: Job) -> Iterator[dict[str, str]]:
    # By name, not as written: a record's keys are sorted, and the order must survive the trip through one.
    names = sorted(job.matrix)
    for values in itertools.product(*(job.matrix[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def _parameters(name: str, job: Job, given: Mapping[str, Value]) -> dict[str, Value]:
    for key in given:
        if key not in job.parameters:
            raise UsageError(f"job {name!a}: {unknown('parameter', key, job.parameters)}")
    chosen: dict[str, Value] = {}
    for key, parameter in sorted(job.parameters.items()):
        if key not in given and needs_value(parameter):
            raise UsageError(f"job {name!a}: parameter {key!a} has no default", hint=f"add --set {key}=VALUE")
        value = _typed(parameter, given[key]) if key in given else parameter.default
        if text := value_fault(parameter, value):
            raise UsageError(f"job {name!a}: parameter {key!a}: {text}")
        chosen[key] = value
    return chosen


def _typed(parameter: Parameter, value: Value) -> Value:
    """`value` as the parameter's type: a command line has only text to offer."""
    if isinstance(value, str) and parameter.type is ParameterType.BOOLEAN:
        return {"true": True, "false": False}.get(value, value)
    if isinstance(value, str) and parameter.type is ParameterType.INTEGER:
        digits = value.removeprefix("-")
        return int(value) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else value
    return value


def _resolved(name: str, job: Job, cell: dict[str, str], parameters: dict[str, Value]) -> ResolvedJob:
    texts = {key: value_text(value) for key, value in parameters.items()}
    values = {f"matrix.{key}": value for key, value in cell.items()}
    values |= {f"parameter.{key}": value for key, value in texts.items()}
    variables = {key: filled(value, values) for key, value in job.env.set.items()}
    variables |= {variable("matrix", key): value for key, value in cell.items()}
    variables |= {variable("parameter", key): value for key, value in texts.items()}
    resolved = msgspec.structs.replace(
        job,
        command=tuple(filled(word, values) for word in job.command),
        env=msgspec.structs.replace(job.env, set=variables),
        extends="",
        matrix={},
    )
    return ResolvedJob(name=name, cell=cell, parameters=parameters, job=resolved)
