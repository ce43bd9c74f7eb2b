"""What the cluster says, and what people are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from octomesh_graphql.operator.causes import MESSAGE_CHARACTERS, cause, refusal, rolled_out, waits_for
from octomesh_graphql.operator.cluster import ClusterRefused, Kind, Object
from tests.operator.objects import (
    IMAGE,
    POD,
    a_container,
    a_deployment,
    a_pod,
    a_ready_pod,
    a_warning,
    available,
    leaving,
    terminated,
    waiting,
)

RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-03-01T12:00:00Z"}}
LOGS = f"kubectl logs -n octo {POD}"
DEADLINE = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]


def told(*pods: Object, events: Sequence[Object] = (), **status: Any) -> tuple[str, bool]:
    found = cause(a_deployment(**status), pods, events)
    assert found is not None
    assert len(found.message) <= MESSAGE_CHARACTERS
    assert "\n" not in found.message
    return found.message, found.final


def pod_refused(message: str) -> dict[str, Any]:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {"conditions": [condition], "replicas": 0, "updatedReplicas": 0}


# Images


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"])
def test_an_image_that_cannot_be_pulled_is_named_with_what_to_check(reason: str) -> None:
    message, final = told(a_pod(waiting(reason, f'Back-off pulling image "{IMAGE}"')))
    assert message == f"The image '{IMAGE}' can't be pulled. Check its name, version and pull secret."
    assert final


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (f"failed to resolve reference: {IMAGE}: not found", "the registry does not have it"),
        ("pull access denied, repository does not exist or may require authorization", "the registry refuses access"),
        ("unexpected status from HEAD request: 401 Unauthorized", "the registry refuses access"),
        ("dial tcp: lookup registry.example.com: no such host", "the cluster can't reach its registry"),
        ("dial tcp 10.0.0.1:443: i/o timeout", "the cluster can't reach its registry"),
        ("no match for platform in manifest: not found", "there is none for the processor of the node"),
        ("toomanyrequests: You have reached your pull rate limit.", "the registry wants no more requests"),
    ],
)
def test_why_an_image_cannot_be_pulled_is_told_from_the_attempts_before_the_back_off(said: str, why: str) -> None:
    at_once, _ = told(a_pod(waiting("ErrImagePull", said)))
    later, _ = told(
        a_pod(waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')),
        events=[a_warning("Failed", f'Failed to pull image "{IMAGE}": {said}'), a_warning("Failed", "Error: x")],
    )
    assert f"can't be pulled: {why}" in at_once
    assert later == at_once


def test_the_name_of_an_image_is_no_reason() -> None:
    container = waiting("ImagePullBackOff", 'Back-off pulling image "acme/denied:1"') | {"image": "acme/denied:1"}
    message, _ = told(a_pod(container))
    assert message.startswith("The image 'acme/denied:1' can't be pulled. ")


def test_what_is_said_about_another_pod_is_no_reason() -> None:
    others = a_warning("Failed", "unauthorized", about="another")
    assert "refuses" not in told(a_pod(waiting("ImagePullBackOff")), events=[others])[0]


def test_an_impossible_name_of_an_image_is_told() -> None:
    message, final = told(a_pod(waiting("InvalidImageName", "couldn't parse image reference")))
    assert message == f"The image '{IMAGE}' has a name that can't be one. Check its name and version."
    assert final


# Processes that end


def test_a_crash_loop_tells_the_exit_code_and_where_to_read_on() -> None:
    container = waiting("CrashLoopBackOff", "back-off 40s", lastState=terminated(3), restartCount=4)
    assert told(a_pod(container)) == (f"Its process ends with exit code 3. See why: {LOGS} --previous", True)


def test_a_process_that_ends_well_is_told_to_be_meant_to_go_on() -> None:
    container = waiting("CrashLoopBackOff", lastState=terminated(0, "Completed"), restartCount=2)
    message, _ = told(a_pod(container))
    assert "ends by itself (exit code 0), but is meant to go on" in message


@pytest.mark.parametrize(
    ("container", "final"),
    [
        (a_container(terminated(1)), False),
        (a_container(terminated(1), restartCount=1), True),
        (a_container(RUNNING, lastState=terminated(1), restartCount=1), False),
        (a_container(RUNNING, lastState=terminated(1), restartCount=2), True),
    ],
    ids=["ended once", "ended twice", "started again", "started a third time"],
)
def test_a_process_that_ended_once_may_find_what_it_needs_the_next_time(container: dict[str, Any], final: bool) -> None:
    message, told_final = told(a_pod(container))
    assert message.startswith("Its process ends with exit code 1.")
    assert told_final is final


def test_the_logs_are_the_present_ones_until_the_process_is_started_again() -> None:
    assert told(a_pod(a_container(terminated(1))))[0].endswith(LOGS)
    assert told(a_pod(a_container(RUNNING, lastState=terminated(1), restartCount=1)))[0].endswith("--previous")


@pytest.mark.parametrize(
    "container",
    [
        a_container(terminated(137, "OOMKilled")),
        waiting("CrashLoopBackOff", lastState=terminated(137, "OOMKilled"), restartCount=2),
        a_container(RUNNING, lastState=terminated(137, "OOMKilled"), restartCount=1),
    ],
    ids=["just now", "in back-off", "running again"],
)
def test_too_much_memory_is_told_with_the_limit(container: dict[str, Any]) -> None:
    message, final = told(a_pod(container))
    assert "more memory than its limit of 1Gi (OOMKilled)" in message
    assert "Raise the memory limit" in message
    assert final


def test_what_a_process_wrote_before_it_ended_is_not_repeated() -> None:
    ended = terminated(1, message="could not log in with password hunter2")
    assert "hunter2" not in told(a_pod(a_container(ended)))[0]


def test_how_a_process_ended_before_it_became_ready_is_of_yesterday() -> None:
    recovered = a_container(RUNNING, ready=True, lastState=terminated(1), restartCount=3)
    assert cause(a_deployment(), [a_pod(recovered, ready=True)], ()) is None


# Containers that do not start


@pytest.mark.parametrize(
    "said",
    [
        'container has runAsNonRoot and image will run as root (pod: "x", container: adapter)',
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root",
    ],
)
def test_an_image_that_runs_as_root_is_told_with_what_to_do(said: str) -> None:
    message, final = told(a_pod(waiting("CreateContainerConfigError", said)))
    assert IMAGE in message
    assert "would run as root" in message
    assert "numeric USER other than 0" in message
    assert final


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('secret "root-login" not found', " Create what is missing."),
        ("couldn't find key brokerusername in Secret octo/root-login", " Create what is missing."),
        ("invalid variable names", ""),
    ],
)
def test_what_a_process_lacks_is_told(said: str, hint: str) -> None:
    message, final = told(a_pod(waiting("CreateContainerConfigError", said)))
    assert message == f"Its process can't be configured: {said}.{hint}"
    assert final


@pytest.mark.parametrize(
    "container",
    [
        waiting("CreateContainerError", 'exec: "run.sh": not found'),
        waiting("RunContainerError", 'exec: "run.sh": not found'),
        waiting(
            "CrashLoopBackOff", "back-off", lastState=terminated(128, "StartError", message='exec: "run.sh": not found')
        ),
        a_container(terminated(128, "StartError", message='exec: "run.sh": not found')),
    ],
)
def test_a_process_that_cannot_be_started_is_told_in_the_words_of_the_node(container: dict[str, Any]) -> None:
    assert told(a_pod(container)) == (
        """Its process can't be started: exec: "run.sh": not found. Check its image.""",
        True,
    )


