"""Why an adapter does not run, in plain language and with a hint: told from what the cluster says about its objects.

What the cluster says is quoted where it helps and never where a secret could be in it, such as the output of a process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from octomesh_graphql.domain.resource import KIND
from octomesh_graphql.domain.text import shown
from octomesh_graphql.operator.cluster import ClusterRefused, Kind, Object
from octomesh_graphql.operator.manifests import CONTAINER

MESSAGE_CHARACTERS: Final = 300
"""Longest message: two sentences that fit a table's tooltip and a terminal."""

_QUOTED_CHARACTERS: Final = 140  # leaves room for what to do about it

_IMAGE_REASONS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_UNSTARTED_REASONS: Final = frozenset({"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"})
_UNPREPARED_REASONS: Final = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"})

# The order matters: "no match for platform" goes on with "not found", and registries answer an unknown caller "denied"
# whether or not they have the image.
_PULL_TROUBLES: Final = (
    (re.compile(r"no match for platform|no matching manifest", re.I), "there is none for the processor of the node"),
    (re.compile(r"toomanyrequests|too many requests", re.I), "the registry wants no more requests for now"),
    (re.compile(r"denied|unauthorized|authenticat|forbidden", re.I), "the registry refuses access to it"),
    (re.compile(r"not found|manifest unknown|does not exist", re.I), "the registry does not have it"),
    (
        re.compile(
            r"no such host|timeout|deadline exceeded|refused|unreachable|x509|tls:|HTTP response to HTTPS", re.I
        ),
        "the cluster can't reach its registry",
    ),
)
_FORBIDDEN_VERB: Final = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"(?: in API group "(?P<group>[^"]*)")?'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why an adapter does not run."""

    message: str
    final: bool
    """Whether somebody has to act; else it may pass by itself."""


def cause(deployment: Object, pods: Sequence[Object], events: Sequence[Object]) -> Cause | None:
    """Why the Deployment is not rolled out, as far as the cluster tells; None when it is merely under way.

    Only what it wishes now counts, not what becomes of the pods of an earlier wish.
    """
    if not _noticed(deployment):
        return None
    current = _current(deployment, pods)
    found = _pod_refused(deployment) or _first(_pod_cause(pod, _about(pod, events)) for pod in current)
    if _condition(deployment, "Progressing").get("reason") != "ProgressDeadlineExceeded":
        return found
    return replace(found, final=True) if found else _stuck(deployment)


def rolled_out(deployment: Object) -> bool:
    """Whether what the Deployment wishes now is available, and nothing of earlier wishes is left."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return _noticed(deployment) and all(count == wanted for count in counts)


def waits_for(deployment: Object, pods: Sequence[Object]) -> str:
    """What a rollout that is under way waits for."""
    if not _noticed(deployment):
        return "Waiting for the cluster to take notice of the change."
    current = [pod for pod in _current(deployment, pods) if not _ended(pod)]
    if not current:
        return "Waiting for its pod to be created."
    if not current[0]["spec"].get("nodeName") and not _containers(current[0]):
        return "Waiting for a node to take its pod."
    if any(
        _waiting(each).get("reason") in ("ContainerCreating", "PodInitializing") for each in _containers(current[0])
    ):
        return "Waiting for its container to be created; the image may have to be pulled first (ContainerCreating)."
    wanted = deployment["spec"].get("replicas", 1)
    ready = sum(_ready(pod) for pod in current)
    if ready < wanted:
        return f"Waiting for its pod to become ready: {ready} of {wanted}."
    if deployment["status"].get("replicas", 0) > wanted:
        return "Waiting for the pod of the earlier wish to end."
    return "Waiting for its pod to stay ready for a few seconds."


def refusal(kind: Kind, name: str, error: ClusterRefused) -> str:
    """What a refused request about an object means."""
    said = str(error)
    what = f"the {kind.kind} '{shown(name, 80)}'"
    if reason := _refused(said):
        return _told(f"The cluster refuses {what}: {reason}")
    if missing := _FORBIDDEN_VERB.search(said):
        return _told(_missing_permission(missing))
    if error.status == 404 and said.startswith("namespaces"):
        return _told(f"The namespace for {what} does not exist: {_quoted(said)}. Create it.")
    if error.status == 409:
        return _told(f"Somebody else changed {what} at the same time: {_quoted(said)}. It is tried again.")
    if error.status == 422:
        return _told(f"The cluster finds {what} invalid: {_quoted(said)}. {_whose_fault(kind)}")
    return _told(f"The cluster refuses {what} ({error.status} {shown(error.reason)}): {_quoted(said)}.")


def _missing_permission(missing: re.Match[str]) -> str:
    verb, things = missing["verb"], missing["resource"]
    where = f" in the namespace '{missing['namespace']}'" if missing["namespace"] else ""
    group = f" of '{missing['group']}'" if missing["group"] else ""
    return (
        f"The operator may not {verb} {things}{group}{where}. "
        f"Add the verb '{verb}' for {things} to the Role or ClusterRole of its service account."
    )


def _whose_fault(kind: Kind) -> str:
    if kind is Kind.DEPLOYMENT:
        return f"Check the adapter's image, port and health path, and the resources in the {KIND}."
    return "Check what is wished of the adapter."


# The Deployment


def _noticed(deployment: Object) -> bool:
    """Whether its status is about what it wishes now."""
    observed: int = deployment.get("status", {}).get("observedGeneration", 0)
    return observed >= int(deployment["metadata"].get("generation", 1))


def _pod_refused(deployment: Object) -> Cause | None:
    """Why no pod can be created for it."""
    failure = _condition(deployment, "ReplicaFailure")
    if failure.get("status") != "True":
        return None
    said = failure.get("message", "")
    reason = _refused(said) or f"{_quoted(said)}."
    return _cause(f"The cluster refuses its pod: {reason}", final=True)


def _refused(said: str) -> str | None:
    """Why the cluster wants no such object, where that is not a matter of the operator's own permissions."""
    if "is being terminated" in said:
        return "its namespace is being removed. Wait until it is gone and create it anew, or use another one."
    if quota := re.search(r"(exceeded|failed) quota.*", said, re.S):
        return f"{_quoted(quota[0])}. Raise the quota of the namespace, or remove something from it."
    if denied := re.search(r"admission webhook (\"[^\"]+\" denied the request:? ?.*)", said, re.S):
        return f"the admission webhook {_quoted(denied[1])}. Ask whoever looks after the rules of the cluster."
    if violated := re.search(r"violates PodSecurity .*", said, re.S):
        return f"it {_quoted(violated[0])}. Loosen the Pod Security level of the namespace."
    if "is forbidden" in said and not _FORBIDDEN_VERB.search(said):
        return f"{_quoted(said.partition('is forbidden')[2].lstrip(': '))}. Check the rules of the namespace."
    return None


def _stuck(deployment: Object) -> Cause:
    minutes = deployment["spec"].get("progressDeadlineSeconds", 600) // 60
    namespace, name = deployment["metadata"].get("namespace"), deployment["metadata"]["name"]
    return _cause(
        f"It has made no progress for {minutes} minutes, and the cluster does not say why. "
        f"Look closer: kubectl describe deployment -n {namespace} {name}",
        final=True,
    )


def _condition(object: Object, type: str) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = object.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == type), {})


