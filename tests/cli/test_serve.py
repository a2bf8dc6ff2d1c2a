"""`fastrec serve`: its options become settings."""

import subprocess
import sys

import pytest

from fastrec import cli
from fastrec.online import SchedulePlan

pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.serving.settings import Settings


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr("fastrec.serving.run.run_server", lambda settings, **options: calls.append((settings, options)))
    return calls


def test_every_option_reaches_the_settings(started, tmp_path):
    model = tmp_path / "model.fastrec"
    model.write_bytes(b"")
    (tmp_path / "s.toml").write_text("[home]\nk = 3\n")
    options = "--host 0.0.0.0 --on-unknown error --duplicates max --checkpoint-every 5 --refit-every 60 --drain 0"
    machine = "--access-log - --rate-limit 9 --support 7 --cache c --port 81"
    more = "--refit-share 0.1 --refit-drift 0.2 --mode 640 --skip-damaged --new-users take --new-items refuse"
    assert cli.main(["serve", str(model), *options.split(), *machine.split(), *more.split(), "--force",
                     "--scenarios", str(tmp_path / "s.toml")]) == 0  # fmt: skip
    plan = SchedulePlan(checkpoint_every=5, refit_every=60, refit_share=0.1, refit_drift=0.2)
    expected = Settings(
        model=str(model), host="0.0.0.0", on_unknown="error", duplicates="max", **plan.options(), drain=0, mode=0o640,
        skip_damaged=True, new_users="take", new_items="refuse", support=7, force=True, cache="c",
        access_log="-", rate_limit=9,
        scenarios={"home": {"k": 3}},
    )  # fmt: skip
    assert started == [(expected, {"versions": None, "port": 81, "workers": 1, "token_file": None})]


def test_without_options_settings_are_those_of_the_class(started, tmp_path):
    (tmp_path / "model.fastrec").write_bytes(b"")
    assert cli.main(["serve", str(tmp_path / "model.fastrec")]) == 0
    assert started[0][0] == Settings(model=str(tmp_path / "model.fastrec"))


def test_several_models_have_shares(started, tmp_path):
    models = [str(tmp_path / name) for name in ("a.fastrec", "b.fastrec")]
    for model in models:
        (tmp_path / model).write_bytes(b"")
    assert cli.main(["serve", *models, "--share", "0.8,0.2", "--share-key", "spring"]) == 0
    assert started[0][0] == Settings(model=models[0], beside=(models[1],), shares=(0.8, 0.2), share_key="spring")
    for share in ("0.8", "1,1", "x"):
        assert cli.main(["serve", *models, "--share", share]) != 0 or share == "0.8"  # `run_server` refuses it


@pytest.mark.parametrize(("source", "code"), [("none.fastrec", 2), ("s3://shop/models", 0)])
def test_a_file_must_be_there_a_store_is_looked_for_later(started, tmp_path, monkeypatch, source, code):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", source]) == code
    assert len(started) == 1 - code // 2


IMPORTS = """
import sys
from fastrec.cli.program import main
from fastrec.serving import run
run.run_server = lambda settings, **options: print(sorted({"numba", "pandas", "sklearn"} & set(sys.modules)))
main(["serve", *sys.argv[1:]])
"""


def test_the_command_leaves_slow_imports_to_the_worker_which_needs_only_a_part_of_them(tmp_path):
    (tmp_path / "model.fastrec").write_bytes(b"")
    (tmp_path / "shop.toml").write_text("[home]\nk = 3\n")
    arguments = [tmp_path / "model.fastrec", "--scenarios", tmp_path / "shop.toml", "--journal", tmp_path / "events.db"]
    done = subprocess.run([sys.executable, "-c", IMPORTS, *arguments], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr
