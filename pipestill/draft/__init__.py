"""A first configuration of one's own data, after a look at them."""
