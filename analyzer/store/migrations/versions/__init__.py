"""The migrations, one file each, in their order."""
