"""`fastrec warmup`."""


def test_warmup_compiles(run):
    code, out, err = run("warmup")
    assert (code, out) == (0, "")
    assert "compiled" in err
    code, out, err = run("warmup", "--model", "Popularity", "--factors", "16")
    assert (code, out) == (0, "")
    code, out, err = run("warmup", "--model", "nothing")
    assert code == 1
    assert "models must be one of" in err
