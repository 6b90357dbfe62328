"""`penstock config check|init|import|reference|reload`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Role, Selection
from penstock_suite.surfaces.cli.options import (
    ConfigOption,
    JsonOption,
    StateOption,
    WithoutTritonOption,
    group,
    read_choice,
)
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json
from penstock_suite.surfaces.cli.reload import ReloadStack, add_reload

if TYPE_CHECKING:
    from penstock_common.faults import Fault
    from penstock_suite.domain.example import Examples
    from penstock_suite.domain.importing.deployment import Imported
    from penstock_suite.domain.verdict import Verdict

_LINE_WIDTH = 120
_STANDARD_OUTPUT = Path("-")
_OWNER_ALONE = 0o600

_CHECK_HELP = """Say whether a configuration can be used, with every fault at once: its file, line, key and remedy.

What `penstock up` refuses is refused here. Warnings change nothing, unless --strict. Exit code 2 where it cannot be used.
"""
_INIT_HELP = """Write a commented configuration to begin with; without --provider, for the demonstration model.

It can be used as it is, once the environment has the keys that it names.
"""
_IMPORT_HELP = """Write a configuration that does what LiteLLM's config.yaml does, and say what could not be carried.

Keys are written as variables of the environment, never by themselves. Keys, teams and spend in LiteLLM's database are not read.
"""
_RoleOption = Annotated[
    str | None, typer.Option("--role", metavar="ROLE", help="Look as `penstock serve ROLE` would: at its part alone.")
]


class VerdictOf(Protocol):
    """Looks at a configuration."""

    def __call__(self, selection: Selection, role: Role | None, *, show: bool) -> Verdict:
        """Return what is to be said of it, with its settings if they are to be shown."""
        ...


class Imports(Protocol):
    """Reads another gateway's file, and says it in our words."""

    def __call__(self, file: Path, to: str) -> tuple[Imported, str]:
        """Return what it says, and the text of our file, which is called ``to``."""
        ...


def config(
    verdict_of: VerdictOf,
    reference: Callable[[], str],
    reload_stack: ReloadStack,
    examples: Callable[[], Examples],
    import_litellm: Imports,
) -> typer.Typer:
    """Return the commands; ``reference`` returns the page of every key, ``examples`` an upstream for each provider."""
    cli = group("The configuration file.")
    _add_check(cli, verdict_of)
    _add_init(cli, examples)
    _add_import(cli, import_litellm)
    add_reload(cli, reload_stack)

    @cli.command(
        "reference", help="Print every key with its type, default and meaning, as docs/configuration.md has it."
    )
    def show_reference() -> None:
        with failures_told(as_json=False):
            typer.echo(reference(), nl=False)

    return cli


