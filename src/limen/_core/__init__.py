"""The ground: errors, named random streams, optional imports, lazy packages."""