def test_the_trouble_of_a_container_that_others_added_is_told_as_its() -> None:
    sidecar = waiting("CrashLoopBackOff", lastState=terminated(2), restartCount=2) | {"name": "mesh-proxy"}
    message, _ = told(a_pod(a_container(RUNNING, ready=True), sidecar))
    assert message.startswith("The container 'mesh-proxy' of its pod ends with exit code 2.")
    assert "-c mesh-proxy --previous" in message


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    done = a_container(terminated(0, "Completed")) | {"name": "init"}
    pod = a_pod(waiting("ContainerCreating"), initContainerStatuses=[done])
    assert cause(a_deployment(), [pod], ()) is None


# Pods that get no place


def test_a_pod_that_no_node_takes_tells_what_the_scheduler_says() -> None:
    said = "0/3 nodes are available: 3 Insufficient memory."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    message, final = told(a_pod(conditions=[scheduled]))
    assert message.startswith("No node of the cluster takes its pod: 0/3 nodes are available: 3 Insufficient memory. ")
    assert final


def test_a_pod_that_waits_behind_a_gate_is_merely_waiting() -> None:
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    assert cause(a_deployment(), [a_pod(conditions=[gated])], ()) is None


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        (
            'pods "x" is forbidden: exceeded quota: small, requested: limits.memory=1Gi, used: limits.memory=3Gi, '
            "limited: limits.memory=3Gi",
            ["exceeded quota: small, requested: limits.memory=1Gi", "Raise the quota"],
        ),
        ('pods "x" is forbidden: failed quota: q: must specify limits.cpu', ["failed quota: q", "Raise the quota"]),
        (
            'admission webhook "policy.example.com" denied the request: only images of our own registry',
            ['webhook "policy.example.com" denied', "only images of our own registry", "Ask whoever"],
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            ['it violates PodSecurity "restricted:latest"', "Loosen the Pod Security level"],
        ),
        (
            'pods "x" is forbidden: error looking up service account octo/default: serviceaccount "default" not found',
            ["error looking up service account octo/default", "Check the rules of the namespace"],
        ),
        (
            'pods "x" is forbidden: unable to create new content in namespace octo because it is being terminated',
            ["its namespace is being removed"],
        ),
        ("the server is in a bad mood", ["the server is in a bad mood"]),
    ],
)
def test_a_pod_that_the_cluster_refuses_tells_why(said: str, parts: list[str]) -> None:
    message, final = told(**pod_refused(said))
    assert message.startswith("The cluster refuses its pod: ")
    assert all(part in message for part in parts), message
    assert final


