"""What deploys on Kubernetes: each component alone and all together, as kustomize makes them."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import SOURCE
from linting import kubernetes, kustomized, resources

FOLDER = SOURCE / "deploy/kubernetes"
GITOPS = sorted((SOURCE / "deploy/gitops").glob("*.yaml"))
COMPONENTS = sorted(
    path.parent.name
    for path in FOLDER.glob("*/kustomization.yaml")
    if "\nkind: Component\n" in path.read_text(encoding="utf-8")
)
LAST = "rollouts"  # takes over what others say of the Deployment
# keda stands in the place of autoscaling.
TOGETHER = [*(name for name in COMPONENTS if name not in ("keda", LAST)), LAST]
BUILT_IN = ("v1", "apps/", "autoscaling/", "batch/", "policy/", "networking.k8s.io/", "rbac.")
Objects = list[dict[str, Any]]


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., Objects]:
    """Build the manifests with components, written as their comment says."""

    def build(*components: str) -> Objects:
        folder = tmp_path / "-".join(components or ["base"]).replace("/", ".")
        shutil.copytree(FOLDER, folder)
        if components:
            with (folder / "kustomization.yaml").open("a", encoding="utf-8") as file:
                yaml.safe_dump({"components": list(components)}, file)
        return kustomized(folder)

    return build


def faults(objects: Objects, place: Path) -> str:
    """Return what is wrong with objects, by the schemas of whoever knows their kinds."""
    own = [one for one in objects if one["apiVersion"].startswith(BUILT_IN)]
    path = place / "objects.yaml"
    path.write_text(yaml.safe_dump_all(own), encoding="utf-8")
    others = [one for one in objects if one not in own]
    return (kubernetes(path) if own else "") + (resources(others) if others else "")


def of_kind(objects: Objects, kind: str) -> dict[str, Any]:
    (found,) = (one for one in objects if one["kind"] == kind)
    return found


def ports(value: Any) -> Iterator[dict[str, Any]]:
    """Return each port of containers, services and policies, at whatever depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from inner if key == "ports" else ports(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ports(inner)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_fits(built: Callable[..., Objects], tmp_path: Path, name: str) -> None:
    assert faults(built(name), tmp_path) == ""


def test_all_of_them_fit_together(built: Callable[..., Objects], tmp_path: Path) -> None:
    objects = built(*TOGETHER)
    assert faults(objects, tmp_path) == ""
    assert {one["kind"] for one in objects} == {
        *("Deployment", "Service", "CronJob", "HorizontalPodAutoscaler", "PodDisruptionBudget"),
        *("NetworkPolicy", "ServiceMonitor", "Ingress", "HTTPRoute", "PersistentVolumeClaim"),
        *("Rollout", "AnalysisTemplate"),
    }


def test_a_comment_names_each_component() -> None:
    text = (FOLDER / "kustomization.yaml").read_text(encoding="utf-8")
    assert [name for name in COMPONENTS if name not in text] == []


def test_a_port_is_known_by_its_protocol_as_well(built: Callable[..., Objects]) -> None:
    """Server-side apply merges ports by number and protocol: a manifest has to name both."""
    objects = [*built(*TOGETHER), *kustomized(FOLDER / "kserve")]
    assert len(list(ports(objects))) >= 4
    assert [port for port in ports(objects) if "protocol" not in port] == []
    assert list(ports({"spec": {"ports": [{"port": 1}]}})) == [{"port": 1}]


@pytest.mark.parametrize("name", ["autoscaling", "keda"])
def test_an_autoscaler_alone_counts_the_pods(built: Callable[..., Objects], name: str) -> None:
    assert "replicas" in of_kind(built(), "Deployment")["spec"]
    assert "replicas" not in of_kind(built(name), "Deployment")["spec"]


@pytest.mark.parametrize(
    ("name", "kind"), [("autoscaling", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")]
)
def test_rollouts_run_the_pods_of_the_deployment(
    built: Callable[..., Objects], name: str, kind: str
) -> None:
    """The Deployment stays what other components change; what scales it scales the Rollout."""
    objects = built("scraping", name, LAST)
    deployment, rollout = (of_kind(objects, kind) for kind in ("Deployment", "Rollout"))
    about = {key: deployment[key] for key in ("apiVersion", "kind")}
    reference = {**rollout["spec"]["workloadRef"]}
    assert reference.pop("scaleDown") == "onsuccess"
    assert reference == {**about, "name": deployment["metadata"]["name"]}
    assert "replicas" not in deployment["spec"]
    assert rollout["spec"]["selector"] == deployment["spec"]["selector"]
    scaled = {key: rollout[key] for key in ("apiVersion", "kind")}
    assert of_kind(objects, kind)["spec"]["scaleTargetRef"] == {**scaled, "name": "model"}
    labels = of_kind(objects, "ServiceMonitor")["spec"]["podTargetLabels"]
    assert labels == ["rollouts-pod-template-hash"]


def test_rollouts_give_an_analysis_what_it_asks_for(built: Callable[..., Objects]) -> None:
    objects = built(LAST)
    canary = of_kind(objects, "Rollout")["spec"]["strategy"]["canary"]
    steps = [step["analysis"] for step in canary["steps"] if "analysis" in step]
    templates = {one["metadata"]["name"]: one for one in objects if one["kind"].endswith("plate")}
    asked = [canary["analysis"], *steps]
    named = [one["templateName"] for analysis in asked for one in analysis["templates"]]
    assert sorted(named) == sorted(templates)
    for analysis in asked:
        (name,) = (one["templateName"] for one in analysis["templates"])
        spec = templates[name]["spec"]
        given = {one["name"] for one in analysis["args"]}
        assert given == {one["name"] for one in spec["args"] if "value" not in one}
        text = yaml.safe_dump(spec["metrics"])
        used = set(re.findall(r"\{\{args\.(\w+)\}\}", text))
        assert used == {one["name"] for one in spec["args"]}
    # A step has to end: without `count` the controller refuses it.
    assert all("count" in one for one in templates["model-traffic"]["spec"]["metrics"])


def test_a_route_leads_to_a_port_of_the_service(built: Callable[..., Objects]) -> None:
    """It knows no names of ports."""
    objects = built("gateway")
    service = of_kind(objects, "Service")
    (rule,) = of_kind(objects, "HTTPRoute")["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    (port,) = service["spec"]["ports"]
    assert backend == {"name": service["metadata"]["name"], "port": port["port"]}
    assert set(rule["timeouts"]) == {"request", "backendRequest"}


def test_what_selects_the_pods_selects_them(built: Callable[..., Objects]) -> None:
    objects = built("disruption", "network", "scraping")
    labels = of_kind(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind(objects, "Service")["spec"]["selector"] == labels
    assert of_kind(objects, "PodDisruptionBudget")["spec"]["selector"] == {"matchLabels": labels}
    assert of_kind(objects, "NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": labels}
    scraped = of_kind(objects, "ServiceMonitor")["spec"]
    assert scraped["selector"] == {"matchLabels": of_kind(objects, "Service")["metadata"]["labels"]}
    (port,) = of_kind(objects, "Service")["spec"]["ports"]
    assert {one["port"] for one in scraped["endpoints"]} == {port["name"]}


def test_the_sidecar_that_ships_is_confined_and_reads_the_log(
    built: Callable[..., Objects],
) -> None:
    pod = of_kind(built("shipping"), "Deployment")["spec"]["template"]["spec"]
    (sidecar,), (server,) = pod["initContainers"], pod["containers"]
    assert sidecar["securityContext"] == server["securityContext"]
    assert sidecar["image"] == "registry.invalid/ship:latest"
    assert {mount["name"] for mount in sidecar["volumeMounts"]} <= {
        volume["name"] for volume in pod["volumes"]
    }
    mounted = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    assert sidecar["args"][:2] == ["--log", mounted["log"]]


def test_what_was_stopped_is_on_a_volume_that_server_and_sidecar_see(
    built: Callable[..., Objects], tmp_path: Path
) -> None:
    objects = built("shipping", "stops", "stops/shipping")
    assert faults(objects, tmp_path) == ""
    pod = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
    claim = of_kind(objects, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "stopped")
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for container in (*pod["initContainers"], *pod["containers"]):
        places = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert places["stopped"] == f"{places['log']}/stopped"  # as log_layout.py has it
    assert "stopped" not in str(built("shipping"))


def test_kserve_runs_the_same_container() -> None:
    """But for what KServe names itself, and for what it lets containers alone say."""
    (service,) = kustomized(FOLDER / "kserve")
    deployment = yaml.safe_load((FOLDER / "deployment.yaml").read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    (ours,), (theirs,) = pod["containers"], service["spec"]["predictor"]["containers"]
    for key in ("image", "env", "resources", "volumeMounts"):
        assert theirs[key] == ours[key], key
    for probe in ("readinessProbe", "livenessProbe"):
        assert theirs[probe]["httpGet"]["path"] == ours[probe]["httpGet"]["path"]
    said = {**pod["securityContext"], **ours["securityContext"]}
    assert {key: said.get(key) for key in theirs["securityContext"]} == theirs["securityContext"]
    assert service["spec"]["predictor"]["volumes"] == pod["volumes"]
    (port,) = theirs["ports"]
    assert port["containerPort"] == ours["ports"][0]["containerPort"]


def test_argo_cd_and_flux_follow_the_branch_of_production(tmp_path: Path) -> None:
    objects = [one for path in GITOPS for one in yaml.safe_load_all(path.read_text("utf-8"))]
    assert faults(objects, tmp_path) == ""
    application = of_kind(objects, "Application")["spec"]
    source = application["source"]
    assert (source["targetRevision"], source["path"]) == ("env/production", FOLDER.name)
    assert of_kind(objects, "GitRepository")["spec"]["ref"] == {"branch": "env/production"}
    assert of_kind(objects, "Kustomization")["spec"]["path"] == f"./{FOLDER.name}"
    # Each as what may write to that namespace alone, and nothing to the cluster.
    project, account = (of_kind(objects, kind) for kind in ("AppProject", "ServiceAccount"))
    assert application["project"] == project["metadata"]["name"]
    assert project["spec"]["destinations"] == [application["destination"]]
    assert project["spec"]["sourceRepos"] == [source["repoURL"]]
    assert project["spec"]["clusterResourceWhitelist"] == []
    flux, binding = (of_kind(objects, kind) for kind in ("Kustomization", "RoleBinding"))
    about = account["metadata"]
    assert (flux["spec"]["serviceAccountName"], flux["metadata"]["namespace"]) == (
        about["name"],
        about["namespace"],
    )
    assert binding["subjects"] == [{"kind": "ServiceAccount", **about}]
    role = of_kind(objects, "Role")["metadata"]
    assert binding["roleRef"]["name"] == role["name"]
    assert {binding["metadata"]["namespace"], role["namespace"]} == {
        flux["spec"]["targetNamespace"]
    }


def test_a_wrong_manifest_is_found(tmp_path: Path, built: Callable[..., Objects]) -> None:
    service = of_kind(built(), "Service")
    assert faults([service], tmp_path) == ""
    wrong = {**service, "spec": {**service["spec"], "prots": 1}}
    assert "prots" in faults([wrong], tmp_path)
    deployment = of_kind(built("disruption"), "Deployment")
    deployment["spec"]["replicas"] = "two"
    assert "replicas" in faults([deployment], tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "key", "value", "said"),
    [
        ("keda", "ScaledObject", "minReplicaCount", "two", "must be integer"),
        ("keda", "ScaledObject", "minReplicas", 2, "is unknown"),
        ("scraping", "ServiceMonitor", "selector", None, "required"),
        ("gateway", "HTTPRoute", "hosts", ["a"], "is unknown"),
        ("rollouts", "Rollout", "replicas", "four", "must be integer"),
        ("rollouts", "Rollout", "workloadReference", {"name": "a"}, "is unknown"),
    ],
)
def test_a_wrong_custom_resource_is_found(
    built: Callable[..., Objects], name: str, kind: str, key: str, value: Any, said: str
) -> None:
    found = of_kind(built(name), kind)
    assert resources([found]) == ""
    found["spec"] = {k: v for k, v in {**found["spec"], key: value}.items() if v is not None}
    assert said in resources([found])


def test_who_writes_the_branch_may_have_what_the_manifests_have(
    built: Callable[..., Objects],
) -> None:
    """All of their kinds, and no other: no secret, account or right, which would be a way out."""
    kinds = {
        (one["apiVersion"].rpartition("/")[0], one["kind"])
        for names in (TOGETHER, ["keda"])
        for one in [*built(*names), *kustomized(FOLDER / "kserve")]
    } | {("", "ConfigMap")}  # what `release` writes while an experiment runs
    objects = [one for path in GITOPS for one in yaml.safe_load_all(path.read_text("utf-8"))]
    listed = of_kind(objects, "AppProject")["spec"]["namespaceResourceWhitelist"]
    assert {(one["group"], one["kind"]) for one in listed} == kinds
    rules = of_kind(objects, "Role")["rules"]
    resources = {(one["apiGroups"][0], name) for one in rules for name in one["resources"]}
    assert all(len(one["apiGroups"]) == 1 for one in rules)
    plural = {kind: f"{kind.lower()}s" for _, kind in kinds}
    plural |= {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}
    assert resources == {(group, plural[kind]) for group, kind in kinds}


def test_namespaces_with_the_same_names_are_not_added_up(built: Callable[..., Objects]) -> None:
    """Rules, dashboard and KEDA count by `job`, which by default is the Service's name alone."""
    objects = built("scraping", "keda")
    (endpoint,) = of_kind(objects, "ServiceMonitor")["spec"]["endpoints"]
    (relabelled,) = endpoint["relabelings"]
    assert relabelled["targetLabel"] == "job"
    about = "__meta_kubernetes_"
    assert relabelled["sourceLabels"] == [f"{about}namespace", f"{about}service_name"]
    (trigger,) = of_kind(objects, "ScaledObject")["spec"]["triggers"]
    service = of_kind(objects, "Service")["metadata"]["name"]
    application = yaml.safe_load_all((SOURCE / "deploy/gitops/argocd.yaml").read_text("utf-8"))
    namespace = of_kind(list(application), "Application")["spec"]["destination"]["namespace"]
    job = relabelled["separator"].join([namespace, service])
    assert f'job="{job}"' in trigger["metadata"]["query"]
