"""A user's history in plain Python: events one after the other."""


def append(history, events, policy):
    """Returns a history {item: (value, place)}, the oldest of place 0, with events of (item, value) appended."""
    values = {item: value for item, (value, _) in sorted(history.items(), key=lambda entry: entry[1][1])}
    for item, value in events:
        had = values.pop(item, None)
        joined = {"sum": lambda a, b: a + b, "last": lambda _, b: b, "max": max}[policy]
        values[item] = value if had is None else joined(had, value)
    return {item: (value, place) for place, (item, value) in enumerate(values.items())}


def liked(history):
    """Returns the items whose values are not 0, the oldest first."""
    return [item for item, (value, _) in sorted(history.items(), key=lambda entry: entry[1][1]) if value]
