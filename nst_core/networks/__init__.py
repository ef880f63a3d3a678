"""Feature networks: the nets whose activations the losses compare, and the feed-forward stylizer.

To add a network, describe it as `vgg.py` does and enter it here.
"""

from nst_core.networks.network import Network
from nst_core.networks.vgg import VGG16, VGG19

NETWORKS: dict[str, Network] = {network.name: network for network in (VGG16, VGG19)}
