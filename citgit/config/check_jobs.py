"""What jobs mean together: references, cycles, values that fit each other. Every fault, in no order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from citgit.config import supported, wellformed
from citgit.config.extend import chain
from citgit.config.faults import found_text, meant, unknown
from citgit.config.lines import Path
from citgit.config.templates import fields, variable
from citgit.model.job import CitToml, Job, Parameter, ParameterType
from citgit.model.names import plain_parts

Found = Iterator[tuple[Path, str]]
"""Pairs of a key's path and what is wrong there."""

MAX_CELLS = 256
TYPES: dict[ParameterType, type] = {
    ParameterType.STRING: str,
    ParameterType.INTEGER: int,
    ParameterType.BOOLEAN: bool,
}


def jobs_faults(config: CitToml, tables: Mapping[str, Any], known: Mapping[str, set[str]]) -> Found:
    """The faults of `config` (inherited keys merged).

    `tables` are the jobs as written, `known` all names written, those of entries with other faults too.
    """
    bases = {table.get("extends", "") for table in tables.values()}
    sources = known.get("source", set())
    for name, source in config.source.items():
        yield from _each((("source", name), text) for text in [wellformed.name_fault(name)])
        yield from _each((("source", name, "url"), text) for text in [wellformed.url_fault(source.url)])
        if name == "self":
            yield ("source", name), 'reserved: "self" is the repository itself'
    for name, job in config.job.items():
        abstract = not job.command and name in bases
        faults: list[Found] = [
            _reference_faults(name, job, config, tables, known.get("job", set())),
            _source_faults(job, sources),
            _value_faults(job),
            _matrix_faults(job),
            _parameter_faults(job),
            _limit_faults(job),
        ]
        if not abstract:
            faults += [_command_faults(job), _template_faults(job)]
        said = {path: text for found in faults for path, text in found}
        # A value that is wrong in itself need not be called unsupported too.
        said = dict(_unsupported_faults(job)) | said
        for path, text in said.items():
            yield ("job", name, *path), text
        if text := wellformed.name_fault(name):
            yield ("job", name), text


def _each(pairs: Iterable[tuple[Path, str]]) -> Found:
    return (pair for pair in pairs if pair[1])


def _command_faults(job: Job) -> Found:
    if not job.command:
        yield ("command",), 'missing or empty; allowed: one command such as ["make", "check"]'
    elif not job.command[0].strip():
        yield ("command", 0), "found an empty string; allowed: the program to start"


def _reference_faults(name: str, job: Job, config: CitToml, tables: Mapping[str, Any], known: set[str]) -> Found:
    others = known - {name}
    if job.extends:
        if job.extends not in known:
            yield ("extends",), unknown("job", job.extends, others)
        elif name in (names := _extends_cycle(name, tables)):
            yield ("extends",), f"a cycle: {' -> '.join(names)}"
    for upstream in job.after:
        if upstream not in known:
            yield ("after", upstream), unknown("job", upstream, others)
        elif upstream in config.job and not config.job[upstream].command:
            yield ("after", upstream), f"job '{upstream}' has no command, it can only be extended"
    if cycle := _after_cycle(name, config):
        yield ("after", cycle[1]), f"a cycle: {' -> '.join(cycle)}"


def _extends_cycle(name: str, tables: Mapping[str, Any]) -> list[str]:
    """The cycle of `extends` that `name` itself is on, beginning and ending with it; or nothing."""
    names = chain(name, tables)
    back = tables[names[-1]].get("extends") if names else None
    return [*names, name] if back == name else []


def _after_cycle(name: str, config: CitToml) -> list[str]:
    """The shortest way from `name` through `after` back to it; or nothing."""
    ways = [[name]]
    seen = {name}
    while ways:
        way = ways.pop(0)
        job = config.job.get(way[-1])
        for upstream in job.after if job else ():
            if upstream == name:
                return [*way, name]
            if upstream not in seen:
                seen.add(upstream)
                ways.append([*way, upstream])
    return []


