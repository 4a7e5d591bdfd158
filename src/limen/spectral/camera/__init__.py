"""The camera: encoding matrix, mosaic, noise, digitisation, calibration."""