# The pods


def _current(deployment: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods made for what is wished now, those that live first, the newest first."""
    remaining = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    updated = deployment.get("status", {}).get("updatedReplicas", 0)
    if updated == 0 and not all(_ended(pod) for pod in remaining):  # no Deployment counts its dead pods
        return []
    newest = sorted(remaining, key=_age, reverse=True)
    same = [pod for pod in newest if _template(pod) == _template(newest[0])]
    return sorted(same, key=_ended)  # stable: within each the newest stays first


def _age(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]


def _template(pod: Object) -> str | None:
    """Which template a pod was made from; pods of one rollout share it."""
    template: str | None = pod["metadata"].get("labels", {}).get("pod-template-hash")
    return template


def _ended(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _ready(pod: Object) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def _about(pod: Object, events: Iterable[Object]) -> list[Object]:
    """The warnings about a pod, the latest last."""
    uid = pod["metadata"]["uid"]
    own = [event for event in events if event.get("involvedObject", {}).get("uid") == uid]
    return sorted(own, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")


def _pod_cause(pod: Object, events: Sequence[Object]) -> Cause | None:
    """Why this pod is not as it should be: whatever stands in its way first."""
    if _ended(pod):
        return _dead(pod)
    return (
        _unschedulable(pod)
        or _first(_container_cause(pod, container, events) for container in _containers(pod))
        or _unprepared(pod, events)
        or _unready(pod, events)
    )


def _dead(pod: Object) -> Cause | None:
    """Evicted, preempted, refused by its node, or shut down with it. A pod whose processes end does not end itself."""
    status = pod["status"]
    if not status.get("reason"):
        return None
    said = _quoted(status.get("message") or "no more is said")
    reason = shown(status["reason"])
    return _cause(f"Its node ended its pod ({reason}): {said}. The cluster starts another one.", final=False)


def _unschedulable(pod: Object) -> Cause | None:
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return None
    said = _quoted(scheduled.get("message") or "no reason given")
    return _cause(
        f"No node of the cluster takes its pod: {said}. Make room, or lower the resources in the {KIND}.", final=True
    )


def _unprepared(pod: Object, events: Sequence[Object]) -> Cause | None:
    """What a pod lacks before its containers can be created. Once they are, such warnings are of yesterday."""
    containers = _containers(pod)
    if any(_waiting(each).get("reason") not in ("ContainerCreating", "PodInitializing") for each in containers):
        return None
    warning = next((event for event in reversed(events) if event.get("reason") in _UNPREPARED_REASONS), None)
    if warning is None:
        return None
    said = warning.get("message") or warning["reason"]
    missing = "not found" in said
    hint = " Create what is missing." if missing else ""
    return _cause(f"Its pod can't be prepared: {_quoted(said, _QUOTED_CHARACTERS + 60)}.{hint}", final=missing)


def _unready(pod: Object, events: Sequence[Object]) -> Cause | None:
    if _ready(pod) or not any("running" in each.get("state", {}) for each in _containers(pod)):
        return None
    unwell = next((event for event in reversed(events) if event.get("reason") == "Unhealthy"), None)
    if unwell is None:
        return None
    return _cause(f"Its process runs, but is not ready: {_quoted(unwell.get('message', ''))}.", final=False)


# The containers of a pod


def _containers(pod: Object) -> list[dict[str, Any]]:
    """What is told of them, in the order in which they are started."""
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _waiting(container: dict[str, Any]) -> dict[str, Any]:
    waiting: dict[str, Any] = container.get("state", {}).get("waiting") or {}
    return waiting


def _container_cause(pod: Object, container: dict[str, Any], events: Sequence[Object]) -> Cause | None:
    if container.get("ready"):  # how it ended before is of yesterday
        return None
    waiting, ended = _waiting(container), _terminated(container)
    if waiting.get("reason") in _IMAGE_REASONS:
        return _unpulled(container, waiting, events)
    if waiting.get("reason") == "CreateContainerConfigError":
        return _misconfigured(container, waiting.get("message") or "")
    if unstarted := [each for each in (waiting, ended) if each.get("reason") in _UNSTARTED_REASONS]:
        said = _quoted(unstarted[0].get("message") or unstarted[0]["reason"])
        return _cause(f"{_process(container)} can't be started: {said}. Check its image.", final=True)
    if not ended or _finished_init(pod, container, ended):
        return None
    if ended.get("reason") == "OOMKilled":
        return _out_of_memory(pod, container)
    return _crashed(pod, container, ended)


def _terminated(container: dict[str, Any]) -> dict[str, Any]:
    """How it ended, now or the last time."""
    now, before = container.get("state", {}), container.get("lastState", {})
    ended: dict[str, Any] = now.get("terminated") or before.get("terminated") or {}
    return ended


def _finished_init(pod: Object, container: dict[str, Any], ended: dict[str, Any]) -> bool:
    """Whether ending is what it is for: somebody's admission webhook may have added such a container."""
    first = pod.get("status", {}).get("initContainerStatuses") or []
    return ended.get("exitCode") == 0 and container in first


def _unpulled(container: dict[str, Any], waiting: dict[str, Any], events: Sequence[Object]) -> Cause:
    image = f"The image '{shown(container.get('image', '?'), 120)}'"
    if waiting["reason"] == "InvalidImageName":
        return _cause(f"{image} has a name that can't be one. Check its name and version.", final=True)
    # The back-off does not say why, but the attempts before it did.
    said = " ".join([waiting.get("message") or "", *_messages(events, "Failed")])
    why = next(
        (why for pattern, why in _PULL_TROUBLES if pattern.search(said.replace(container.get("image", ""), ""))), None
    )
    because = f": {why}" if why else ""
    return _cause(f"{image} can't be pulled{because}. Check its name, version and pull secret.", final=True)


def _misconfigured(container: dict[str, Any], said: str) -> Cause:
    if "run as root" in said or "non-root" in said:
        image = shown(container.get("image", "?"), 120)
        return _cause(
            f"The image '{image}' would run as root, or does not say as whom, which is not allowed here. "
            "Use one with a numeric USER other than 0.",
            final=True,
        )
    hint = " Create what is missing." if "not found" in said or "couldn't find key" in said else ""
    return _cause(f"{_process(container)} can't be configured: {_quoted(said)}.{hint}", final=True)


def _out_of_memory(pod: Object, container: dict[str, Any]) -> Cause:
    containers: list[dict[str, Any]] = pod["spec"]["containers"]
    spec = next((each for each in containers if each["name"] == container["name"]), {})
    limit = spec.get("resources", {}).get("limits", {}).get("memory")
    most = f"its limit of {limit}" if limit else "the node had left"
    return _cause(
        f"{_process(container)} was killed because it took more memory than {most} (OOMKilled). "
        f"Raise the memory limit under resources in the {KIND}, or let the adapter do less at once.",
        final=True,
    )


def _crashed(pod: Object, container: dict[str, Any], ended: dict[str, Any]) -> Cause:
    code = ended.get("exitCode")
    how = "ends by itself (exit code 0), but is meant to go on" if code == 0 else f"ends with exit code {code}"
    return _cause(f"{_process(container)} {how}. See why: {_logs_command(pod, container)}", final=_hopeless(container))


def _hopeless(container: dict[str, Any]) -> bool:
    """Whether it ended so often that nobody should just wait: the first time, what it needs may not have been there."""
    if _waiting(container).get("reason") == "CrashLoopBackOff":
        return True
    starting_again = "running" in container.get("state", {})
    restarts: int = container.get("restartCount", 0)
    return restarts >= (2 if starting_again else 1)


def _logs_command(pod: Object, container: dict[str, Any]) -> str:
    metadata = pod["metadata"]
    which = "" if len(_containers(pod)) == 1 else f" -c {container['name']}"
    previous = "" if "terminated" in container.get("state", {}) else " --previous"  # else the one before would be shown
    return f"kubectl logs -n {metadata.get('namespace')} {metadata['name']}{which}{previous}"


def _process(container: dict[str, Any]) -> str:
    """What to call it; there can be others, added by somebody's admission webhook."""
    return "Its process" if container["name"] == CONTAINER else f"The container '{shown(container['name'])}' of its pod"


# Words


def _messages(events: Iterable[Object], reason: str) -> list[str]:
    return [event.get("message") or "" for event in events if event.get("reason") == reason]


def _first(causes: Iterable[Cause | None]) -> Cause | None:
    """The first one on which somebody has to act, else the first."""
    found = [each for each in causes if each]
    return next((each for each in found if each.final), found[0] if found else None)


def _cause(message: str, *, final: bool) -> Cause:
    return Cause(message=_told(message), final=final)


def _quoted(said: str, limit: int = _QUOTED_CHARACTERS) -> str:
    """What the cluster said, on one line, without a full stop of its own."""
    return shown(" ".join(said.split()).rstrip(". "), limit)


def _told(message: str) -> str:
    return shown(message, MESSAGE_CHARACTERS)
