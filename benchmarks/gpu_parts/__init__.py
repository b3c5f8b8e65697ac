"""The parts of ``gpu.py``: what is measured, how it is recorded, and the page that shows it."""
