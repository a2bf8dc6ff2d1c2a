"""Ids on the command line: texts, files of texts and titles become ids of a model."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a list of ids. A line ends at a line feed; blanks around it are removed, as in a table."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: it has the byte 0x{content[error.start]:02x}") from None
    lines = (line.removesuffix("\r").strip(" \t") for line in text.split("\n"))
    return [line for line in lines if line]


def parse_ids(texts: Iterable[str], vocabulary: Any, side: str, skip: bool = False) -> list[Any]:
    """Returns the ids that texts stand for, of the model's own type. A text that stands for no id becomes an unknown
    id.
    """
    from fastrec.data.ids import parse_id

    ids = []
    for text in texts:
        parsed = parse_id(text, vocabulary.kind)
        if parsed is not None:
            ids.append(parsed)
        elif not skip:
            digits = text.removeprefix("-")
            beyond = ", which is beyond 64 bits" if digits.isascii() and digits.isdecimal() and len(digits) > 18 else ""
            raise ValueError(f"the model's {side} ids are integers: give an integer, got {text!r}{beyond}")
    return ids


def parse_users(
    texts: Iterable[str], model: Any, key_file: Path | None, skip: bool = False
) -> tuple[list[Any], dict[Any, str]]:
    """The users that texts stand for: ids, or by the key in a file pseudonyms; and the texts of the pseudonyms."""
    from fastrec.data.pseudonyms import Pseudonyms, read_key

    known = model.user_vocabulary
    if key_file is None:
        return parse_ids(texts, known, "user", skip), {}
    pseudonyms, users, shown = Pseudonyms(read_key(key_file)), [], {}
    for text in texts:
        name = pseudonyms.find(text, known.__contains__)
        if name in known:
            users.append(name)
            shown[name] = text
        elif not skip:
            raise ValueError(f"unknown user {text!r}: the model has no pseudonym of it by the key in {key_file}")
    return users, shown


def parse_people(texts: Iterable[str], model: Any, journal: str | None, key_file: Path | None) -> list[Any]:
    """The users that texts stand for, be they known to the model, to the journal alone, or to neither."""
    from fastrec.data.pseudonyms import Pseudonyms, read_key
    from fastrec.forgetting.journals import open_journal

    if key_file is None:
        return parse_ids(texts, model.user_vocabulary, "user")
    pseudonyms = Pseudonyms(read_key(key_file))
    with open_journal(journal) as log:
        knows = lambda name: name in model.user_vocabulary or (log is not None and bool(log.history(name)))
        return [pseudonyms.find(text, knows) for text in texts]


def find_title(model: Any, part: str) -> Any:
    """Returns the id of the one item whose title contains a text."""
    titles = (model.item_info_ or {}).get("title")
    if titles is None:
        raise ValueError("the model has no titles: use --item (train with --items to give it titles)")
    lowered = [str(title).lower() for title in titles]
    exact = [code for code, title in enumerate(lowered) if title == part.lower()]
    found = exact or [code for code, title in enumerate(lowered) if part.lower() in title]
    if not found:
        raise ValueError(f"no title contains {part!r}")
    if len(found) > 1 and not exact:
        some = ", ".join(repr(str(titles[code])) for code in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ValueError(f"several titles contain {part!r}; give more of one: {some}{more}")
    return model.item_vocabulary.decode(found[:1])[0]


def parse_items(model: Any, texts: Iterable[str], titles: Iterable[str] = ()) -> list[Any]:
    """Returns ids of items from their texts and from parts of their titles."""
    return parse_ids(texts, model.item_vocabulary, "item") + [find_title(model, part) for part in titles]
