"""What is wrong with a tree of results, and how it is mended: ``pipestill doctor``."""
