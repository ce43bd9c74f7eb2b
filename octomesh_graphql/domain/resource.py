"""The CommunicationPool resource: the names by which Kubernetes, the operator and the API know it.

Labels, annotations and the fields of `spec` are those of OctoMesh; outside programs rely on them.
"""

from typing import Final

GROUP: Final = "octo-mesh.meshmakers.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "CommunicationPool"
PLURAL: Final = "communicationpools"

FINALIZER: Final = f"{GROUP}/undeploy"
FIELD_MANAGER: Final = "octomesh-operator"

TENANT: Final = f"{GROUP}/tenant"
POOL_RT_ID: Final = f"{GROUP}/pool-rt-id"
ADAPTER_RT_ID: Final = f"{GROUP}/adapter-rtId"
ADAPTER_CK_ID: Final = f"{GROUP}/adapter-ckId"
COMPONENT: Final = f"{GROUP}/component"
MANAGED_BY: Final = f"{GROUP}/managed-by"
POOL_NAME: Final = f"{GROUP}/pool-name"
WORKLOAD_NAME: Final = f"{GROUP}/workload-name"
WISH: Final = f"{GROUP}/wish"
"""Annotation: a hash of what was wished, of what runs and of what it is called, as `ab12…-cd34…`, so that an unchanged
object is recognised without comparing it."""

COMPONENT_ADAPTER: Final = "communication-adapter"
MANAGED_BY_OPERATOR: Final = "communication-operator"


def resource_name(tenant_id: str, pool_rt_id: str) -> str:
    """The name of a pool's resource, of ids only: at most 63 characters, and no two pools share one."""
    return f"{tenant_id}-{pool_rt_id}"
