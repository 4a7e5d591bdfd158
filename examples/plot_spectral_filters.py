"""
Filters as drawn, as planned, as trained
========================================

Six filters stand before a sensor, and a linear decoder turns their six numbers into a spectrum.
How well it can do is known before any picture is taken: from the statistics of spectra and the
sensor's photon noise. Thin films whose thicknesses were drawn at random, films with a plan, and
either trained for that error, beside curves that nobody can make and that bound them all.
"""

# %%
# Spectra to be decoded
# ---------------------
# The measured patches of a colour chart, each in many lights.

import matplotlib.pyplot as plt
import numpy as np
import torch

from limen import spectral

scene = spectral.fruit(frames=1, size=(24, 24), kinds=6)
bands = scene.train.wavelengths
draw = np.random.default_rng(0)
shares = draw.dirichlet(np.full(len(scene.real), 0.5), size=4000)
spectra = draw.uniform(0.1, 1, size=(4000, 1)) * (shares @ scene.real)
prior = spectral.SpectralPrior.of(torch.as_tensor(spectra))

# %%
# Four banks, each as it is and trained
# -------------------------------------
# `design` follows the gradient of the decoding error through the physics of the films. More light
# is not always better: under the rule of equal exposure every bank has the same time.

CHANNELS, FILMS = 6, ["TiO2", "SiO2"] * 3 + ["TiO2"]
banks = {
    "thicknesses at random": (spectral.ThinFilm.random(CHANNELS, FILMS, seed=0), 2.0),
    "metal cavities": (spectral.fabry_perot(CHANNELS, cavity_nm=(80.0, 200.0)), 2.0),
    "Bragg cavities": (spectral.bragg_cavity(CHANNELS, between=(430.0, 670.0)), 2.0),
    "free curves": (spectral.FreeForm.random(CHANNELS, len(bands), seed=0), 0.1),
}  # fmt: skip


def decibel(bank):
    """Signal to error of the best linear decoder, higher is better."""
    with torch.no_grad():
        error = spectral.predicted_error(spectral.Camera(bank), prior, wavelengths=bands)
    return float(10 * np.log10((spectra**2).sum(axis=1).mean() / float(error)))


def curves(bank):
    """Transmission at every band."""
    return bank(bands).detach().numpy().T


figure, axes = plt.subplots(2, 4, figsize=(10, 4.4), sharex=True, sharey=True, layout="constrained")
found = {}
for (name, (bank, lr)), (above, below) in zip(banks.items(), axes.T, strict=True):
    before = decibel(bank)
    above.plot(bands.nm, curves(bank), lw=1)
    above.set_title(f"{name}\n{before:.1f} dB", fontsize=9)
    spectral.design(spectral.Camera(bank), prior, wavelengths=bands, steps=120, lr=lr)
    found[name] = before, decibel(bank)
    below.plot(bands.nm, curves(bank), lw=1)
    below.set_title(f"trained: {found[name][1]:.1f} dB", fontsize=9)
    below.set_xlabel("nm")
for row, label in zip(axes, ("as it is", "trained"), strict=True):
    row[0].set(ylabel=f"transmission, {label}", ylim=(0, 1))
for name, (before, after) in found.items():
    print(f"{name}: {before:.1f} dB, trained {after:.1f} dB")

# %%
# Through the noise of a camera
# -----------------------------
# The prediction against 500 spectra captured, digitised and decoded.

test = spectra[:500].reshape(20, 25, -1).astype(np.float32)
taught = spectra[500:].reshape(70, 50, -1).astype(np.float32)
figure, axis = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
for name, (bank, _) in banks.items():
    codec = spectral.Codec(spectral.Camera(bank)).fit(taught, wavelengths=bands)
    read = codec.decode(codec.camera.capture(test, seed=1, wavelengths=bands))
    measured = 10 * np.log10((test**2).sum() / ((read - test) ** 2).sum())
    axis.plot(found[name][1], measured, "o", label=name)
line = [min(after for _, after in found.values()) - 1, max(a for _, a in found.values()) + 1]
axis.plot(line, line, color="grey", lw=1)
axis.set(xlabel="predicted [dB]", ylabel="measured [dB]")
axis.legend(fontsize=8)
for panel in figure.axes:
    panel.spines[["top", "right"]].set_visible(False)
plt.show()
