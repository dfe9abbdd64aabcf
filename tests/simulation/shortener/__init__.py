"""What goes on around links in the simulation."""