def _source_faults(job: Job, sources: set[str]) -> Found:
    known = sources | {"self"}
    if job.source.repo not in known:
        yield ("source", "repo"), unknown("source", job.source.repo, known)
    if job.source.ref and (text := wellformed.ref_fault(job.source.ref)):
        yield ("source", "ref"), text
    seen: list[str] = []
    for index, also in enumerate(job.source.also):
        path: Path = ("source", "also", index)
        if also.repo not in known:
            yield (*path, "repo"), unknown("source", also.repo, known)
        if also.ref and (text := wellformed.ref_fault(also.ref)):
            yield (*path, "ref"), text
        at = also.at.rstrip("/")
        if text := wellformed.path_fault(also.at) or (
            "" if plain_parts(at) else f"found {found_text(also.at)}; allowed: a folder of its own"
        ):
            yield (*path, "at"), text
        elif clash := [other for other in seen if f"{at}/".startswith(f"{other}/") or f"{other}/".startswith(f"{at}/")]:
            yield (*path, "at"), f"{found_text(at)} and {found_text(clash[0])} are in each other's way"
        seen.append(at)


def _value_faults(job: Job) -> Found:
    singles: list[tuple[Path, str, Callable[[str], str]]] = [
        (("requires", "os"), job.requires.os, wellformed.name_fault),
        (("requires", "arch"), job.requires.arch, wellformed.name_fault),
        (("trigger", "cron"), job.trigger.cron, wellformed.cron_fault),
        (("place", "executor"), job.place.executor, wellformed.name_fault),
    ]
    yield from _each((path, fault(value)) for path, value, fault in singles if value)
    yield from _each(
        [
            (("directory",), wellformed.path_fault(job.directory)),
            (("requires", "can_build"), job.requires.can_build and wellformed.path_fault(job.requires.can_build)),
        ]
    )
    yield from _each([(("trigger", "zone"), wellformed.zone_fault(job.trigger.zone))])
    yield from _each([(("place", "pool"), wellformed.name_fault(job.place.pool))])
    lists: list[tuple[Path, Iterable[str], Callable[[str], str]]] = [
        (("requires", "tools"), job.requires.tools, wellformed.tool_fault),
        (("requires", "labels"), job.requires.labels, wellformed.label_fault),
        (("trigger", "push"), job.trigger.push, wellformed.branch_glob_fault),
        (("trigger", "paths"), job.trigger.paths, wellformed.glob_fault),
        (("env", "pass"), job.env.pass_, wellformed.variable_fault),
        (("env", "secrets"), job.env.secrets, wellformed.variable_fault),
        (("keep", "artifacts"), job.keep.artifacts, wellformed.glob_fault),
        (("keep", "junit"), job.keep.junit, wellformed.glob_fault),
        (("keep", "readers"), job.keep.readers, wellformed.member_fault),
    ]
    lists += [
        (("after", upstream, "artifacts"), after.artifacts, wellformed.glob_fault)
        for upstream, after in job.after.items()
    ]
    for path, values, fault in lists:
        yield from _each(((*path, index), fault(value)) for index, value in enumerate(values))
    yield from _each((("env", "set", key), wellformed.variable_fault(key)) for key in job.env.set)
    yield from _secret_faults(job)
    kind, _, alias = job.place.as_.partition(":")
    if job.place.as_ not in ("agent", "requester") and not (kind == "alias" and not wellformed.name_fault(alias)):
        allowed = ["agent", "requester", "alias:NAME"]
        found = found_text(job.place.as_)
        yield ("place", "as"), f"found {found}{meant(job.place.as_, allowed) or ';'} allowed: {', '.join(allowed)}"


