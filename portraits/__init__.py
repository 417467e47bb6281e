"""Synthetic talking portraits with ground truth. A tool of the developers; never in the artist's zip."""

VERSION = 5
