"""Where the outside meets a capability: HTTP and queue edges, identity, settings, clients."""
