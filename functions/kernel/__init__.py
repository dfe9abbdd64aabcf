"""The event-sourcing kernel: store, commands and views. No HTTP in here."""
