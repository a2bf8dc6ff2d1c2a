"""``fastrec serve``: a model over HTTP."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fastrec.cli.app import app
from fastrec.cli.groups import groups_options
from fastrec.cli.options import Duplicates, NewIds, OnUnknown
from fastrec.online.plan import SchedulePlan
from fastrec.permissions import parse_mode


def check_sources(given: list[str]) -> list[str]:
    """The addresses of models: of a store, or of files or folders that are there."""
    from fastrec.online.opening import is_store

    for source in given:
        if not is_store(source) and not Path(source).exists():
            raise typer.BadParameter(f"Path {source!r} does not exist.")
    return given


ServedModels = Annotated[
    list[str],
    typer.Argument(
        callback=check_sources,
        metavar="MODEL",
        help="A model file, or published versions: a folder, or s3://…. Of several each answers its --share of users.",
    ),
]
JournalAddress = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="ADDRESS",
        envvar="FASTREC_JOURNAL",
        help="Where events are kept: a file, made if it is not there, or postgresql://… for several machines.",
    ),
]
VersionsAddress = Annotated[
    str | None,
    typer.Option(
        "--versions", metavar="ADDRESS", help="Publish new models in this folder or s3://…, MODEL as the first."
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        file_okay=False, help="Where versions from a store are kept on this machine; else the user's cache folder."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="A file with tokens, a line each: read, write or admin, and a token."
    ),
]
UserShares = Annotated[
    str | None,
    typer.Option("--share", metavar="A,B,…", help="The part of the users that each of several MODELs answers."),
]
AccessLog = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Add a line of JSON for each request to this file; - is standard output."),
]
RateLimit = Annotated[
    float | None,
    typer.Option(min=0.001, help="Requests a second that each token, or address, may send to each worker."),
]
ScenariosFile = Annotated[
    Path | None,
    typer.Option("--scenarios", exists=True, dir_okay=False, help="Requests by name: a file of TOML or JSON."),
]
UnknownIds = Annotated[
    OnUnknown,
    typer.Option(help="What unknown ids get, unless a request says it: what is popular, or an error."),
]
Merging = Annotated[
    Duplicates | None,
    typer.Option(
        help="What several events of one user and item add up to.",
        show_default="last for models of ratings, else sum",
    ),
]


def schedule_options(
    checkpoint_every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between updates of the model's items; needs versions.")
    ] = None,
    refit_every: Annotated[float | None, typer.Option(min=1, help="Seconds between refits; needs versions.")] = None,
    refit_share: Annotated[
        float | None, typer.Option(min=0.001, help="Refit when new events are this share of the training data.")
    ] = None,
    refit_drift: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Refit when the NDCG@10 of new events has fallen by this share."),
    ] = None,
) -> SchedulePlan:
    """The group of options that say when new models are made."""
    return SchedulePlan(
        checkpoint_every=checkpoint_every, refit_every=refit_every, refit_share=refit_share, refit_drift=refit_drift
    )


def admission_options(
    new_users: Annotated[
        NewIds, typer.Option(help="New users beyond twice those of the last fit: held, refused, or all taken.")
    ] = NewIds.hold,
    new_items: Annotated[NewIds, typer.Option(help="New items, likewise.")] = NewIds.hold,
    support: Annotated[int, typer.Option(min=1, help="An item that so many users have had is not held.")] = 5,
) -> dict[str, Any]:
    """The group of options that say what becomes of new ids."""
    return {"new_users": new_users.value, "new_items": new_items.value, "support": support}


@app.command(epilog="Example:  fastrec serve model.fastrec --journal events.db")
@groups_options(schedule=schedule_options, admission=admission_options)
def serve(
    models: ServedModels,
    *,
    journal: JournalAddress = None,
    versions: VersionsAddress = None,
    cache: CacheFolder = None,
    share: UserShares = None,
    share_key: Annotated[str, typer.Option(help="Another key chooses other users for the shares.")] = "",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; they share the memory of a folder's model.")] = 1,
    token_file: TokenFile = None,
    access_log: AccessLog = None,
    rate_limit: RateLimit = None,
    scenarios: ScenariosFile = None,
    on_unknown: UnknownIds = OnUnknown.popular,
    duplicates: Merging = None,
    schedule: SchedulePlan,
    drain: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds in which requests are still taken after SIGTERM.")
    ] = 1.0,
    mode: Annotated[
        str, typer.Option(help="Permissions of the files that it makes: 660 lets the group share them.")
    ] = "600",
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Begin without the journal's damaged events, which are lost.")
    ] = False,
    admission: dict[str, Any],
    force: Annotated[
        bool, typer.Option("--force", help="Take a model that does not fit the one before it, or the journal.")
    ] = False,
) -> None:
    """Serve a model over HTTP, with a page to try it; events posted to it count at once."""
    try:
        from fastrec.serving import Settings
        from fastrec.serving.run import run_server
        from fastrec.serving.scenarios import read_scenarios
        from fastrec.serving.shares import parse_shares
    except ModuleNotFoundError as error:
        raise ValueError(f"serving needs more packages ({error.name}): pip install 'fastrec[serve]'") from None
    settings = Settings(
        model=models[0],
        beside=tuple(models[1:]),
        shares=(1.0,) if share is None else parse_shares(share),
        share_key=share_key,
        journal=journal,
        cache=None if cache is None else str(cache),
        host=host,
        on_unknown=on_unknown.value,
        duplicates=None if duplicates is None else duplicates.value,
        **schedule.options(),
        access_log=access_log,
        rate_limit=rate_limit,
        drain=drain,
        mode=parse_mode(mode),
        skip_damaged=skip_damaged,
        scenarios={} if scenarios is None else read_scenarios(scenarios),
        **admission,
        force=force,
    )
    run_server(settings, versions=versions, port=port, workers=workers, token_file=token_file)