def test_a_refusal_that_is_over_is_not_told() -> None:
    over = {"type": "ReplicaFailure", "status": "False", "message": "exceeded quota"}
    assert cause(a_deployment(conditions=[over]), [], ()) is None


def test_a_volume_that_cannot_be_mounted_is_told_while_the_container_waits_for_it() -> None:
    missing = a_warning("FailedMount", 'MountVolume.SetUp failed for volume "configuration" : secret "x" not found')
    message, final = told(a_pod(waiting("ContainerCreating")), events=[missing])
    assert 'secret "x" not found. Create what is missing.' in message
    assert final
    assert cause(a_deployment(), [a_pod(a_container(RUNNING))], [missing]) is None


def test_a_volume_that_is_late_may_come() -> None:
    late = a_warning("FailedMount", "failed to sync secret cache: timed out waiting for the condition")
    message, final = told(a_pod(waiting("ContainerCreating")), events=[late])
    assert "can't be prepared: failed to sync secret cache" in message
    assert not final


def test_the_latest_warning_counts() -> None:
    events = [
        a_warning("FailedMount", "newer", last="2026-03-01T12:05:00Z"),
        a_warning("FailedMount", "older", last="2026-03-01T12:01:00Z"),
    ]
    assert "newer" in told(a_pod(waiting("ContainerCreating")), events=events)[0]


def test_an_evicted_pod_is_told_until_another_one_has_troubles_of_its_own() -> None:
    evicted = a_pod(name="dead", phase="Failed", reason="Evicted", message="The node was low on resource: memory. ")
    message, final = told(evicted)
    assert message == (
        "Its node ended its pod (Evicted): The node was low on resource: memory. The cluster starts another one."
    )
    assert not final
    assert "can't be pulled" in told(evicted, a_pod(waiting("ErrImagePull")))[0]


# Rollouts


