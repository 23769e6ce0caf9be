"""A module that tries to break out, and what it tries."""
