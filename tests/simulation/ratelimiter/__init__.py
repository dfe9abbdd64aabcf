"""The world of the rate limiter: operators and callers on one side, buckets on the other."""
