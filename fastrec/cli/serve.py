"""``fastrec serve``: serve a model over HTTP."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.groups import groups_options
from fastrec.cli.options import Duplicates, KeyFile, NewIds, OnUnknown
from fastrec.online.plan import SchedulePlan
from fastrec.permissions import parse_mode


def check_sources(given: list[str]) -> list[str]:
    """Returns the addresses of models: addresses of a store, or files or folders that exist."""
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
        help="A model file, or a folder or s3://… address of published versions. Several models each "
        "answer their --share of the users.",
    ),
]
JournalAddress = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="ADDRESS",
        envvar="FASTREC_JOURNAL",
        help="Journal of the events: a file, created if it does not exist, or postgresql://… for several machines.",
    ),
]
VersionsAddress = Annotated[
    str | None,
    typer.Option(
        "--versions",
        metavar="ADDRESS",
        help="Publish new models in this folder or s3://… address, with MODEL as the first version.",
    ),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        file_okay=False, help="Folder of this machine for versions from a store. Default: the user's cache folder."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="A file with one token per line: read, write or admin, and the token."
    ),
]
UserShares = Annotated[
    str | None,
    typer.Option("--share", metavar="A,B,…", help="Part of the users that each of several MODELs answers."),
]
AccessLog = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Append a line of JSON for each request to this file; - is stdout."),
]
RateLimit = Annotated[
    float | None,
    typer.Option(min=0.001, help="Requests per second that each token or address may send to each worker."),
]
ScenariosFile = Annotated[
    Path | None,
    typer.Option("--scenarios", exists=True, dir_okay=False, help="A TOML or JSON file of named requests."),
]
Exploring = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the recommendations in which some places are filled at random.")
]
DrainSeconds = Annotated[
    float, typer.Option(min=0, max=3600, help="Seconds after SIGTERM in which requests are still accepted.")
]
UnknownIds = Annotated[
    OnUnknown,
    typer.Option(help="Answer to unknown ids, unless the request says it: popular items, or an error."),
]
Merging = Annotated[
    Duplicates | None,
    typer.Option(
        help="Way to combine several events of one user and item.",
        show_default="last for models of ratings, otherwise sum",
    ),
]


def schedule_options(
    checkpoint_every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between updates of the model's items; needs versions.")
    ] = None,
    refit_every: Annotated[float | None, typer.Option(min=1, help="Seconds between refits; needs versions.")] = None,
    refit_share: Annotated[
        float | None, typer.Option(min=0.001, help="Refit when new events reach this share of the training data.")
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


def ids_options(
    new_users: Annotated[
        NewIds,
        typer.Option(
            help="Once there are more than twice the users of the last fit: hold new users, refuse them, or take all."
        ),
    ] = NewIds.hold,
    new_items: Annotated[NewIds, typer.Option(help="The same for new items.")] = NewIds.hold,
    support: Annotated[int, typer.Option(min=1, help="Number of users after which a new item is no longer held.")] = 5,
    pseudonym_key_file: KeyFile = None,
) -> dict[str, Any]:
    """Returns the group of options that say how new ids are admitted, and by what key users have pseudonyms."""
    key = None
    if pseudonym_key_file is not None:
        from fastrec.data.pseudonyms import read_key  # with all of fastrec.data, for which a start would wait

        key = read_key(pseudonym_key_file)
    return {"pseudonym_key": key, "new_users": new_users.value, "new_items": new_items.value, "support": support}


@app.command(epilog=examples("fastrec serve model.fastrec --journal events.db"))
@groups_options(schedule=schedule_options, ids=ids_options)
def serve(
    models: ServedModels,
    *,
    journal: JournalAddress = None,
    versions: VersionsAddress = None,
    cache: CacheFolder = None,
    share: UserShares = None,
    share_key: Annotated[str, typer.Option(help="Key of the random draw of users for the shares.")] = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes, which share the memory of a folder's model.")] = 1,
    token_file: TokenFile = None,
    access_log: AccessLog = None,
    rate_limit: RateLimit = None,
    scenarios: ScenariosFile = None,
    explore: Exploring = 0.0,
    on_unknown: UnknownIds = OnUnknown.popular,
    duplicates: Merging = None,
    schedule: SchedulePlan,
    drain: DrainSeconds = 1.0,
    mode: Annotated[
        str, typer.Option(help="Permissions of the files that the server makes: 660 lets the group share them.")
    ] = "600",
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Start without the journal's damaged events, which are lost.")
    ] = False,
    ids: dict[str, Any],
    force: Annotated[
        bool, typer.Option("--force", help="Accept a model that does not fit the previous one or the journal.")
    ] = False,
) -> None:
    """Serve a model over HTTP.

    A page at the address lets you try the model. Posted events change the next answers.
    """
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
        explore=explore,
        **ids,
        force=force,
    )
    run_server(settings, versions=versions, port=port, workers=workers, token_file=token_file)
