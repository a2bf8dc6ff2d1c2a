"""Messages in the words of the command line."""

import pytest
from typer.main import get_command

import fastrec as fr
from fastrec.cli import app
from fastrec.cli.wording import _NAMES, _WHOLE, in_options


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("name it with user=…, or", "name it with --user-column …, or"),
        ("such as user=0, item=1, header=False", "such as --user-column 0, --item-column 1, --no-header"),
        ('they are seconds (time_unit="s"), got', "they are seconds (--time-unit s), got"),
        ('say weights={"view": 1, "buy": 1, …} to', "say --weights view=1,buy=1,… to"),
        ('out with incomplete="drop", or', "out with --incomplete drop, or"),
        ("; quote=None reads quotes as letters", "; --quote '' reads quotes as letters"),
        ("a file my.user=3 is left", "a file my.user=3 is left"),
    ],
)
def test_options_are_called_as_the_commands_have_them(said, meant):
    assert in_options(said) == meant


def test_every_option_that_is_named_exists():
    options = [option for command in get_command(app).commands.values() for option in command.params]
    known = {part for option in options for part in (*option.opts, *option.secondary_opts)}
    named = {word.split()[0] for word in (*_NAMES.values(), *_WHOLE.values()) if word.startswith("--")}
    assert named <= known


def test_missing_times_are_told_in_options():
    data = fr.Interactions([0, 0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="no times") as caught:
        fr.SequenceRules().fit(data)
    assert "name their column with --time-column" in in_options(str(caught.value))
    with pytest.warns(UserWarning, match="no event fades") as warned:
        fr.ItemKNN(recency=0.5).fit(data)
    assert "name their column with --time-column, or say --option recency=1" in in_options(str(warned[0].message))
