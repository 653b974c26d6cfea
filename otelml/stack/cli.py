"""``otelml stack``: build, start, watch, check and stop the collector, Prometheus, Jaeger, Loki and Alertmanager."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.errors import OtelmlError
from otelml.stack import build, docker, native, places, ports, processes, secret_files, verify
from otelml.stack.native import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader

    from otelml.stack.places import State

OK, FAULTY, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
FOLLOW_SECONDS = 0.2


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``otelml stack``; return 0, 1 when something is down or was not found, 2 on misuse."""
    options = _parser().parse_args(argv)
    if options.function is None:
        _parser().print_help()
        return OK
    os.umask(0o077)
    try:
        return int(options.function(options))
    except OtelmlError as error:
        print(error, file=sys.stderr)
        return FAULTY
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it exits
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otelml stack", description=(__doc__ or "").replace("``", ""))
    parser.set_defaults(function=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--state", type=Path, metavar="DIR", help="keep everything here (XDG_STATE_HOME/otelml/stack)")

    def add(name: str, function: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[shared])
        command.set_defaults(function=function)
        return command

    made = add("build", _build, "compile the binaries that are missing, into the user's cache")
    made.add_argument("--jobs", type=int, metavar="N", help="modules at a time (2, or 1 with little memory)")
    made.add_argument("modules", nargs="*", metavar="MODULE", help="these alone, such as prometheus")
    extra = [module.name for module in build.EXTRA]
    made.add_argument(
        "--with", dest="extra", action="append", default=[], choices=extra, help="and what only tests need"
    )
    start = add("up", _up, "start everything and wait until it is ready")
    start.add_argument("--port-offset", type=int, default=0, metavar="N", help="add N to every port")
    start.add_argument(
        "--port", action="append", default=[], metavar="NAME=N", help=f"one port: {', '.join(ports.DEFAULT)}"
    )
    start.add_argument(
        "--overlay",
        action="append",
        default=[],
        metavar="NAME",
        help="lay a file of collector/overlays over the collector's configuration",
    )
    start.add_argument("--docker", action="store_true", help="run official images with docker compose instead")
    ended = add("down", _down, "stop everything; what was stored stays")
    ended.add_argument("--delete", action="store_true", help="delete what was stored, too, and the secrets")
    add("status", _status, "list the processes and how they are")
    add("env", _env, 'print what points a service here, for: eval "$(otelml stack env)"')
    told = add("logs", _logs, "print what the processes say")
    told.add_argument("name", nargs="?", choices=native.names(), help="of this one alone")
    told.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    told.add_argument("-n", "--lines", type=int, default=40, metavar="N", help="last lines of each (40)")
    add("verify", _verify, "send one prediction and read it back from Prometheus, Jaeger and Loki")
    return parser


def _state(options: argparse.Namespace) -> State:
    return places.State(options.state or places.default_state())


def _say(line: str) -> None:
    print(line, flush=True)


# build ----------------------------------------------------------------------------------------------------------


def _build(options: argparse.Namespace) -> int:
    known = {module.name: module for module in (*build.MODULES, *build.EXTRA)}
    unknown = [name for name in options.modules if name not in known]
    if unknown:
        print(f"no such module: {', '.join(unknown)}; there are {', '.join(sorted(known))}", file=sys.stderr)
        return BAD_INPUT
    names = [*(options.modules or [module.name for module in build.MODULES]), *options.extra]
    wanted = [known[name] for name in dict.fromkeys(names)]
    build.build(build.missing(wanted), options.jobs, _say)
    for module in wanted:
        for name in module.binaries:
            print(build.directory(module) / name)
    return OK


# up, down, status -----------------------------------------------------------------------------------------------


def _up(options: argparse.Namespace) -> int:
    state = _state(options)
    state.make()
    with native.alone(state):
        kept = Plan.read(state)
        if options.docker:
            return _up_docker(options, state, kept)
        plan = _plan(options, kept if native.running(state) else None)
        if plan is None:
            return BAD_INPUT
        build.build(build.missing(), None, _say)
        native.up(state, plan, _say)
    _print_next(state, plan)
    return OK


def _plan(options: argparse.Namespace, kept: Plan | None) -> Plan | None:
    """Return what to start with: what runs already, or as asked; None when the two differ."""
    asked = Plan(ports.choose(options.port_offset, options.port), tuple(options.overlay))
    if kept is None:
        return asked
    given = options.port_offset or options.port or options.overlay
    if given and kept != asked:
        print("It runs already, with other ports or overlays: otelml stack down, then up again.", file=sys.stderr)
        return None
    return kept


def _up_docker(options: argparse.Namespace, state: State, kept: Plan | None) -> int:
    if options.overlay:
        print("--docker takes no --overlay: add it to the command of otelcol in docker-compose.yml", file=sys.stderr)
        return BAD_INPUT
    if native.running(state):
        print("It runs already, as processes: otelml stack down, then up --docker.", file=sys.stderr)
        return BAD_INPUT
    plan = Plan(ports.choose(options.port_offset, options.port), docker=True)
    if kept is not None and kept.docker and not (options.port_offset or options.port):
        plan = kept
    docker.check()
    plan.write(state)  # before anything starts: `down` ends what a start that fails leaves
    if docker.up(state, plan.ports, _say):
        return FAULTY
    _print_next(state, plan)
    return OK


def _print_next(state: State, plan: Plan) -> None:
    http, grpc = plan.ports["otlp-http"], plan.ports["otlp-grpc"]
    where = "" if state.root == places.default_state() else f" --state {state.root}"
    print(f"\nOTLP at http://{ports.LOOPBACK}:{http} (HTTP) and {ports.LOOPBACK}:{grpc} (gRPC); state in {state.root}")
    print("Point a service at it, then check the whole way:\n")
    print(f'  eval "$(otelml stack env{where})"\n  otelml stack verify{where}')
    if plan.docker:
        print(f"\nGrafana: {docker.grafana()} as admin, with the password in {state.secrets / 'grafana_password'}")
    print(f"\nIt runs on by itself. Stop it with: otelml stack down{where}")


def _env(options: argparse.Namespace) -> int:
    state = _state(options)
    plan = native.planned(state)
    secret_files.token(state)
    print(f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{ports.LOOPBACK}:{plan.ports['otlp-http']}")
    print(f'export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20$(cat "{state.token_file}")"')
    print("export OTEL_METRIC_EXPORT_INTERVAL=15000")
    return OK


def _down(options: argparse.Namespace) -> int:
    state = _state(options)
    if not state.run.is_dir():
        print(f"nothing was started in {state.root}")
        return OK
    with native.alone(state):
        plan = Plan.read(state)
        if plan is not None and plan.docker:
            code = docker.compose(state, plan.ports, "down", *(["--volumes"] if options.delete else []))
        else:
            code = _down_native(state)
        if options.delete and code == OK:
            docker.delete_settings(state)
            native.delete(state)
            print(f"deleted what was stored in {state.root}")
    return code


def _down_native(state: State) -> int:
    begun = time.monotonic()
    ended, killed = native.down(state)
    if not ended:
        print("nothing runs")
        return OK
    print(f"stopped {', '.join(ended)} in {time.monotonic() - begun:.1f} s")
    if killed:
        print(f"had to be killed after {native.STOP_SECONDS:.0f} s: {', '.join(killed)}", file=sys.stderr)
    return FAULTY if killed else OK


def _status(options: argparse.Namespace) -> int:
    state = _state(options)
    plan = native.planned(state)
    if plan.docker:
        return docker.compose(state, plan.ports, "ps")
    rows = native.conditions(state, plan)
    print(f"{'NAME':13} {'STATE':9} {'PID':>8} {'UP':>10} {'MEMORY':>9}  ADDRESS")
    for row in rows:
        up = f"{row.seconds:.0f} s" if row.pid else "-"
        memory = f"{row.memory / (1 << 20):.0f} MiB" if row.pid else "-"
        print(f"{row.name:13} {row.state:9} {row.pid or '-':>8} {up:>10} {memory:>9}  {row.address}")
    return OK if all(row.state == "ready" for row in rows) else FAULTY


# logs -----------------------------------------------------------------------------------------------------------


def _logs(options: argparse.Namespace) -> int:
    state = _state(options)
    plan = native.planned(state)
    names = [options.name] if options.name else native.names()
    if plan.docker:
        return docker.compose(
            state,
            plan.ports,
            *("logs", f"--tail={options.lines}"),
            *(["--follow"] if options.follow else []),
            *([options.name] if options.name else []),
        )
    open_files: list[tuple[str, BufferedReader]] = []
    for name in names:
        log = state.logs / f"{name}.log"
        lines = processes.last_lines(log, options.lines)
        if log.is_file():
            open_files.append((name, log.open("rb")))
            open_files[-1][1].seek(0, os.SEEK_END)
        _print_lines(name, lines, alone=len(names) == 1)
    while options.follow:
        for name, file in open_files:
            _print_lines(name, file.read().decode("utf-8", "replace").splitlines(), alone=len(names) == 1)
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
    return OK


def _print_lines(name: str, lines: list[str], *, alone: bool) -> None:
    for line in lines:
        print(line if alone else f"{name:13} {line}")


# verify ---------------------------------------------------------------------------------------------------------


def _verify(options: argparse.Namespace) -> int:
    state = _state(options)
    plan = native.planned(state)
    findings = verify.verify(plan.ports, secret_files.token(state))
    for finding in findings:
        print(f"{'ok' if finding.found else 'FAULT':6} {finding.store:11} {finding.what}\n{'':18} {finding.link}")
    lost = [finding.store for finding in findings if not finding.found]
    if lost:
        print(
            f"\nThe collector took it, and after {verify.FIND_SECONDS:.0f} s it is not in {', '.join(lost)}.\n"
            "See: otelml stack status, otelml stack logs otelcol",
            file=sys.stderr,
        )
    return FAULTY if lost else OK
