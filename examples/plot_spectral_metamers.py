"""
Two things of one colour
========================

A real reflectance and a made one give a camera the same red, green and blue: they are metamers, and
RGB can only guess which is which. A few encoded channels tell them apart, and nobody has to decode
them into a spectrum first.
"""

# %%
# A spectrum and its partner
# --------------------------
# The partner is the spectrum plus a direction that the camera's matrix maps to nothing, as long as
# it may be within reflectances from 0.02 to 0.98.

import matplotlib.pyplot as plt
import numpy as np

from limen import spectral

scene = spectral.fruit(frames=6, size=(60, 84), kinds=4)
bands = scene.train.wavelengths
figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharey=True, layout="constrained")
for name, real, made, axis in zip(scene.kinds, scene.real, scene.artificial, axes, strict=True):
    axis.plot(bands.nm, real, label="real")
    axis.plot(bands.nm, made, "--", label="artificial")
    axis.set(title=name, xlabel="nm", ylim=(0, 1))
axes[0].legend()
axes[0].set_ylabel("reflectance")
matrix = scene.rgb.matrix(bands).detach().numpy()
apart = abs(matrix @ (scene.real - scene.artificial).T).max()
print(f"apart in RGB by {apart:.0e}, in reflectance by up to "
      f"{abs(scene.real - scene.artificial).max():.2f}")  # fmt: skip

# %%
# Gain against price
# ------------------
# Independent pixels of every thing, each in a light and with a noise of its own; a linear rule is
# taught on some and asked about others. The price is the number of channels.


def camera(count):
    """Gaussian filters evenly over the bands, with the sensor and the light of the scene."""
    centres = np.linspace(400, 700, count + 2)[1:-1]
    bank = spectral.Gaussians(centres, max(60.0, 300 / count), 0.95)
    return spectral.Camera(bank, illuminant=scene.encoded.illuminant)


def told_apart(of):
    """Share of pixels rightly called real or artificial."""
    reader = spectral.LinearPixels().fit(*spectral.lit_pixels(scene, of, seed=0))
    channels, truth = spectral.lit_pixels(scene, of, seed=1)
    return float((reader(channels) % 2 == truth % 2).mean())


counts = [1, 2, 3, 4, 6, 9, 12, 16]
shares = [told_apart(camera(count)) for count in counts]
guess = told_apart(scene.rgb)
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.plot(counts, shares, "o-", label="encoded channels")
axis.plot([3], [guess], "s", label="RGB")
axis.axhline(0.5, color="grey", lw=1)
axis.set(xlabel="channels", ylabel="real or artificial, rightly", ylim=(0.4, 1.02))
axis.legend()

# %%
# In the moving picture
# ---------------------

frames = list(spectral.stream(scene.train, scene.encoded))
masks = [spectral.pure_cells(scene.train.mask(t), 3) for t in range(len(frames))]
reader = spectral.LinearPixels().fit([frame.counts for frame in frames], masks)
read = next(iter(spectral.stream(scene.test, scene.encoded, reader)))
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
axes[0].imshow(spectral.to_rgb(scene.test[0], bands))
axes[1].imshow(scene.test.mask(0), cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
axes[2].imshow(read.mask, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
for axis, title in zip(axes, ("as the eye sees it", "what it is", "read undecoded"), strict=True):
    axis.set_title(title)
    axis.axis("off")
truth = spectral.pure_cells(scene.test.mask(0), 3)
print(spectral.segmentation_scores(read.mask, truth, split="another video",
                                   names=scene.test.names).table().to_text())  # fmt: skip
plt.show()