def _secret_faults(job: Job) -> Found:
    for index, name in enumerate(job.env.secrets):
        if name in job.env.set or name in job.env.pass_ or name in job.env.secrets[:index]:
            yield ("env", "secrets", index), f"{found_text(name)} twice; allowed: each variable once"
    if job.env.secrets and job.log.split:
        yield ("log", "split"), "found beside env.secrets; allowed: one of both, for parts write their logs themselves"


def _limit_faults(job: Job) -> Found:
    for path, value, least in (
        (("requires", "cpu"), job.requires.cpu, 1),
        (("limits", "time"), job.limits.time, 1),
        (("limits", "output"), job.limits.output, 1),
        (("limits", "attempts"), job.limits.attempts, 1),
        (("limits", "queue"), job.limits.queue, 1),
        (("keep", "days"), job.keep.days, 0),
    ):
        if value < least:
            yield path, f"found {value}; allowed: at least {least}"


def _matrix_faults(job: Job) -> Found:
    for name, values in job.matrix.items():
        yield from _each([(("matrix", name), wellformed.name_fault(name))])
        if not values:
            yield ("matrix", name), "found an empty array; allowed: at least one value"
        for index, value in enumerate(values):
            if not value or not value.isprintable():
                yield ("matrix", name, index), f"found {found_text(value)}; allowed: printable text, not empty"
            elif value in values[:index]:
                yield ("matrix", name, index), f"{found_text(value)} twice; allowed: each value once"
    cells = math.prod(len(values) for values in job.matrix.values())
    if cells > MAX_CELLS:
        yield ("matrix",), f"found {cells} cells; allowed: at most {MAX_CELLS}"
    yield from _same_variable("matrix", "matrix", job.matrix)


def _same_variable(kind: str, table: str, names: Iterable[str]) -> Found:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(variable(kind, name), name)
        if other != name:
            yield (table, name), f"{name!a} and {other!a} would be the same variable {variable(kind, name)}"


def _parameter_faults(job: Job) -> Found:
    started = bool(job.trigger.push or job.trigger.cron)
    for name, parameter in job.parameters.items():
        path: Path = ("parameters", name)
        wanted = TYPES[parameter.type]
        yield from _each([(path, wellformed.name_fault(name))])
        for index, choice in enumerate(parameter.choices):
            if type(choice) is not wanted:
                yield (*path, "choices", index), f"found {found_text(choice)}; allowed: a {parameter.type.value}"
        if not needs_value(parameter):
            yield from _each([((*path, "default"), value_fault(parameter, parameter.default))])
        elif started:
            yield path, "no default, so a trigger could not start the job; allowed: add one"
    yield from _same_variable("parameter", "parameters", job.parameters)


def needs_value(parameter: Parameter) -> bool:
    """Whether it has no default: none is written, and an empty string is none of its values."""
    return parameter.default == "" and value_fault(parameter, "") != ""


def value_fault(parameter: Parameter, value: object) -> str:
    """Why `value` is none of the parameter's values; empty if it is one."""
    allowed = ", ".join(found_text(choice) for choice in parameter.choices)
    if type(value) is not TYPES[parameter.type]:
        return f"found {found_text(value)}; allowed: {allowed or f'type {parameter.type.value}'}"
    if parameter.choices and value not in parameter.choices:
        return f"found {found_text(value)}{meant(value, map(str, parameter.choices)) or ';'} allowed: {allowed}"
    return ""


def _template_faults(job: Job) -> Found:
    known = [f"matrix.{name}" for name in job.matrix] + [f"parameter.{name}" for name in job.parameters]
    texts: list[tuple[Path, str]] = [(("command", index), word) for index, word in enumerate(job.command)]
    texts += [(("env", "set", key), value) for key, value in job.env.set.items()]
    for path, text in texts:
        for field in fields(text):
            if field not in known:
                yield path, unknown("field", field, known)


def _unsupported_faults(job: Job) -> Found:
    for entry in supported.NOT_YET:
        if entry.used(job):
            yield (entry.table, entry.key), supported.words(entry)
