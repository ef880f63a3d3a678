"""Many pictures in one go, on this machine or on a cluster."""
