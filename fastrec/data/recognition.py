"""The roles of a table's columns: given by the caller, or recognised by their usual names."""

import re
import unicodedata
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

Selector = str | int | bool | None


class Roles(NamedTuple):
    """The places of the columns in a table; None: there is none."""

    user: int
    item: int
    value: int | None
    time: int | None
    event: int | None = None


class ItemRoles(NamedTuple):
    """The places of the columns in a table about items; None: there is none."""

    item: int
    title: int | None


# Names are compared without case, accents, underscores, spaces and the part after a colon ("user_id:token" is
# "userid"). A name of an earlier group wins over one of a later group; two names of one group are ambiguous, and the
# caller must choose.
_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "user userid uid",
        "username userindex useridx visitor visitorid customer customerid reviewer reviewerid member memberid "
        "account accountid profile profileid person personid client clientid buyer buyerid shopper shopperid "
        "listener listenerid reader readerid player playerid consumerid panelistid",
        "customerno customernumber custid custno userno usernumber clientno clientnumber memberno membernumber "
        "accountno accountnumber buyerno buyernumber",
        "email emailaddress useremail customeremail",
        "session sessionid household householdid householdkey",
        "kunde kundin kundenid kundennr kundennummer nutzer nutzerid benutzer benutzerid utilisateur idutilisateur "
        "utilisateurid idclient usuario idusuario usuarioid cliente idcliente clienteid",
    ),
    "item": (
        "item itemid iid",
        "parentasin",
        "movie movieid film filmid product productid asin sku stockcode book bookid isbn track trackid song songid "
        "artist artistid album albumid anime animeid article articleid business businessid gmapid game gameid app "
        "appid video videoid venue venueid location locationid poi poiid place placeid news newsid recipe recipeid "
        "restaurant restaurantid course courseid joke jokeid ad adid stream streamid photo photoid post postid "
        "offer offerid hotel hotelid itemindex itemidx content contentid show showid podcast podcastid "
        "lineitemsku",
        "itemno itemnumber productno productnumber articleno articlenumber partno partnumber",
        "isbn13 isbn10 ean ean13 gtin gtin13 gtin14 upc barcode",
        "artikel artikelid artikelnr artikelnummer produkt produktid produktnr produktnummer produit idproduit "
        "produitid idarticle producto idproducto productoid articulo idarticulo articuloid",
    ),
    "value": (
        "value rating ratings",
        "score stars overall bookrating userrating",
        "count counts plays playcount nplays listens listencount weight weights quantity qty strength freq frequency "
        "confidence preference lineitemquantity",
        "hours hoursplayed playedhours playtime playtimeforever minutes minutesplayed playedminutes watchtime",
        "menge anzahl bewertung quantite cantidad puntuacion",
    ),
    "time": (
        "time timestamp ts",
        "date datetime eventtime unixreviewtime createdat ratedat boughtat purchasedat orderedat viewedat playedat "
        "visitedat addedat occurredat happenedat paidat purchasetime ordertime reviewdate reviewtime checkintime "
        "utctime timestampms unixtime when invoicedate orderdate purchasedate",
        "datum zeit zeitpunkt zeitstempel bestelldatum kaufdatum fecha",
    ),
    "event": (
        "event eventtype eventname",
        "action actiontype behavior behaviortype behaviour behaviourtype interactiontype interaction",
        "ereignis evenement evento",
    ),
    "title": (
        "title",
        "name itemname itemtitle productname producttitle moviename movietitle filmtitle booktitle songtitle songname "
        "tracktitle trackname artistname albumtitle albumname gamename gametitle appname animename originaltitle "
        "displayname",
        "titel bezeichnung artikelbezeichnung produktname artikelname titre titulo",
    ),
    "item id": ("id",),
}
# A table with such a column and without one of users has orders, whose users are in another table.
_ORDERS = (
    "order orderid orderno ordernumber invoice invoiceno invoicenumber invoiceid basket basketid transaction "
    "transactionid receipt receiptid"
)
_OPTIONAL = ("value", "time", "event")
_NUMBER_OR_DATE = re.compile(
    r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
    r"|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}.*"
)
# What data shows beside the columns with a role: the columns without one, and the rows that were left out.
UNREAD, DROPPED = "not read", "left out"


def recognise(
    names: Sequence[str],
    *,
    user: Selector,
    item: Selector,
    value: Selector,
    time: Selector,
    event: Selector = False,
) -> Roles:
    """Returns the columns of the roles, as given by the caller or recognised by their names.

    Raises
    ------
    ValueError
        If a named column does not exist, a role is not recognised or fits several columns, or two roles share one.

    Examples
    --------
    >>> recognise(["userId", "movieId", "rating"], user=None, item=None, value=None, time=None)
    Roles(user=0, item=1, value=2, time=None, event=None)
    """
    asked = {"user": user, "item": item, "value": value, "time": time, "event": event}
    found = {role: _find_named(role, selector, names) for role, selector in asked.items() if selector is not None}
    for role, selector in asked.items():
        if selector is None:
            found[role] = _find_usual(role, names, {place for place in found.values() if place is not None})
    for role in ("user", "item"):
        if found[role] is None:
            raise ValueError(f"no {role} column was recognised among {_quote(names)}: {_advise(role, names, found)}")
    places = [place for place in found.values() if place is not None]
    if len(set(places)) < len(places):
        raise ValueError(f"user, item, value, time and event must be different columns, got {found}")
    return Roles(**found)  # type: ignore[arg-type]


