"""The manifests in `deploy/`, read as text: no cluster is needed, and kubectl only to put them together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from octomesh_graphql import __version__
from octomesh_graphql.cli.commands import app
from octomesh_graphql.cli.operating import LEASE
from octomesh_graphql.operator.crd import as_yaml, crd
from octomesh_graphql.settings import Settings, WrongSettings, load_for_operator, load_for_server
from tests.test_image import DOCKERFILE, stages

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
README = (DEPLOY / "README.md").read_text()
APPLIED = ("crd", "server", "operator/cluster", "operator/namespaced")
"""What people apply; the other directories are parts of these."""

Object = dict[str, Any]


def documents() -> Iterator[Object]:
    """All objects, and the kustomizations that put them together."""
    for file in sorted(DEPLOY.rglob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def all_of(*kinds: str) -> list[Object]:
    return [each for each in documents() if each["kind"] in kinds]


def named(kind: str, name: str) -> Object:
    (found,) = (each for each in all_of(kind) if each["metadata"]["name"] == name)
    return found


def built(directory: Path) -> list[Object]:
    """What kubectl would apply."""
    if shutil.which("kubectl") is None:
        pytest.skip("NO KUBECTL: whether the kustomizations can be built is not tested")
    command = ["kubectl", "kustomize", str(directory)]
    return list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def container(deployment: Object) -> Object:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Object = only
    return found


DEPLOYMENTS = all_of("Deployment")
PROGRAMS = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=[each["metadata"]["name"] for each in DEPLOYMENTS])


def test_the_server_and_the_operator_are_what_is_deployed() -> None:
    assert [each["metadata"]["name"] for each in DEPLOYMENTS] == ["octomesh-operator", "octomesh-server"]


# Put together


@pytest.mark.parametrize("directory", APPLIED)
def test_what_people_apply_can_be_put_together(directory: str) -> None:
    objects = built(DEPLOY / directory)
    assert all(each["metadata"]["name"] for each in objects)
    assert not [each for each in objects if each["kind"] in ("Kustomization", "Component")]


@pytest.mark.parametrize("directory", ["server", "operator/cluster", "operator/namespaced"])
def test_every_object_is_in_the_namespace_of_its_installation(directory: str) -> None:
    kustomization = yaml.safe_load((DEPLOY / directory / "kustomization.yaml").read_text())
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    for each in built(DEPLOY / directory):
        if each["kind"] not in cluster_wide:
            assert each["metadata"]["namespace"] == kustomization["namespace"]
        for subject in each.get("subjects", ()):
            assert subject["namespace"] == kustomization["namespace"]


def test_the_operator_of_a_cluster_has_a_cluster_role_where_that_of_a_namespace_has_a_role() -> None:
    everywhere, at_home = built(DEPLOY / "operator/cluster"), built(DEPLOY / "operator/namespaced")
    (cluster_role,) = (each for each in everywhere if each["kind"] == "ClusterRole")
    (role,) = (each for each in at_home if each["kind"] == "Role" and each["metadata"]["name"] == "octomesh-operator")
    assert cluster_role["rules"] == role["rules"]
    assert not [each for each in at_home if each["kind"].startswith("Cluster")]
    for objects in (everywhere, at_home):
        names = {(each["kind"], each["metadata"]["name"]) for each in objects}
        references = [(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in objects if "roleRef" in each]
        assert len(references) == 2
        assert set(references) <= names


def test_only_the_operator_of_a_namespace_is_told_to_watch_one() -> None:
    for directory, watched in (("cluster", []), ("namespaced", [{"fieldRef": {"fieldPath": "metadata.namespace"}}])):
        (deployment,) = (each for each in built(DEPLOY / "operator" / directory) if each["kind"] == "Deployment")
        env = container(deployment)["env"]
        assert [each["valueFrom"] for each in env if each["name"] == "OCTOMESH_WATCH_NAMESPACE"] == watched


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of deploy/ with the kustomizations of the README beside it."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for name, text in re.findall(r"^`(my-\w+)/kustomization.yaml`:\n\n```yaml\n(.*?)^```$", README, re.M | re.S):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("directory", "name", "setting"),
    [
        ("my-server", "octomesh-server", {"OCTOMESH_PUBLIC_URL": "https://octomesh.example.com"}),
        ("my-server", "octomesh-server", {"OCTOMESH_OIDC_AUDIENCE": "octomesh"}),
        ("my-operator", "octomesh-operator", {"OCTOMESH_SERVER_URL": "https://octomesh.example.com"}),
    ],
)
def test_the_kustomizations_of_the_readme_say_the_image_and_the_settings(
    checkout: Path, directory: str, name: str, setting: dict[str, str]
) -> None:
    objects = built(checkout / directory)
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    (config,) = (each for each in objects if each["kind"] == "ConfigMap")
    assert container(deployment)["image"] == f"registry.example.com/octomesh-graphql:{__version__}"
    assert setting.items() <= config["data"].items()
    assert config["data"]["OCTOMESH_LOG_FORMAT"] == "json"
    assert container(deployment)["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]
    assert config["metadata"]["name"].startswith(f"{name}-settings-")


@pytest.mark.parametrize("variant", ["cluster", "namespaced"])
@pytest.mark.parametrize(
    ("component", "setting", "key"), [("token", "TOKEN_FILE", "token"), ("client", "CLIENT_SECRET_FILE", "secret")]
)
def test_what_the_operator_is_known_by_comes_from_a_secret(
    checkout: Path, variant: str, component: str, setting: str, key: str
) -> None:
    own = checkout / "my-operator" / "kustomization.yaml"
    own.write_text(own.read_text().replace("cluster]", f"{variant}]").replace("client]", f"{component}]"))
    (deployment,) = (each for each in built(own.parent) if each["kind"] == "Deployment")
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    (mount,) = container(deployment)["volumeMounts"]
    (file,) = (each["value"] for each in container(deployment)["env"] if each["name"] == f"OCTOMESH_{setting}")
    assert volume["secret"]["secretName"] == f"octomesh-operator-{component}"
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    assert file == f"{mount['mountPath']}/{key}"


def test_an_operator_that_is_a_client_as_the_readme_shows_it_starts(
    checkout: Path, environment: pytest.MonkeyPatch
) -> None:
    _, given = program_of(built(checkout / "my-operator"))
    set_all(environment, given)
    settings = load_for_operator({})
    assert (settings.client_id, settings.token_issuer) == ("operator-north", "https://login.example.com")
    assert str(settings.client_secret_file) == given["OCTOMESH_CLIENT_SECRET_FILE"]


def program_of(objects: list[Object]) -> tuple[list[str], dict[str, str]]:
    """The arguments of the one program that is deployed, and its variables."""
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    (config,) = (each for each in objects if each["kind"] == "ConfigMap")
    given = {each["name"]: each["value"] for each in container(deployment)["env"] if "value" in each}
    return container(deployment)["args"], config["data"] | given


def start_server(environment: pytest.MonkeyPatch, objects: list[Object], place: Path) -> Settings:
    """Up to where it has its settings. Raises `WrongSettings`."""
    args, given = program_of(objects)
    (place / "uri").write_text("mongodb://one,two/?replicaSet=rs0\n")
    set_all(environment, given | {"OCTOMESH_MONGO_URI_FILE": str(place / "uri")})
    return load_for_server({}, insecure="--insecure" in args)


def test_a_server_without_an_issuer_does_not_start(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match=r"nobody is asked who they are.* Set OCTOMESH_OIDC_ISSUER and"):
        start_server(environment, built(DEPLOY / "server"), tmp_path)


def test_a_server_with_the_issuer_that_the_readme_shows_starts_and_asks(
    checkout: Path, environment: pytest.MonkeyPatch
) -> None:
    settings = start_server(environment, built(checkout / "my-server"), checkout)
    assert (settings.oidc_issuer, settings.oidc_audience) == ("https://login.example.com", "octomesh")
    assert not settings.oidc_report_only


def test_for_a_trial_a_server_starts_without_an_issuer(checkout: Path, environment: pytest.MonkeyPatch) -> None:
    own = checkout / "my-server" / "kustomization.yaml"
    (component,) = re.findall(r"`(components: \[../deploy/server/open\])`", README)
    own.write_text(re.sub(r".*OCTOMESH_OIDC_.*\n", "", own.read_text()) + component)
    settings = start_server(environment, built(own.parent), checkout)
    assert (settings.host, settings.oidc_issuer) == ("0.0.0.0", None)


def test_the_server_finds_its_mongodb_in_a_secret(checkout: Path) -> None:
    (deployment,) = (each for each in built(checkout / "my-server") if each["kind"] == "Deployment")
    _, given = program_of(built(checkout / "my-server"))
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    (mount,) = container(deployment)["volumeMounts"]
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    name, key = volume["secret"]["secretName"], Path(given["OCTOMESH_MONGO_URI_FILE"]).name
    assert given["OCTOMESH_MONGO_URI_FILE"] == f"{mount['mountPath']}/{key}"
    assert f"create secret generic {name} --from-file={key}=" in README


def test_what_a_pod_waits_for_is_made_before_it() -> None:
    (commands,) = re.findall(r"^```sh\n(kubectl apply -k deploy/crd\n.*?)^```$", README, re.M | re.S)
    order = [
        "apply -k deploy/crd",
        "create namespace octomesh\n",
        "create secret generic octomesh-mongo ",
        "apply -k my-server",
        "create namespace octomesh-system\n",
        "create secret generic octomesh-operator-client ",
        "apply -k my-operator",
    ]
    assert sorted(order, key=commands.index) == order


# In step with the programs


def test_the_definition_is_the_one_that_the_operator_prints() -> None:
    """If not: `octomesh operator --print-crd > deploy/crd/communicationpools.yaml`."""
    assert (DEPLOY / "crd" / "communicationpools.yaml").read_text() == as_yaml(crd())


def test_the_image_has_the_tag_of_this_version() -> None:
    (component,) = (each for each in all_of("Component") if "images" in each)
    assert component["images"] == [{"name": "octomesh-graphql", "newTag": __version__}]
    assert f"octomesh-graphql:{__version__} ." in README


@PROGRAMS
def test_the_command_is_one_the_program_knows(deployment: Object) -> None:
    assert container(deployment)["image"] == "octomesh-graphql"
    app.parse_args(container(deployment)["args"], exit_on_error=False, print_error=False)


def variables(deployment: Object) -> dict[str, str]:
    """The environment of a program, as far as it is not made in the cluster."""
    (image,) = (dict(each.split("=", 1) for each in stage.last("ENV").split()) for stage in stages(DOCKERFILE)[-1:])
    name = deployment["metadata"]["name"]
    generated = [
        each for kustomization in all_of("Kustomization") for each in kustomization.get("configMapGenerator", ())
    ]
    config = [
        dict(item.split("=", 1) for item in each["literals"])
        for each in generated
        if each["name"] == f"{name}-settings"
    ]
    given = {each["name"]: each["value"] for each in container(deployment)["env"] if "value" in each}
    made = {"OCTOMESH_WATCH_NAMESPACE": "octomesh-pools"}
    return image | config[0] | made | given


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("OCTOMESH_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def set_all(environment: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if name.startswith("OCTOMESH_"):
            environment.setenv(name, value)


def test_the_server_takes_its_settings(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deployment = named("Deployment", "octomesh-server")
    (tmp_path / "uri").write_text("mongodb://one,two/?replicaSet=rs0\n")
    set_all(environment, variables(deployment) | {"OCTOMESH_MONGO_URI_FILE": str(tmp_path / "uri")})
    settings = load_for_server({}, insecure=True)
    (port,) = container(deployment)["ports"]
    assert (settings.host, settings.port) == ("0.0.0.0", port["containerPort"])
    assert settings.mongo_uri is not None
    assert settings.log_format == "json"


def test_the_operator_takes_its_settings(environment: pytest.MonkeyPatch) -> None:
    deployment = named("Deployment", "octomesh-operator")
    set_all(environment, variables(deployment))
    settings = load_for_operator({})
    (port,) = container(deployment)["ports"]
    assert (settings.operator_health_host, settings.operator_health_port) == ("0.0.0.0", port["containerPort"])
    assert settings.log_format == "json"


def test_the_operator_finds_the_server_where_it_is_installed(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, variables(named("Deployment", "octomesh-operator")))
    service = named("Service", "octomesh-server")
    namespace = yaml.safe_load((DEPLOY / "server" / "kustomization.yaml").read_text())["namespace"]
    (port,) = service["spec"]["ports"]
    assert port["port"] == 80
    assert load_for_operator({}).server_url == f"http://{service['metadata']['name']}.{namespace}.svc"


def test_every_variable_that_is_mentioned_is_a_setting(environment: pytest.MonkeyPatch) -> None:
    text = "".join(each.read_text() for each in DEPLOY.rglob("*") if each.is_file())
    mentioned = {name.lower().removeprefix("octomesh_") for name in re.findall(r"\bOCTOMESH_[A-Z_]+\b", text)}
    assert {"server_url", "token_file", "mongo_uri_file"} <= mentioned
    fields = {*load_for_operator({}).model_dump(), *load_for_server({}, insecure=True).model_dump()}
    assert mentioned <= fields | {"mongo_uri_file"}


# Rights


def test_rights_are_given_one_by_one() -> None:
    roles = all_of("Role", "ClusterRole")
    assert roles
    for rule in (rule for role in roles for rule in role["rules"]):
        assert rule.keys() <= {"apiGroups", "resources", "resourceNames", "verbs"}
        assert not [each for values in rule.values() for each in values if "*" in each]


def test_no_right_leads_to_more_rights() -> None:
    given = {
        (resource, verb)
        for role in all_of("Role", "ClusterRole")
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert not {verb for _, verb in given} & {"bind", "escalate", "impersonate", "deletecollection"}
    assert not {
        resource for resource, verb in given if resource.startswith(("roles", "clusterroles", "serviceaccounts"))
    }
    assert not {verb for resource, verb in given if resource == "pods"} - {"list", "watch"}


def test_the_readme_tells_what_each_right_is_for() -> None:
    table = README.partition("## What the operator may do")[2]
    told = {
        resource: set(verbs.split())
        for resources, verbs in re.findall(r"^\| ([a-z/, ]+) \| ([a-z ]+) \| .+ \|$", table, re.M)
        for resource in resources.split(", ")
    }
    role = named("Role", "octomesh-operator")
    assert told.pop("resource") == {"verbs"}
    assert told == {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}


@pytest.mark.parametrize("directory", ["operator/cluster", "operator/namespaced"])
def test_the_lease_is_the_one_the_operator_leads_by(directory: str) -> None:
    (role,) = (
        each
        for each in built(DEPLOY / directory)
        if each["metadata"]["name"] == "octomesh-operator-leading" and "rules" in each
    )
    by_name, without = role["rules"]
    assert by_name["resourceNames"] == [LEASE]
    assert without["verbs"] == ["create"]


# Pods


@PROGRAMS
def test_a_pod_passes_the_restricted_pod_security_standard(deployment: Object) -> None:
    pod = deployment["spec"]["template"]["spec"]
    allowed_volumes = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
    assert all(volume.keys() - {"name"} <= allowed_volumes | {"secret"} for volume in pod.get("volumes", ()))
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(deployment)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert not [port for port in container(deployment)["ports"] if "hostPort" in port]


def test_our_namespaces_take_no_pods_but_such() -> None:
    for namespace in all_of("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@PROGRAMS
def test_a_pod_is_asked_for_its_health_and_says_what_it_takes(deployment: Object) -> None:
    program = container(deployment)
    (port,) = program["ports"]
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert program[probe]["httpGet"] == {"path": path, "port": port["name"]}
        assert program[probe]["timeoutSeconds"] > 1
    assert program["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in program["resources"]["limits"]


@PROGRAMS
def test_of_two_replicas_one_may_be_taken_away_at_a_time(deployment: Object) -> None:
    name = deployment["metadata"]["name"]
    selector = deployment["spec"]["selector"]
    budget = named("PodDisruptionBudget", name)
    assert deployment["spec"]["replicas"] == 2
    assert (budget["spec"]["maxUnavailable"], budget["spec"]["selector"]) == (1, selector)
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == selector
    assert selector["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_a_server_has_the_time_to_finish() -> None:
    pod = named("Deployment", "octomesh-server")["spec"]["template"]["spec"]
    program, slept = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert pod["terminationGracePeriodSeconds"] > int(slept) + 10  # in which a server stops


def test_only_the_operator_may_speak_to_the_kubernetes_api() -> None:
    server, operator = (named("Deployment", f"octomesh-{name}") for name in ("server", "operator"))
    (account,) = all_of("ServiceAccount")
    assert server["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert operator["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


# The network


def test_the_server_is_reached_from_named_namespaces_only() -> None:
    server = named("Deployment", "octomesh-server")
    policy = named("NetworkPolicy", "octomesh-server")["spec"]
    (rule,) = policy["ingress"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["podSelector"] == server["spec"]["selector"] == {"matchLabels": named_service_selector()}
    assert rule["ports"] == [{"port": container(server)["ports"][0]["name"], "protocol": "TCP"}]
    by_name, by_label = (peer["namespaceSelector"] for peer in rule["from"])
    (names,) = by_name["matchExpressions"]
    assert (names["operator"], names["values"]) == ("In", ["octomesh-system", "ingress-nginx"])
    ((label, value),) = by_label["matchLabels"].items()
    assert f"{label}={value}" in README


def named_service_selector() -> Object:
    selector: Object = named("Service", "octomesh-server")["spec"]["selector"]
    return selector
