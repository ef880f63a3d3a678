"""Films: a clip in, the same clip painted out.

`clip.py` reads, `motion.py` says where things went, `cuts.py` where a new shot begins, `painter.py`
paints frame after frame, and `reel.py` keeps what is painted as a film that plays at any moment.
"""
