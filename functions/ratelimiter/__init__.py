"""Rate limits: which rules hold, and whether a request may go on under them."""
