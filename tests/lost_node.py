"""A batch on a Ray cluster of two machines with one core each, one of which is lost on the way.

    python tests/lost_node.py PHOTOS PAINTINGS FOLDER

A process of its own: Ray wants to be set up before it is imported. Prints a JSON object:
how many machines were left, and how each picture ended.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

# Ray's switch for systems whose firewall would ask: everything stays on the loopback address.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
LOOPBACK = {"node_ip_address": "127.0.0.1"}


def main() -> None:
    import ray
    from ray.cluster_utils import Cluster

    from nst_core import Settings
    from nst_core.many import batch, cluster

    photos, paintings, out = map(Path, sys.argv[1:])
    machines = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **LOOPBACK}
    )
    nodes = [machines.add_node(num_cpus=1, **LOOPBACK) for _ in range(2)]
    machines.wait_for_nodes()
    settings = Settings(style_loss="gram", size=64, steps=10, init="content", precision="float32")
    tasks = batch.from_folders(photos, paintings, out, settings)
    ended = batch.run(tasks, cluster.painter(machines.address), batch.is_painted)
    outcomes = [next(ended)]
    machines.remove_node(nodes[1], allow_graceful=False)
    outcomes += ended
    deadline = time.monotonic() + 60
    while (alive := sum(node["Alive"] for node in ray.nodes())) > 2:  # until Ray is sure
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    print(
        json.dumps(
            {"alive": alive, "outcomes": [[n, one.outcome, one.reason] for n, one in outcomes]}
        )
    )
    ray.shutdown()
    machines.shutdown()


if __name__ == "__main__":
    main()
