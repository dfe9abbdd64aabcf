"""The operator's bench: look into streams, rebuild views, mend what failed; `millrace --help`."""
