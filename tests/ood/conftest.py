"""Lets the tests of subfolders import `outlier_toys`: pytest puts this folder on the path."""
