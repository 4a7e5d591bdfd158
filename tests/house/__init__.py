"""What must hold for the whole house, generated from every `__all__`."""
