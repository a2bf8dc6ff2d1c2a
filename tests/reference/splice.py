"""A plain twin of rows exchanged or merged: dictionaries of columns."""


def splice(old, rows, new, policy):
    """Returns rows {column: value}: those of `old`, and for `rows` those of `old` and `new` combined."""
    result = [dict(row) for row in old]
    for row, given in zip(rows, new, strict=True):
        if policy == "replace":
            result[row] = dict(given)
            continue
        for column, value in given.items():
            known = result[row].get(column)
            if known is None or policy == "last":
                result[row][column] = value
            else:
                result[row][column] = known + value if policy == "sum" else max(known, value)
    return result
