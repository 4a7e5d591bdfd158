"""Encoding as fast as memory is read: the tiled layout, integers exactly, floats by torch."""
