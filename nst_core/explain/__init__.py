"""Why it works, on one's own pictures: what the network sees, content and style layer by layer.

`maps.py` looks into the network, and `explore.py` shows it layer by layer and channel by channel,
as one clicks. `panels.py` is a table of small runs, each with the few settings that show one thing.
`losses.py` takes the loss and its gradient apart. `sections.py` puts texts to all of it, as data
that `parts.py` describes; `markup.py` and `report.py` make HTML of that, for the page and for
`python -m nst_core explain`.
"""
