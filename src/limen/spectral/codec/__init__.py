"""From channels back to spectra: LMMSE in closed form, and networks that start from it."""
