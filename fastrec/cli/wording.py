"""Messages of the library in the words of the command line."""

import re

# The names of options of reading in Python, and on the command line.
_COLUMNS = ("user", "item", "value", "time", "event")
_FORM = (
    "items_id",
    "time_unit",
    "ids",
    "incomplete",
    "duplicates",
    "delimiter",
    "encoding",
    "where",
    "weights",
    "quote",
)
_NAMES = (
    {name: f"--{name}-column" for name in (*_COLUMNS, "title")}
    | {name: "--" + name.replace("_", "-") for name in _FORM}
    | {"validation": "--validation"}
)
_WHOLE = {
    "header=False": "--no-header",
    "header=True": "--header",
    "wide=True": "--wide",
    "quote=None": "--quote ''",
    " (an option of read_interactions and Interactions)": "",
    "data.select(data.values >= 0)": "--min-value 0",
    "without its values": "without its values (--values binary)",
    "give their histories, as model.recommend(model.histories([[item, …], …]))": "give a history with --history ITEM,…",
    "to choose a model by: name one instead": "to choose a model by: name one with --model",
    "exclude_seen=False": "--include-seen",
    "X has no times: make it with Interactions(..., times=...), or name its column when you read the table": (
        "the data have no times: name their column with --time-column"
    ),
    "X has no times, so no event fades: give Interactions with times, or set recency=1": (
        "the data have no times, so no event fades: name their column with --time-column, or say --option recency=1"
    ),
    **{f"{name}=False": f"--{name}-column none" for name in _COLUMNS},
}
_OPTION = re.compile(rf"(?<![\w.])({'|'.join(_NAMES)})=(\{{.*?\}}|\"[^\"]*\"|'[^']*'|[^\s,;:)]+)")


def in_options(text: str) -> str:
    """Rewrites a message with the options of the commands in place of those of `read_interactions`.

    >>> in_options('name it with user=…, or give column numbers and header=False')
    'name it with --user-column …, or give column numbers and --no-header'
    >>> in_options('say weights={"view": 1, "buy": 5} or event=False')
    'say --weights view=1,buy=5 or --event-column none'
    """
    for said, meant in _WHOLE.items():
        text = text.replace(said, meant)
    return _OPTION.sub(lambda found: f"{_NAMES[found[1]]} {_value_in_words(found[2])}", text)


def _value_in_words(text: str) -> str:
    if not text.startswith("{"):
        return text.strip("\"'")
    return text.strip("{}").replace('"', "").replace(": ", "=").replace(", ", ",")