def _add_check(cli: typer.Typer, verdict_of: VerdictOf) -> None:
    @cli.command("check", help=_CHECK_HELP)
    def check(
        *,
        config: ConfigOption = None,
        state: StateOption = None,
        without_triton: WithoutTritonOption = False,
        role: _RoleOption = None,
        show: Annotated[
            bool, typer.Option("--show", help="Print the settings that take effect, secrets masked.")
        ] = False,
        strict: Annotated[bool, typer.Option("--strict", help="Take warnings for faults.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        asked = read_choice(role, "--role", Role) if role else None
        with failures_told(as_json=as_json):
            if role is not None and config is None:
                raise Misconfigured("--role needs --config: the packaged configuration is for one process")
            verdict = verdict_of(Selection(config, state, without_triton), asked, show=show)
            is_good = verdict.is_good and not (strict and verdict.warnings)
            _print_in_json(verdict, is_good=is_good) if as_json else _print(verdict)
            if not is_good:
                raise typer.Exit(ExitCode.MISCONFIGURED)


def _print_in_json(verdict: Verdict, *, is_good: bool) -> None:
    told = {"faults": verdict.faults, "warnings": verdict.warnings}
    shown = {} if verdict.settings is None else {"settings": verdict.settings}
    print_json({"ok": is_good, "source": verdict.source, "summary": verdict.summary, **told, **shown})


def _print(verdict: Verdict) -> None:
    """Write the verdict; what is wrong goes where errors go."""
    counts = [_counted(len(verdict.faults), "fault"), _counted(len(verdict.warnings), "warning")]
    beside = ", ".join(count for count in counts if count)
    errors = console(stderr=True)
    if verdict.is_good:
        typer.echo(
            f"{verdict.source} can be used: {verdict.summary}" + (f"; {beside}" if beside else ""),
            err=verdict.settings is not None,
        )
    else:
        errors.print(f"{escape(verdict.source)} cannot be used: {beside}")
    for fault in verdict.faults:
        errors.print(f"{_place(fault)}[bold red]error:[/] {escape(fault.message)}")
    for warning in verdict.warnings:
        errors.print(f"{_place(warning)}[yellow]warning:[/] {escape(warning.message)}")
    if verdict.settings is not None:
        import yaml

        typer.echo(yaml.safe_dump(verdict.settings, sort_keys=False, allow_unicode=True, width=_LINE_WIDTH), nl=False)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""


def _place(fault: Fault) -> str:
    return escape(f"{fault.file}:{fault.line}: " if fault.line else f"{fault.file}: " if fault.file else "")


def _add_init(cli: typer.Typer, examples: Callable[[], Examples]) -> None:
    @cli.command("init", help=_INIT_HELP)
    def init(
        *,
        provider: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME", help="Repeatable: a name that docs/providers.md has."),
        ] = None,
        to: Annotated[
            Path, typer.Option("--to", metavar="FILE", help="Where to write it; '-' is standard output.")
        ] = Path("penstock.yaml"),
        force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        from penstock_suite.domain.example import example_configuration

        with failures_told(as_json=as_json):
            (known, has_weights), providers = examples(), provider or ["triton"]
            if unknown := [name for name in providers if name not in known]:
                raise Misconfigured(
                    f"there is no example for the provider '{unknown[0]}'; there are {', '.join(known)}"
                )
            chosen = [known[name] for name in providers]
            _write(to, example_configuration(chosen, str(to), has_weights=has_weights), force=force)
            variables = dict.fromkeys(example.variable for example in chosen if example.variable)
            unset = [name for name in variables if not os.environ.get(name)]
            if as_json and to != _STANDARD_OUTPUT:
                print_json({"file": str(to), "providers": providers, "unset_variables": unset})
                return
            for name in unset:
                note(f"Set {name} before it is used.")
            if to != _STANDARD_OUTPUT:
                note(f"Wrote {to}. Next: penstock up --config {to}")


def _add_import(cli: typer.Typer, read: Imports) -> None:
    importing = group("Write a configuration from another gateway's.")
    cli.add_typer(importing, name="import")

    @importing.command("litellm", help=_IMPORT_HELP)
    def import_litellm(
        *,
        file: Annotated[Path, typer.Argument(metavar="FILE", help="LiteLLM's config.yaml.")],
        to: Annotated[
            Path, typer.Option("--to", metavar="FILE", help="Where to write ours; '-' is standard output.")
        ] = Path("penstock.yaml"),
        force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found, text = read(file, "penstock.yaml" if to == _STANDARD_OUTPUT else str(to))
            _write(to, text, force=force)
            unset = [name for name in found.variables if not os.environ.get(name)]
            if as_json and to != _STANDARD_OUTPUT:
                print_json({"file": str(to), "not_carried": found.notes, "unset_variables": unset})
                return
            for left in found.notes:
                note(f"Not carried: {left}")
            for name in unset:
                note(f"Set {name} before it is used.")
            if to != _STANDARD_OUTPUT:
                note(f"Wrote {to}. Next: penstock config check --config {to}")


def _write(to: Path, text: str, *, force: bool) -> None:
    if to == _STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
        # A key may be written into it later.
        with os.fdopen(os.open(to, flags, _OWNER_ALONE), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Misconfigured(f"{to} is there already: name another file with --to, or replace it with --force") from None
    except OSError as error:
        raise SuiteFailure(f"{to}: {error.strerror}") from None
