"""What an optimizer is: an algorithm that turns gradients into moves of the pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from nst_core.lazy import tf

# A symmetric, positive definite linear map of pictures [1, H, W, 3].
LinearMap = Callable[[Any], Any]


@dataclass(frozen=True)
class CurvatureMemory:
    """How much of past steps a quasi-Newton method remembers."""

    label: str
    pairs: int  # curvature pairs; each costs two images of memory
    dtype: str  # of what is remembered


# Names of `Plan.lbfgs_memory`. The short one has a quarter of the bytes, for pictures that fill the
# memory: on three pairs at 320 px its losses were within 1.3 % after 24 steps, and within 0.5 %
# after 60.
MEMORIES: dict[str, CurvatureMemory] = {
    "full": CurvatureMemory("10 pairs in float32", 10, "float32"),
    "short": CurvatureMemory("5 pairs in bfloat16", 5, "bfloat16"),
}


class Optimizer(ABC):
    """An algorithm that turns gradients into moves. Subclasses are frozen dataclasses.

    The next `x` that `update` gets may differ from the one it returned, because the pixels are
    projected to [0, 1] in between.
    """

    label: ClassVar[str]
    learning_rate: ClassVar[float]  # the default: a good step for pixels in [0, 1]

    def fitted(self, first_guess: LinearMap, memory: CurvatureMemory) -> Optimizer:
        """The same optimizer for a run; those that estimate curvature use what they are given.

        Args:
            first_guess: the shape of the inverse Hessian before anything is known of it.
            memory: how many curvature pairs to remember, and in which precision.
        """
        return self

    @property
    def bytes_per_pixel(self) -> float:
        """Memory of the state for each pixel of the picture."""
        return 0.0

    @abstractmethod
    def init(self, x: tf.Tensor) -> Any:
        """The state before the first step, any nest of tensors; x is float32 [1, H, W, 3]."""

    @abstractmethod
    def update(
        self, x: tf.Tensor, gradient: tf.Tensor, state: Any, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, Any]:
        """One step: the moved x, not yet projected to [0, 1], and the next state."""
