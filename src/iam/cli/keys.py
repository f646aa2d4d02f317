"""Signing keys from the command line."""

from typing import Annotated

import typer

from iam.cli.database import opened_database
from iam.cli.output import print_rows
from iam.kernel.clock import system_clock, to_iso
from iam.kernel.events import OPERATOR
from iam.kernel.secrets import system_random

app = typer.Typer(help="Signing keys: list, rotate.", no_args_is_help=True)


@app.command("list")
def list_keys() -> None:
    """List the keys that tokens are signed with, by what they are for now."""
    from iam.keys import load_keys, signer
    from iam.keys.cipher import open_cipher
    from iam.keys.signing import ALGORITHMS, in_order

    with opened_database() as (settings, database):
        cipher, now = open_cipher(settings), system_clock()
        found = in_order(database.read(lambda c: load_keys(c, cipher)), now)
    signing = {signer(found, one).id for one in ALGORITHMS}
    rows = [
        (
            one.id,
            one.algorithm,
            "signs" if one.id in signing else "next" if one.active_at > now else "verifies",
            to_iso(one.created_at),
            to_iso(one.active_at),
        )
        for one in found
    ]
    print_rows("Signing keys", ("key", "algorithm", "state", "created", "signs from"), rows)


@app.command("rotate")
def rotate_keys(
    now: Annotated[
        bool, typer.Option("--now", help="Sign at once, and forget the former keys.")
    ] = False,
) -> None:
    """Make new keys: published now, they sign a quarter of an hour later, on all nodes."""
    from iam.keys.cipher import open_cipher
    from iam.keys.rotation import rotate

    with opened_database() as (settings, database):
        made = rotate(
            database,
            open_cipher(settings),
            at_once=now,
            actor=OPERATOR,
            now=system_clock(),
            random=system_random,
        )
    for one in made:
        print(f"{one.id}  {one.algorithm}  signs from {to_iso(one.active_at)}")
