"""Views of every stage of compilation."""
