"""A capability that exists for the simulation alone: tallies, with a snapshot every 4 commits.

The shortener's commits all carry a snapshot; here loads fold what lies between two of them.
"""
