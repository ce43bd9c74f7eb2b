"""What to apply in a cluster so that its operator serves a pool."""

from __future__ import annotations

from typing import Final

from octomesh_graphql.domain import resource
from octomesh_graphql.domain.pool import Pool

_MANIFEST: Final = """\
apiVersion: {api_version}
kind: {kind}
metadata:
  name: {name}
spec:
  tenantId: "{tenant_id}"
  poolRtId: "{rt_id}"
"""


def install_manifest(tenant_id: str, pool: Pool) -> str:
    """The CommunicationPool resource of a pool, as YAML. Named by ids, so that no display name can break it;
    the ids are quoted, because `1e3` is a number in YAML."""
    return _MANIFEST.format(
        api_version=resource.API_VERSION,
        kind=resource.KIND,
        name=resource.resource_name(tenant_id, pool.rt_id),
        tenant_id=tenant_id,
        rt_id=pool.rt_id,
    )
