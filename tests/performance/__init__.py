"""Ratios measured in one run; nothing here is asserted against a clock in the tests."""