def _advise(role: str, names: Sequence[str], found: Mapping[str, int | None]) -> str:
    """Advises a caller whose table has no column of a role."""
    if any(map(_is_no_name, names)):
        return (
            "the first line is not a header: give the columns by number, from 0, and header=False, such as user=0, "
            "item=1, header=False"
        )
    if role == "user" and any(name in _ORDERS.split() for name in map(_plain, names)):
        return (
            "if another table has the users of the orders, join the two first (in pandas: "
            "frame.merge(orders, on=…)); to make each order a user, name its column with user=…"
        )
    if role == "item" and len(names) > 2 and sum(place is not None for place in found.values()) == 1:
        return "name it with item=…, or, if every further column is an item and its cells are values, give wide=True"
    both = ", and the one of items with item=…" if role == "user" and found["item"] is None else ""
    return (
        f"name it with {role}=…{both}, or, if the first line of the file is not a header, give column numbers and "
        "header=False"
    )


def recognise_item_columns(names: Sequence[str], *, item: Selector, title: Selector) -> ItemRoles:
    """Returns the columns of ids and titles in a table about items, as given by the caller or recognised by their
    names.

    Raises
    ------
    ValueError
        If a named column does not exist, or no column of ids is recognised.

    Examples
    --------
    >>> recognise_item_columns(["ISBN", "Book-Title", "Book-Author"], item=None, title=None)
    ItemRoles(item=0, title=1)
    """
    places = _find_all("item", names) or _find_all("item id", names)
    if item is not None:
        places = [find_column_by("items_id", item, names)]
    if len(places) != 1:
        could_be = f"could be any of {_quote([names[place] for place in places])}" if places else "was not recognised"
        raise ValueError(f"the column of item ids {could_be} among {_quote(names)}: name it with items_id=…")
    titles = _find_all("title", names, places) if title is None else [find_column_by("title", title, names)]
    return ItemRoles(places[0], titles[0] if titles else None)


def begins_with_header(first: Sequence[str], header: bool | None, chosen: Mapping[str, Selector]) -> bool:
    """Tells whether the first line of a file names its columns: as given by the caller, or by its look.

    Columns that are not chosen by number have names, so there is a header. If both ids are chosen by number, a line
    with a number in place of a name is an interaction.

    Raises
    ------
    ValueError
        If the line does not show it.

    Examples
    --------
    >>> chosen = {"user": 0, "item": 1}
    >>> [begins_with_header(line, None, chosen) for line in (["196", "242", "3"], ["userId", "movieId", "x"])]
    [False, True]
    """
    if header is not None:
        return header
    if not all(type(chosen.get(role)) is int for role in ("user", "item")):
        return True
    fields = [first[place] for place in chosen.values() if type(place) is int and 0 <= place < len(first)]
    if any(map(_is_no_name, fields)):
        return False
    if all(_find_all(role, [name]) for role, name in zip(("user", "item"), fields, strict=False)):
        return True
    if any(map(_is_no_name, first)):
        return False
    raise ValueError(
        f"the first line, {_quote(first)}, may name the columns or be the first interaction: give "
        "header=True or header=False (--header or --no-header)"
    )


def _is_no_name(field: str) -> bool:
    """Tells whether a field is a number or a date, which values are and names are not."""
    return _NUMBER_OR_DATE.fullmatch(field.strip()) is not None


def refuse_table(X: Any, name: str) -> None:
    """Raises a TypeError if X is a table of interactions, a row for each, instead of a matrix of users and items.

    >>> refuse_table([[1, 0], [0, 1]], "X")
    """
    columns = [str(column) for column in getattr(X, "columns", ())]
    if 2 <= len(columns) <= 20 and _find_all("user", columns) and _find_all("item", columns):
        raise TypeError(
            f"{name} must be Interactions or a matrix of shape (n_users, n_items), got a table with the columns "
            f"{_quote(columns)}: make Interactions from it with fastrec.read_interactions(…)"
        )


def _find_named(role: str, selector: Selector, names: Sequence[str]) -> int | None:
    return None if selector is False and role in _OPTIONAL else find_column_by(role, selector, names)


def find_column_by(role: str, selector: Selector, names: Sequence[str]) -> int:
    """Returns the place of the column that a caller gives by name or number; `role` is its name in errors.

    >>> find_column_by("user", "who", ["when", "who"]), find_column_by("user", 0, ["when", "who"])
    (1, 0)
    """
    if isinstance(selector, bool) or not isinstance(selector, (str, int)):
        raise TypeError(f"{role} must be the name or number of a column, got {selector!r}")
    if isinstance(selector, int):
        if not 0 <= selector < len(names):
            raise ValueError(f"{role} must be a column from 0 to {len(names) - 1}, got {selector}")
        return selector
    same = [place for place, name in enumerate(names) if name == selector]
    if not same:
        raise ValueError(f"there is no column {selector!r} for {role}: the columns are {_quote(names)}")
    if len(same) > 1:
        raise ValueError(f"{len(same)} columns are named {selector!r}: give the number of the {role} column")
    return same[0]


def _find_usual(role: str, names: Sequence[str], taken: set[int]) -> int | None:
    places = _find_all(role, names, taken)
    if len(places) > 1:
        raise ValueError(
            f"the {role} column could be any of {_quote([names[place] for place in places])}: name it with {role}=…"
        )
    return places[0] if places else None


def _find_all(role: str, names: Sequence[str], taken: Container[int] = ()) -> list[int]:
    """Returns the places of the names of the first group that has any."""
    plain = [_plain(name) for name in names]
    found = ([p for p, name in enumerate(plain) if name in group.split() and p not in taken] for group in _NAMES[role])
    return next((places for places in found if places), [])


def _plain(name: str) -> str:
    """Returns a name in the form in which names are compared."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", name.split(":")[0]).lower())


def _quote(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) if names else "no columns at all"
