"""A server of the experiments of a results tree."""
