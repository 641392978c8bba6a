"""Reverse and forward differentiation of graphs."""
