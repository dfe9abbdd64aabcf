"""Analytics: sites, what visitors do on them and on short links, counted to the last event."""
