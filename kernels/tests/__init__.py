"""Tests of the Python part: `python3 -m unittest discover -s tests -t .` in kernels/."""
