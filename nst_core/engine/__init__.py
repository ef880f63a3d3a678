"""The engine: what a run is, from its plan to the compiled step.

`easel.py` runs from coarse to fine and sends frames, `engine.py` minimises at one size, `step.py`
and `tiled_step.py` are the step, and `plan.py` is what is settled before.
"""
