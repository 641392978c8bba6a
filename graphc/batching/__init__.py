"""Graphs for one example become graphs for many."""
