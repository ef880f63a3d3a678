"""Optimizers of one call shape. To add one, write it in a file of its own and enter it here."""

from nst_core.optimizers.adam import Adam
from nst_core.optimizers.gradient_descent import GradientDescent
from nst_core.optimizers.lbfgs import Lbfgs
from nst_core.optimizers.optimizer import Optimizer

OPTIMIZERS: dict[str, Optimizer] = {
    "lbfgs": Lbfgs(),  # Gatys et al.
    "adam": Adam(),
    "gradient_descent": GradientDescent(),  # the course paper
}
