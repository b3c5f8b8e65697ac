"""The processes of Ray that a driver needs: when they die, Ray ends the driver without a word.

Ray ends the driver 60 s after its head process died, and 15 s after the driver's own node did, from
a thread of its own and without a word that would help. So their ports are tried every second.
"""

from __future__ import annotations

import ray

from search.transport.processes import ProcessAddress

_NODE_SECONDS = 3.0  # a node whose port is refused for so long is dead: none comes back
_HEAD_SECONDS = 15.0  # a head may be started again by what looks after it
_AWAY_SECONDS = 40.0  # and one elsewhere have a slow network; Ray itself waits 60 s


def places_of_ray() -> list[ProcessAddress]:
    """The head process of the cluster and the driver's own node; none where Ray does not run."""
    if not ray.is_initialized():
        return []
    context = ray.get_runtime_context()
    nodes = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    ours = [(node["NodeManagerAddress"], node["NodeManagerPort"]) for node in nodes]
    places = [ProcessAddress("node", host, port, _NODE_SECONDS, True) for host, port in ours]
    host, _, port = context.gcs_address.rpartition(":")
    is_here = any(host == node["NodeManagerAddress"] for node in nodes)
    seconds = _HEAD_SECONDS if is_here else _AWAY_SECONDS
    return [ProcessAddress("head", host.strip("[]"), int(port), seconds, is_here), *places]
