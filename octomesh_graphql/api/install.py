"""What to apply in a cluster so that its operator serves a pool."""

from __future__ import annotations

from typing import Final

from octomesh_graphql.domain.pool import Pool

_MANIFEST: Final = """\
apiVersion: octo-mesh.meshmakers.io/v1alpha1
kind: CommunicationPool
metadata:
  name: {tenant_id}-{rt_id}
spec:
  tenantId: {tenant_id}
  poolRtId: "{rt_id}"
"""


def install_manifest(tenant_id: str, pool: Pool) -> str:
    """The CommunicationPool resource of a pool, as YAML. Named by ids, so that no display name can break it."""
    return _MANIFEST.format(tenant_id=tenant_id, rt_id=pool.rt_id)
