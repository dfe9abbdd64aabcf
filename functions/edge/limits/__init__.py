"""Limits: what may still be taken, from algorithms that decide it and buckets that keep it."""
