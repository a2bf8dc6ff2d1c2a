"""Provides a folder of tables and models, and runs the command line in it."""

import pytest

from fastrec import cli
from tests.cli.running import write_table


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_table(folder / "ratings.csv")
    write_table(folder / "strings.csv", string_ids=True, times=False)
    titles = "".join(f'{10 * i},"Film, {i}"\n' for i in range(20))
    (folder / "titles.csv").write_text("movieId,title\n" + titles)
    for name, extra in (("ratings", ["--items", str(folder / "titles.csv")]), ("strings", [])):
        train = ["train", str(folder / f"{name}.csv"), "-o", str(folder / f"{name}.fastrec"), "-f", "4", *extra]
        assert cli.main(train) == 0
    return folder


@pytest.fixture
def run(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)

    def call(*arguments):
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call
