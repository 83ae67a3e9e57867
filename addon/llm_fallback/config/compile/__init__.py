"""From checked resources to the Snapshot: what the mesh's control plane would generate from them."""

from llm_fallback.config.collection import Collection
from llm_fallback.config.compile.services import services
from llm_fallback.config.compile.virtual_hosts import virtual_hosts
from llm_fallback.config.snapshot import Snapshot


def build(collection: Collection, workload: dict[str, str] | None = None) -> Snapshot:
    """The snapshot of resources in which the checks found no error.

    `workload` holds the labels of the workload that the proxy stands for. None stands for all providers'
    workloads, and for one without labels where rules ask for `sourceLabels`.
    """
    found = services(collection, workload)
    return Snapshot(found, *virtual_hosts(collection, found, workload or {}))
