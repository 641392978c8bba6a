"""The Numba backend: loop programs to readable Python, compiled by Numba."""
