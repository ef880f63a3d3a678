"""What the page is made of; `app.py` lays it out and serves it."""
