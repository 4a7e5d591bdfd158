"""How much of a text a model still holds, from one forward pass."""
