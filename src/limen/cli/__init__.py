"""The roof: verbs that parse, call public functions and print."""
