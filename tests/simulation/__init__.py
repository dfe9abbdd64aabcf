"""The deterministic simulator: real handlers, a cloud in memory, seeded schedules and faults."""
