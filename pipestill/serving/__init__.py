"""The server: every experiment of a results tree over HTTP."""
