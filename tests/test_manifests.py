"""The files that run servers are valid by their schemas, and their commands are `fastrec serve`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastrec import __version__, cli

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = sorted(ROOT.glob("compose*.yaml"))

pytestmark = pytest.mark.skipif(not COMPOSE, reason="needs the checkout")
yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def resources():
    """Returns the objects in the manifest of Kubernetes, by kind."""
    found = list(yaml.safe_load_all((ROOT / "kubernetes.yaml").read_text(encoding="utf-8")))
    return {one["kind"]: one for one in found}


@pytest.fixture(scope="module")
def container(resources):
    return resources["Deployment"]["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_are_what_the_specification_asks_for(path):
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_the_manifest_is_what_kubernetes_asks_for(resources, version):
    validate = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate").validate
    for resource in resources.values():
        validate(resource, version, strict=True)
    assert set(resources) == {"PersistentVolumeClaim", "Deployment", "Service", "PodDisruptionBudget"}


def commands():
    """Returns the arguments of `fastrec serve` in each file."""
    for path in [*COMPOSE, ROOT / "kubernetes.yaml"]:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            services = document.get("services", {}).values()
            pods = document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
            for one in [*(service.get("command") for service in services), *(pod["args"] for pod in pods)]:
                if isinstance(one, list) and "--host" in one:
                    yield pytest.param(one, id=path.name)


@pytest.mark.parametrize("arguments", list(commands()))
def test_their_commands_start_a_server(arguments, tmp_path, monkeypatch):
    pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
    started = []
    monkeypatch.setattr("fastrec.serving.run.run_server", lambda settings, **options: started.append(settings))
    (tmp_path / "model.fastrec").write_bytes(b"")
    assert cli.main(["serve", *(argument.replace("/data", str(tmp_path)) for argument in arguments)]) == 0
    assert started[0].makes_models
    assert started[0].host == "0.0.0.0"


def test_ports_probes_and_names_of_the_manifest_belong_together(resources, container):
    pytest.importorskip("starlette", reason="needs fastrec[serve]")
    from fastrec.serving.routes import ROUTES

    paths = {one.path for one in ROUTES if one.method == "GET" and one.scope is None}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in paths
        assert asked["port"] in [port["name"] for port in container["ports"]]
    labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert resources["Service"]["spec"]["selector"] == labels
    assert resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    claims = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    assert claims == [resources["PersistentVolumeClaim"]["metadata"]["name"]]
    assert {one["image"] for one in (container, *pod["initContainers"])} == {f"fastrec:{__version__}"}
    drain = float(container["args"][container["args"].index("--drain") + 1])
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep + drain + 30 <= pod["terminationGracePeriodSeconds"]


def test_the_image_has_what_the_files_need():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"\[(serve[^]]*)\]", text)) == {"serve,postgresql,s3"}
