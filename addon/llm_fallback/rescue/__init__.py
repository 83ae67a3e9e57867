"""Decisions beyond the mesh: which failures are rescued, by whom, and what counts as an answer. Pure."""
