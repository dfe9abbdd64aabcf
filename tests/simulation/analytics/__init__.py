"""The world of analytics: visitors, clicks and servers on one side, rows on the other."""
