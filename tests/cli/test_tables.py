"""Tables of any form."""

import pytest

import fastrec as fr

PAIRS = [(u, i) for u in range(100, 130) for i in range(500, 520) if (u * 7 + i * 3) % 5]


FORMS = {
    "tabs, no header": ("\t", "utf-8", (), ("--user-column", 0, "--item-column", 1)),
    "no header, said": (",", "utf-8", (), ("--no-header", "--user-column", 0, "--item-column", 1)),
    "two colons": ("::", "utf-8", (), ("--user-column", 0, "--item-column", 1, "--delimiter", "::")),
    "latin-1": (";", "latin-1", ("user", "item", "é"), ("--encoding", "latin-1", "--delimiter", ";")),
    "utf-16": ("\t", "utf-16", ("user", "item", "x"), ("--delimiter", "tab")),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_any_form_is_trained_on(run, tmp_path, form):
    delimiter, encoding, header, options = FORMS[form]
    lines = [delimiter.join(header)] if header else []
    lines += [delimiter.join((str(u), str(i), "1")) for u, i in PAIRS]
    (tmp_path / "u.data").write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    code, _, err = run("train", tmp_path / "u.data", "-o", tmp_path / "m.fastrec", "-f", 4, "-i", 1, *options)
    assert code == 0, err
    model = fr.load(tmp_path / "m.fastrec")
    assert model.seen_.nnz == len(PAIRS)
    assert model.users_.kind == "int"
