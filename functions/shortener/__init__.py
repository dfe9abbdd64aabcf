"""Short links: create, redirect, edit, and read back as they were at any past version."""