def test_a_process_that_runs_but_is_not_ready_is_told_in_the_words_of_its_probe() -> None:
    unwell = a_warning("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    pod = a_pod(a_container(RUNNING), phase="Running")
    assert told(pod, events=[unwell]) == (
        "Its process runs, but is not ready: Readiness probe failed: HTTP probe failed with statuscode: 503.",
        False,
    )
    assert told(pod, events=[unwell], conditions=DEADLINE)[1], "by now somebody should look"


def test_a_probe_that_failed_before_the_pod_was_ready_is_of_yesterday() -> None:
    unwell = a_warning("Unhealthy", "Readiness probe failed")
    assert cause(a_deployment(), [a_ready_pod()], [unwell]) is None
    assert cause(a_deployment(), [a_pod(waiting("ContainerCreating"))], [unwell]) is None


def test_a_rollout_that_stands_still_without_a_word_says_so() -> None:
    message, final = told(conditions=DEADLINE)
    assert message.startswith("It has made no progress for 5 minutes")
    assert message.endswith("kubectl describe deployment -n octo octo-b001")
    assert final


def test_a_cause_that_is_known_goes_before_the_deadline() -> None:
    assert "can't be pulled" in told(a_pod(waiting("ErrImagePull")), conditions=DEADLINE)[0]


def test_the_trouble_of_the_new_pod_counts_and_not_that_the_old_one_is_well() -> None:
    old = a_ready_pod(name="old", template="aaaa", created="2026-03-01T11:00:00Z")
    new = a_pod(waiting("ErrImagePull"), name="new", template="bbbb")
    for pods in ([old, new], [new, old]):
        assert "can't be pulled" in told(*pods, replicas=2, availableReplicas=1)[0]


def test_the_trouble_of_an_old_pod_is_of_an_earlier_wish() -> None:
    old = a_pod(waiting("ErrImagePull"), name="old", template="aaaa", created="2026-03-01T11:00:00Z")
    new = a_pod(waiting("ContainerCreating"), name="new", template="bbbb")
    assert cause(a_deployment(replicas=2), [old, new], ()) is None
    assert cause(a_deployment(updatedReplicas=0), [old], ()) is None, "the new one is not there yet"
    assert cause(a_deployment(), [leaving(new), leaving(old)], ()) is None


def test_a_status_about_an_earlier_wish_tells_nothing() -> None:
    unnoticed = a_deployment(observedGeneration=0)
    pods = [a_pod(waiting("ErrImagePull"))]
    assert cause(unnoticed, pods, ()) is None
    assert waits_for(unnoticed, pods) == "Waiting for the cluster to take notice of the change."


def test_rolled_out_means_that_all_of_the_wish_and_nothing_else_is_available() -> None:
    assert rolled_out(available(a_deployment()))
    for lacking in (
        {"observedGeneration": 0},
        {"availableReplicas": 0},
        {"updatedReplicas": 0},
        {"replicas": 2},
    ):
        deployment = available(a_deployment())
        assert not rolled_out({**deployment, "status": deployment["status"] | lacking}), lacking
    bare = a_deployment()
    del bare["status"]
    assert not rolled_out(bare)


@pytest.mark.parametrize(
    ("pods", "status", "expected"),
    [
        ([], {"updatedReplicas": 0}, "Waiting for its pod to be created."),
        ([a_pod(conditions=[])], {}, "Waiting for its pod to become ready: 0 of 1."),
        ([a_pod(waiting("ContainerCreating"))], {}, "Waiting for its container to be created; the image may"),
        ([a_pod(a_container(RUNNING))], {"availableReplicas": 1}, "Waiting for its pod to become ready: 0 of 1."),
        ([a_ready_pod()], {"replicas": 2}, "Waiting for the pod of the earlier wish to end."),
        ([a_ready_pod()], {}, "Waiting for its pod to stay ready for a few seconds."),
    ],
)
def test_what_is_under_way_says_what_it_waits_for(pods: list[Object], status: dict[str, Any], expected: str) -> None:
    assert waits_for(a_deployment(**status), pods).startswith(expected)


def test_a_pod_without_a_node_waits_for_one() -> None:
    pod = a_pod(conditions=[])
    del pod["spec"]["nodeName"]
    assert waits_for(a_deployment(), [pod]) == "Waiting for a node to take its pod."


def test_a_flood_of_words_is_cut() -> None:
    assert told(a_pod(waiting("CreateContainerError", "words\n" * 500)))[0].endswith("Check its image.")
    long = a_container(RUNNING) | {"image": "registry.example.com/" + "x" * 400}
    assert "…" in told(a_pod(waiting("ErrImagePull") | {"image": long["image"]}))[0]


# Refused requests


@pytest.mark.parametrize(
    ("kind", "status", "said", "parts"),
    [
        (
            Kind.SECRET,
            403,
            'secrets "x" is forbidden: exceeded quota: small, requested: secrets=1, used: secrets=5',
            ["refuses the Secret 'x'", "exceeded quota: small", "Raise the quota"],
        ),
        (
            Kind.DEPLOYMENT,
            403,
            'deployments.apps "x" is forbidden: User "system:serviceaccount:octo:operator" cannot patch resource '
            '"deployments" in API group "apps" in the namespace "plant"',
            ["may not patch deployments of 'apps' in the namespace 'plant'", "Add the verb 'patch' for deployments"],
        ),
        (
            Kind.SERVICE,
            403,
            'services is forbidden: User "u" cannot list resource "services" in API group "" at the cluster scope',
            ["may not list services.", "ClusterRole"],
        ),
        (
            Kind.SERVICE,
            403,
            'services "x" is forbidden: unable to create new content in namespace octo because it is being terminated',
            ["refuses the Service 'x'", "its namespace is being removed"],
        ),
        (
            Kind.DEPLOYMENT,
            422,
            'Deployment.apps "x" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2Gi"',
            ["finds the Deployment 'x' invalid", 'Invalid value: "2Gi"', "Check the adapter's image"],
        ),
        (Kind.SECRET, 422, "Secret is invalid: x", ["finds the Secret 'x' invalid", "what is wished of the adapter"]),
        (
            Kind.DEPLOYMENT,
            400,
            'admission webhook "policy.example.com" denied the request: no',
            ["refuses the Deployment 'x'", 'webhook "policy.example.com" denied the request: no'],
        ),
        (
            Kind.SECRET,
            404,
            'namespaces "plant" not found',
            ['does not exist: namespaces "plant" not found', "Create it."],
        ),
        (Kind.SECRET, 404, 'secrets "x" not found', ["refuses the Secret 'x' (404 Reason)"]),
        (Kind.SECRET, 409, "the object has been modified", ["Somebody else changed the Secret 'x'", "tried again"]),
        (Kind.SECRET, 413, "limit is 3145728", ["refuses the Secret 'x' (413 Reason): limit is 3145728."]),
    ],
)
def test_a_refused_request_is_told_in_plain_words(kind: Kind, status: int, said: str, parts: list[str]) -> None:
    message = refusal(kind, "x", ClusterRefused(status, "Reason", said))
    assert all(part in message for part in parts), message
    assert len(message) <= MESSAGE_CHARACTERS
